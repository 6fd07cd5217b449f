"""`onedallmail placement plan`: what it shows of a map that a server told, and what it refuses."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from onedallmail import quorum
from onedallmail.cli.placement_plan import plan_command
from onedallmail.directory import session
from onedallmail.placement.map import Placement, PlacementMap, initial
from onedallmail.stackfile import load_platform

PLATFORM = load_platform("lab")
GROUPS = PLATFORM.config.placement_groups
REGIONS = {server.name: server.region for server in PLATFORM.mail_servers}
KEPT: dict[str, bytes] = {}
"""The states of servers in etcd."""


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> PlacementMap:
    """The map that a server tells, one mailbox in each group; tests change it in place."""
    placements = initial(GROUPS, REGIONS)
    monkeypatch.setattr(session, "placements", lambda _: placements or None)
    monkeypatch.setattr(quorum, "read_keys", lambda *_: KEPT)
    counts = {str(number): 1 for number in range(GROUPS)}
    monkeypatch.setattr(session, "read", lambda *_: session.Answer(counts, None))
    return placements


def run(*words: str) -> tuple[int, str]:
    app = typer.Typer()
    app.command("plan")(plan_command)
    app.callback()(lambda: None)
    result = CliRunner().invoke(app, ["plan", *words], env={"COLUMNS": "300"})
    return result.exit_code, result.output


@pytest.mark.usefixtures("told")
def test_nothing_moves_in_a_balanced_map() -> None:
    code, text = run()
    assert (code, "nothing has to move" in text) == (0, True), text


def test_a_drained_server_s_groups_are_shown_with_reason_and_cost(told: PlacementMap) -> None:
    code, text = run("--drain", "a1", "--json")
    document = json.loads(text)
    its = {number for number, p in told.items() if "a1" in (p.home, p.standby)}
    assert code == 0
    assert {m["group"] for m in document["moves"] if "draining" in m["reason"]} == its
    assert (document["unit"], document["copied"], document["more"]) == ("mailboxes", len(its), False)
    assert "draining" in run("--drain", "a1")[1]


def test_a_server_that_is_draining_in_etcd_is_drained_in_the_plan(
    told: PlacementMap, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(KEPT, "/onedallmail/placement/servers/a1", b'{"state":"draining"}')
    its = {number for number, p in told.items() if "a1" in (p.home, p.standby)}
    assert {m["group"] for m in json.loads(run("--json")[1])["moves"]} >= its


@pytest.mark.usefixtures("told")
def test_without_a_quorum_the_plan_is_made_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_: str) -> dict[str, bytes]:
        msg = "the quorum gives no answer"
        raise quorum.QuorumError(msg)

    monkeypatch.setattr(quorum, "read_keys", lost)
    code, text = run()
    assert (code, "as if all servers served" in text) == (0, True), text


@pytest.mark.usefixtures("told")
def test_the_most_moves_are_kept_and_more_is_said() -> None:
    document = json.loads(run("--drain", "a1", "--most", "4", "--json")[1])
    assert len(document["moves"]) <= 4
    assert document["more"]


def test_wishes_and_sizes_are_read_from_files(told: PlacementMap, tmp_path: Path) -> None:
    wishes, sizes = tmp_path / "wishes.json", tmp_path / "sizes.json"
    pin = {"name": "law", "groups": f"0-{GROUPS // 4 - 1}", "home": REGIONS["b1"]}
    wishes.write_text(json.dumps({"weights": {"a1": 2}, "pins": [pin]}))
    sizes.write_text(json.dumps({str(number): 1000 for number in range(GROUPS)}))
    document = json.loads(run("--wishes", str(wishes), "--sizes", str(sizes), "--json")[1])
    assert document["unit"] == "bytes"
    after = {n: p.home for n, p in told.items()} | {m["group"]: m["home"] for m in document["moves"]}
    assert {REGIONS[after[number]] for number in range(GROUPS // 4)} == {REGIONS["b1"]}


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--drain", "z9"), "there is no mail server z9"),
        (("--retire", "a1", "--retire", "b1"), "both retired"),
        (("--most", "1"), "allow 4 or more"),
        (("--leave-region", "mars"), "has no mail server"),
    ],
)
def test_what_can_not_be_ends_with_one_line(told: PlacementMap, words: tuple[str, ...], reason: str) -> None:
    told[0] = Placement("a1", "b1", 1)
    code, text = run(*words)
    assert (code, reason in text) == (1, True), text


@pytest.mark.usefixtures("told")
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("no", "is no JSON"),
        ("[]", "must be an object"),
        ('{"weights": {"z9": 1}}', "no mail server z9"),
        ('{"weights": {"a1": "2"}}', "object of server to number"),
        ('{"states": {"a1": "dead"}}', "one of serving, draining, retired"),
        ('{"pins": {}}', "write a list"),
        ('{"pins": [{"name": "law", "groups": "x"}]}', "numbers and ranges"),
        ('{"pins": [{"name": "law", "groups": "1", "regions": "x"}]}', "list of names"),
        ('{"pins": [{"groups": "1"}]}', "needs a name"),
    ],
)
def test_wrong_wishes_are_refused(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "wishes.json"
    path.write_text(text)
    code, output = run("--wishes", str(path))
    assert (code, reason in output) == (1, True), output


def test_without_a_server_that_tells_its_map_the_command_says_so(told: PlacementMap) -> None:
    told.clear()
    code, text = run()
    assert (code, "told its placement map" in text) == (1, True), text
