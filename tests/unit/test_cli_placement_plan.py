"""`onedallmail placement plan`: what it shows of a map that a server told, and what it refuses."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from onedallmail import fleets, quorum, stackfile
from onedallmail.cli.placement_plan import plan_command
from onedallmail.directory import session
from onedallmail.placement.map import Placement, PlacementMap, initial
from onedallmail.platform.model import build_platform
from onedallmail.platform.pins import reservations
from onedallmail.platform.stack import parse_stack
from onedallmail.stackfile import load_platform

from .stacks import small

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
    monkeypatch.setattr(fleets, "read", lambda *words: session.Answer([] if len(words) > 2 else counts, None))
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


def test_sizes_are_read_from_a_file(told: PlacementMap, tmp_path: Path) -> None:
    sizes = tmp_path / "sizes.json"
    sizes.write_text(json.dumps({str(number): 1000 for number in range(GROUPS)}))
    document = json.loads(run("--drain", "a1", "--sizes", str(sizes), "--json")[1])
    its = sum("a1" in (p.home, p.standby) for p in told.values())
    assert (document["unit"], document["copied"]) == ("bytes", 1000 * its)


@pytest.fixture
def stated(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the stack file says; tests change it in place before the command."""
    settings = small()
    monkeypatch.setattr(stackfile, "load_platform", lambda _: build_platform(parse_stack("lab", settings)))
    return settings


def test_weights_and_pins_come_from_the_stack_file(told: PlacementMap, stated: dict[str, Any]) -> None:
    west = REGIONS["b1"]
    stated["regions"][0]["servers"][0]["weight"] = 3
    stated["pins"] = [{"domain": "acme.example", "regions": [west], "groups": GROUPS // 4}]
    pinned = reservations(parse_stack("lab", stated).pins, GROUPS)[0].groups
    assert any(REGIONS[told[number].home] != west for number in pinned), "otherwise nothing would be shown"
    code, text = run("--json")
    assert code == 0
    after = {n: p.home for n, p in told.items()} | {m["group"]: m["home"] for m in json.loads(text)["moves"]}
    assert {REGIONS[after[number]] for number in pinned} == {west}
    count = Counter(after.values())
    assert count["a1"] > 2 * count["a2"]


@pytest.mark.usefixtures("told")
def test_pinned_mailboxes_that_no_plan_helps_are_named(stated: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    stated["pins"] = [{"domain": "acme.example", "regions": [REGIONS["b1"]]}]
    own = reservations(parse_stack("lab", stated).pins, GROUPS)[0].groups
    other = next(number for number in range(GROUPS) if number not in own)
    rows = [["new@acme.example", own[0]], ["old@acme.example", other]]

    def read(_: str, statement: str, document: object = None) -> session.Answer:
        if document is None:
            return session.Answer({str(number): 1 for number in range(GROUPS)}, None)
        assert document == {"addresses": [], "domains": ["acme.example"]}, statement
        return session.Answer(rows, None)

    monkeypatch.setattr(fleets, "read", read)
    code, text = run()
    assert (
        code,
        f"1 pinned mailboxes are in groups that are not their pin's, from before it: old@acme.example ({other})"
        in text,
    ) == (0, True), text


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


def test_without_a_server_that_tells_its_map_the_command_says_so(told: PlacementMap) -> None:
    told.clear()
    code, text = run()
    assert (code, "told its placement map" in text) == (1, True), text
