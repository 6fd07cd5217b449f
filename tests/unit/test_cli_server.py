"""`onedallmail server admit|retire|replace` and `placement move --standby` against services and an etcd in memory."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from onedallmail import quorum, relocation, stackfile, standbys
from onedallmail.cli import app, placement_plan
from onedallmail.placement.courier import Verb
from onedallmail.placement.map import Placement, to_json
from onedallmail.placement.store import group_key, server_key
from onedallmail.platform.model import build_platform
from onedallmail.platform.stack import parse_stack

from .placements import stand_in_postmap
from .stacks import small
from .test_cli_placement_move import Platform, first_of
from .test_placement_takeover import homes, of

REGIONS = {"a1": "eu-central-1", "a2": "eu-central-1", "b1": "eu-west-1", "b2": "eu-west-1"}
OTHER = {"b1": "b2", "b2": "b1", "a1": "a2", "a2": "a1"}


@pytest.fixture
def platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    stand_in_postmap(tmp_path, monkeypatch)
    platform = Platform(tmp_path)
    monkeypatch.setattr(quorum, "read_snapshot", lambda _, prefix: platform.store.read(prefix))
    monkeypatch.setattr(quorum, "commit", lambda _, transaction: platform.store.commit(transaction))
    stated = build_platform(parse_stack("lab", {**small(), "placementGroups": 8}))
    monkeypatch.setattr(stackfile, "load_platform", lambda _: stated)
    monkeypatch.setattr(placement_plan, "sizes_of", lambda *_: dict.fromkeys(range(8), 1))
    for module in (relocation, standbys):
        monkeypatch.setattr(module, "follow", _waiting(platform, module.follow))
    yield platform
    assert not [n for n, p in homes(platform.store).items() if p.joining], "a server still joins"


def _waiting(platform: Platform, follow):  # type: ignore[no-untyped-def] # of either module
    return lambda *words: follow(*words, pause=platform.pass_time, clock=platform.store.clock, stalled_s=100)


def run(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(words), env={"COLUMNS": "300"})
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def state(platform: Platform, server: str) -> str:
    return str(json.loads(platform.store.values[server_key(server)])["state"])


def held(platform: Platform, server: str) -> set[int]:
    return {n for n, p in homes(platform.store).items() if server in p.holders}


def die(platform: Platform, *names: str) -> None:
    platform.stopped |= set(names)
    platform.pass_time(12)


def with_new_server(platform: Platform, name: str) -> None:
    """Make a server one that was never admitted: its groups go to its neighbour."""
    for number, placement in homes(platform.store).items():
        if name in placement.holders:
            home, standby = (OTHER[name] if n == name else n for n in (placement.home, placement.standby))
            platform.store.put_group(number, home, standby, placement.epoch)
    platform.store.delete(server_key(name))
    platform.pass_time(2)


def test_a_group_gets_another_standby_and_keeps_its_home(platform: Platform) -> None:
    number, before = first_of(platform)
    words = ("placement", "move", "--group", str(number), "--standby", OTHER[before.standby])
    code, text = run(*words, "--dry-run")
    assert (code, "nothing was changed" in text) == (0, True), text
    assert homes(platform.store)[number] == before
    code, text = run(*words)
    assert (code, f"its standby is {OTHER[before.standby]}, no longer {before.standby}" in text) == (0, True), text
    assert homes(platform.store)[number] == Placement("a1", OTHER[before.standby], before.epoch)
    code, text = run(*words)
    assert (code, "already" in text) == (0, True), text


def test_a_dead_standby_is_replaced_by_another(platform: Platform) -> None:
    number, before = first_of(platform)
    die(platform, before.standby)
    code, text = run("placement", "move", "--group", str(number), "--standby", OTHER[before.standby])
    assert code == 0, text
    assert homes(platform.store)[number].standby == OTHER[before.standby]


def test_what_can_not_be_a_standby_is_refused_with_the_way_out(platform: Platform) -> None:
    number, before = first_of(platform)
    words = ("placement", "move", "--group", str(number), "--standby")
    assert "another region" in run(*words, "a2")[1]
    assert "is its home" in run(*words, "a1")[1]
    assert "no mail server z9" in run(*words, "z9")[1]
    assert "one change at a time" in run(*words, "b1", "--to", "b1")[1]
    for name, way_out in (("draining", "undrain"), ("retired", "take another"), ("new", "server admit")):
        platform.store.put(server_key(OTHER[before.standby]), json.dumps({"state": name}), 0)
        code, text = run(*words, OTHER[before.standby])
        assert (code, way_out in text) == (1, True), text
    platform.store.put(server_key(OTHER[before.standby]), '{"state":"serving"}', 0)
    die(platform, OTHER[before.standby])
    code, text = run(*words, OTHER[before.standby])
    assert (code, "has no lease: start it" in text) == (1, True), text


def test_a_joining_that_goes_on_is_waited_for_or_given_up(platform: Platform) -> None:
    number, before = first_of(platform)
    platform.services["a1"].joiner.refused[Verb.JOIN] = {number}
    other = OTHER[before.standby]
    platform.store.put(group_key(number), to_json(Placement("a1", before.standby, before.epoch, other)), 0)
    platform.pass_time(2)
    assert "is being made its standby" in run("placement", "move", "--group", str(number))[1]
    code, text = run("placement", "move", "--group", str(number), "--standby", before.standby)
    assert (code, "keeps its standby" in text) == (0, True), text
    assert homes(platform.store)[number] == before


def test_who_dies_while_it_joins_is_told(platform: Platform) -> None:
    number, before = first_of(platform)
    platform.services["a1"].joiner.refused[Verb.JOIN] = {number}
    platform.store.put(group_key(number), to_json(Placement("a1", before.standby, 1, OTHER[before.standby])), 0)
    words = ("placement", "move", "--group", str(number), "--standby", OTHER[before.standby])
    wait = platform.pass_time

    def then_it_dies(seconds: float) -> None:
        platform.stopped = {OTHER[before.standby]}
        wait(seconds * 10)

    platform.pass_time = then_it_dies  # type: ignore[method-assign]
    code, text = run(*words)
    assert (code, "no lease" in text) == (1, True), text
    wait(150)


def test_a_living_server_is_retired_by_swaps_and_other_standbys(platform: Platform) -> None:
    before, its = dict(platform.store.values), held(platform, "a1")
    code, text = run("server", "retire", "a1", "--dry-run")
    assert (code, "nothing was changed" in text) == (0, True), text
    assert {k: v for k, v in platform.store.values.items() if "/alive/" not in k} == {
        k: v for k, v in before.items() if "/alive/" not in k
    }
    code, text = run("server", "retire", "a1")
    assert (code, "a1 is retired and holds nothing" in text) == (0, True), text
    assert its
    assert held(platform, "a1") == set()
    assert state(platform, "a1") == "retired"
    assert all(REGIONS[p.home] != REGIONS[p.standby] for p in homes(platform.store).values())
    assert run("server", "retire", "a1")[0] == 0
    code, text = run("server", "admit", "a1")
    assert (code, "another name" in text) == (1, True), text


def test_a_dead_server_is_retired_after_its_standbys_took_over(platform: Platform) -> None:
    platform.stopped = {"a1"}
    code, text = run("server", "retire", "a1")
    die(platform, "a1")
    assert of(platform.store, "a1") == set()
    code, text = run("server", "retire", "a1")
    assert (code, "a1 is retired" in text) == (0, True), text
    assert held(platform, "a1") == set()
    assert "swap" not in text


def test_a_server_with_the_only_whole_copy_is_not_retired(platform: Platform) -> None:
    die(platform, "b1", "b2")
    code, text = run("server", "retire", "a1")
    assert (code, "the only whole copy" in text) == (1, True), text
    assert state(platform, "a1") == "serving"


def test_the_last_server_of_a_region_is_not_retired(platform: Platform) -> None:
    assert run("server", "retire", "a1")[0] == 0
    code, text = run("server", "retire", "a2")
    assert (code, "two regions" in text) == (1, True), text
    assert state(platform, "a2") == "serving"
    assert "no mail server z9" in run("server", "retire", "z9")[1]


def test_what_was_interrupted_goes_on(platform: Platform) -> None:
    late = min(of(platform.store, "a1"))
    platform.services["a1"].courier.refused[Verb.HANDOVER] = {late}
    code, text = run("server", "retire", "a1")
    assert (code, f"group {late} stays" in text) == (1, True), text
    assert state(platform, "a1") == "draining"
    platform.services["a1"].courier.refused[Verb.HANDOVER] = set()
    code, text = run("server", "retire", "a1")
    assert code == 0, text
    assert held(platform, "a1") == set()


def test_a_new_server_gets_nothing_until_it_is_admitted(platform: Platform) -> None:
    with_new_server(platform, "a2")
    code, text = run("placement", "rebalance")
    assert (code, held(platform, "a2")) == (0, set()), text
    assert "server admit a2" in run("placement", "undrain", "a2")[1]
    assert "would be admitted" in run("server", "admit", "a2", "--dry-run")[1]
    code, text = run("server", "admit", "a2")
    assert (code, "a2 is admitted" in text) == (0, True), text
    assert "already" in run("server", "admit", "a2")[1]
    code, text = run("placement", "rebalance")
    assert code == 0, text
    assert held(platform, "a2")
    assert "nothing has to move" in run("placement", "rebalance")[1]


def test_a_server_without_a_lease_is_not_admitted(platform: Platform) -> None:
    with_new_server(platform, "a2")
    die(platform, "a2")
    code, text = run("server", "admit", "a2")
    assert (code, "bring it up" in text) == (1, True), text


@pytest.mark.parametrize("dead", [False, True])
def test_a_server_is_replaced_by_a_new_one(platform: Platform, dead: bool) -> None:
    with_new_server(platform, "a2")
    its = held(platform, "a1")
    if dead:
        die(platform, "a1")
    code, text = run("server", "replace", "a1", "--by", "a2")
    assert (code, "a1 is retired" in text) == (0, True), text
    assert (held(platform, "a1"), held(platform, "a2")) == (set(), its)
    assert state(platform, "a2") == "serving"
    if not dead:
        assert of(platform.store, "a2")


@pytest.mark.usefixtures("platform")
def test_a_server_of_the_other_region_is_no_replacement() -> None:
    code, text = run("server", "replace", "a1", "--by", "b1")
    assert (code, "server retire a1" in text) == (1, True), text
    assert "by itself" in run("server", "replace", "a1", "--by", "a1")[1]


def test_a_lost_quorum_is_said_plainly(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_: object) -> None:
        msg = f"the quorum gives no answer (a1: no answer); {quorum.STILL_WORKS}. Start the servers that are down"
        raise quorum.QuorumError(msg)

    assert platform.store.values
    monkeypatch.setattr(quorum, "read_snapshot", lost)
    for words in (("admit", "a1"), ("retire", "a1"), ("replace", "a1", "--by", "a2")):
        code, text = run("server", *words)
        assert (code, "the quorum gives no answer" in text) == (1, True), text
