"""The parts that the servers form together: etcd, the directory under Patroni, and the placement map."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from onedallmail.evidence.attachments import Evidence
from tests.hosts.facts import PATRONI, Facts, all_facts
from tests.lab import ALL, MAIL, PLATFORM, eventually, on_all, run_on

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("lab")]

VOTERS = tuple(s.name for s in PLATFORM.servers if s.voter)
FRESH = timedelta(seconds=30)
"""The watcher writes its state at least every 10 s while the map can be read."""


@pytest.mark.smoke
@pytest.mark.control("iso27001:A.8.14", "soc2:CC9.1")
def test_all_voters_are_healthy_in_three_regions(evidence: Evidence) -> None:
    """The placement map lives as long as a majority of voters does; three regions outlive the loss of one."""
    health = json.loads(all_facts()[VOTERS[0]]["etcd-health"].stdout)
    evidence.attach_text("etcd-health.json", json.dumps(health))
    assert [entry["endpoint"] for entry in health if not entry["health"]] == []
    members = json.loads(all_facts()[VOTERS[0]]["etcd-members"].stdout)["members"]
    assert {member["name"] for member in members} == set(VOTERS)
    assert not any(member.get("isLearner") for member in members)
    assert all(url.startswith("https://") for m in members for url in (*m["peerURLs"], *m["clientURLs"]))
    assert len({PLATFORM.server(name).region for name in VOTERS}) >= 3


@pytest.mark.smoke
@pytest.mark.control("iso27001:A.8.14", "soc2:CC9.1")
def test_the_directory_has_one_leader_and_synchronous_copies(evidence: Evidence) -> None:
    """A new user or password is acknowledged only when a second server holds it; every server has a copy to read."""

    def healthy() -> list[dict[str, object]]:
        found = run_on(VOTERS[0], PATRONI)
        members: list[dict[str, object]] = json.loads(found.stdout) if found.code == 0 else []
        return members if all(m["State"] in ("running", "streaming") for m in members) else []

    members = eventually("every member of the directory runs", healthy, 30)
    evidence.attach_text("patroni.json", json.dumps(members))
    assert {m["Member"] for m in members} == set(ALL)
    roles = [m["Role"] for m in members]
    assert roles.count("Leader") == 1
    assert sum(role in ("Sync Standby", "Quorum Standby") for role in roles) >= 1, roles
    for member in members:
        if member["Role"] != "Leader":
            assert member["State"] == "streaming", f"{member['Member']} is {member['State']}"
            assert member["Lag in MB"] in (0, 1), f"{member['Member']}: lag {member['Lag in MB']} MB"


@pytest.mark.smoke
@pytest.mark.control("iso27001:A.8.14", "iso27001:A.8.9")
def test_every_mail_server_has_the_same_fresh_placement_map(evidence: Evidence) -> None:
    """Two maps would give one mailbox two homes, and a stale one sends mail to where the mailbox was."""

    def states() -> dict[str, dict[str, object]]:
        read = "cat /var/lib/onedallmail/placement/status.json; sha256sum < /var/lib/onedallmail/placement/groups.json"
        outputs = on_all(MAIL, lambda name: run_on(name, read))
        found = {name: json.loads(out.stdout.rpartition("}")[0] + "}") for name, out in outputs.items()}
        digests = {out.stdout.rpartition("}")[2].strip() for out in outputs.values()}
        return found if len(digests) == 1 and len({str(s["revision"]) for s in found.values()}) == 1 else {}

    found = eventually("all placement maps are the same", states, 15)
    evidence.attach_text("placement.json", json.dumps(found))
    for name, state in found.items():
        assert state["error"] is None, f"{name}: {state['error']}"
        assert state["groups"] == PLATFORM.config.placement_groups
        age = datetime.now(UTC) - datetime.fromisoformat(str(state["checked_at"]))
        assert age <= FRESH, f"{name}: the map was read {age} ago"


@pytest.mark.control("iso27001:A.8.14", "soc2:CC9.1")
def test_every_group_has_a_home_and_a_standby_in_another_region() -> None:
    """A mailbox without home has no mail; a standby in the same region dies with the home."""
    groups = json.loads(all_facts()[MAIL[0]]["placement-groups"].stdout)["groups"]
    assert set(groups) == {str(n) for n in range(PLATFORM.config.placement_groups)}
    assert {g["home"] for g in groups.values()} == set(MAIL), "a mail server is nobody's home"
    for number, group in groups.items():
        home, standby = PLATFORM.server(group["home"]), PLATFORM.server(group["standby"])
        assert home.region != standby.region, f"group {number}: home and standby are both in {home.region}"


@pytest.mark.control("iso27001:A.8.3", "soc2:CC6.3")
def test_only_the_watcher_writes_placement_files(facts: Facts) -> None:
    """Who writes these files decides where everybody's mail goes."""
    if facts.server not in MAIL:
        assert "placement-modes" not in facts.sections
        return
    rows = [line.split() for line in facts["placement-modes"].lines]
    assert rows
    assert [row for row in rows if row[1] != "onedallmail" or int(row[0], 8) & 0o022] == []
