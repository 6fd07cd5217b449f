"""Fixtures of the fault tests: a seed that is printed, and a lab that is whole again afterwards, whatever happened."""

import json
import os
import random
import sys
from collections.abc import Iterator

import pytest

from onedallmail.evidence.attachments import Evidence
from onedallmail.lab import lab as machines
from onedallmail.lab.lab import Lab
from tests.faults.placement import give_back, groups
from tests.hosts.facts import ETCDCTL, PATRONI
from tests.lab import ALL, MAIL, STACK, account_on, eventually, on_all, require_lab, run_on

RECOVERS_WITHIN_S = 150


@pytest.fixture(scope="session")
def lab() -> Lab:
    """The running lab."""
    return require_lab()


@pytest.fixture(scope="session")
def residents(lab: Lab) -> dict[str, str]:  # noqa: ARG001 - accounts are asked of the running lab
    """One user of each home server, by the server's name."""
    return {home: account_on(home) for home in MAIL}


@pytest.fixture
def chance(evidence: Evidence, capsys: pytest.CaptureFixture[str]) -> random.Random:
    """The source of all choices; ONEDALLMAIL_TEST_SEED repeats a run."""
    seed = int(os.environ.get("ONEDALLMAIL_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 31)
    evidence.describe(seed=seed)
    with capsys.disabled():
        sys.stdout.write(f"\n[ONEDALLMAIL_TEST_SEED={seed}] ")
    return random.Random(seed)  # noqa: S311 - a choice of faults, no secret


@pytest.fixture
def whole(lab: Lab) -> Iterator[Lab]:
    """The lab, healthy before the fault, and put back after it: every group where it was, too."""
    wait_until_whole()
    before = groups(MAIL[0])
    yield lab
    restore()
    give_back(before, RECOVERS_WITHIN_S)


def restore() -> None:
    """Boot what does not run, and wait until every part works."""
    lab = machines.load(STACK)
    for node in lab.nodes:
        if not node.running:
            lab.start(node.name)
    wait_until_whole()


def wait_until_whole() -> None:
    """Wait until voters, directory and placement map are healthy and mail is served everywhere."""
    eventually("all voters are healthy", lambda: not unhealthy_voters(ALL[0]), RECOVERS_WITHIN_S)
    eventually("every member of the directory streams", directory_is_whole, RECOVERS_WITHIN_S, every_s=1)
    eventually(
        "mail is served everywhere", lambda: all(on_all(MAIL, serves_mail).values()), RECOVERS_WITHIN_S, every_s=1
    )


def unhealthy_voters(asked: str) -> list[str]:
    """Return the voters that do not answer, as one server sees it; that server itself when it can't tell."""
    output = run_on(asked, f"{ETCDCTL} --command-timeout=3s endpoint health --cluster --write-out=json 2>/dev/null")
    if not output.stdout.strip().startswith("["):
        return [asked]
    return [entry["endpoint"] for entry in json.loads(output.stdout) if not entry["health"]]


def directory_is_whole() -> bool:
    """Return whether there is a leader and everybody else streams from it."""
    output = run_on(ALL[0], PATRONI)
    if output.code != 0:
        return False
    members = json.loads(output.stdout)
    others = [m for m in members if m["Role"] != "Leader"]
    return len(members) == len(ALL) and len(others) == len(ALL) - 1 and all(m["State"] == "streaming" for m in others)


def serves_mail(name: str) -> bool:
    """Return whether a server's mail services run, its placement map is being read, and health keeps no port closed."""
    script = (
        "systemctl is-active --quiet postfix dovecot rspamd && ss -Htln | grep -q ':993 ' && ss -Htln | grep -q ':25 '"
        " && grep -q '\"error\": *null' /var/lib/onedallmail/placement/status.json"
        " && ! nft list set inet onedallmail_gate closed | grep -q elements"
    )
    return run_on(name, script).code == 0
