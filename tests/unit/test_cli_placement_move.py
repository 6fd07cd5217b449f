"""`onedallmail placement move|drain|undrain|rebalance` against four services and an etcd in memory."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from onedallmail import quorum, relocation, stackfile
from onedallmail.cli import placement as command
from onedallmail.cli import placement_plan
from onedallmail.directory import remote
from onedallmail.placement.courier import Verb
from onedallmail.placement.map import Placement
from onedallmail.placement.seeding import SERVING
from onedallmail.placement.store import (
    MOVES,
    Compare,
    Snapshot,
    Target,
    Transaction,
    group_key,
    move_key,
    server_key,
)
from onedallmail.platform.model import build_platform
from onedallmail.platform.pins import reservations
from onedallmail.platform.stack import parse_stack

from .placements import MemoryStore, Service, stand_in_postmap
from .stacks import small
from .test_placement_takeover import homes, of


class Platform:
    """The services take a turn whenever the command waits a second."""

    def __init__(self, folder: Path) -> None:
        self.store = MemoryStore()
        self.services = {name: Service(folder / name, self.store, name) for name in ("a1", "a2", "b1", "b2")}
        self.stopped: set[str] = set()
        self.pass_time(1)

    def pass_time(self, seconds: float) -> None:
        for _ in range(int(seconds * 2)):
            self.store.clock.now += 0.5
            for name, service in self.services.items():
                if name not in self.stopped:
                    service.turn()


@pytest.fixture
def stated() -> dict[str, Any]:
    """What the stack file says; tests change it in place."""
    return {**small(), "placementGroups": 8}


@pytest.fixture
def platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stated: dict[str, Any]) -> Iterator[Platform]:
    stand_in_postmap(tmp_path, monkeypatch)
    platform = Platform(tmp_path)
    monkeypatch.setattr(quorum, "read_snapshot", lambda _, prefix: platform.store.read(prefix))
    monkeypatch.setattr(quorum, "commit", lambda _, transaction: platform.store.commit(transaction))
    monkeypatch.setattr(stackfile, "load_platform", lambda _: build_platform(parse_stack("lab", stated)))
    monkeypatch.setattr(placement_plan, "sizes_of", lambda *_: dict.fromkeys(range(8), 1))
    follow = relocation.follow
    monkeypatch.setattr(
        relocation,
        "follow",
        lambda *words: follow(*words, pause=platform.pass_time, clock=platform.store.clock, stalled_s=100),
    )
    yield platform
    assert not [key for key in platform.store.values if key.startswith(MOVES)], "a request is left behind"


def run(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(command.app, list(words), env={"COLUMNS": "300"})
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def first_of(platform: Platform) -> tuple[int, Placement]:
    number = min(of(platform.store, "a1"))
    return number, homes(platform.store)[number]


def test_a_group_moves_to_its_standby(platform: Platform) -> None:
    number, before = first_of(platform)
    code, text = run("move", "--group", str(number))
    assert (code, f"group {number}: a1 -> {before.standby}  (1 of 1)" in text) == (0, True), text
    assert homes(platform.store)[number].home == before.standby
    code, text = run("move", "--group", str(number), "--to", before.standby)
    assert (code, f"lives on {before.standby} already" in text) == (0, True), text


def test_a_user_moves_with_its_group(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    number, before = first_of(platform)
    monkeypatch.setattr(remote, "mailbox", lambda *_: {"group": number})
    code, text = run("move", "--user", "alice@acme.example", "--to", before.standby)
    assert (code, homes(platform.store)[number].home) == (0, before.standby), text


def test_a_dry_run_changes_nothing(platform: Platform) -> None:
    before = dict(platform.store.values)
    number, _ = first_of(platform)
    for words in (("move", "--group", str(number)), ("drain", "a1"), ("rebalance",)):
        code, text = run(*words, "--dry-run")
        assert (code, "nothing was changed" in text) == (0, True), text
    assert platform.store.values == before


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ((), "name either --group or --user"),
        (("--group", "0", "--user", "x@acme.example"), "name either --group or --user"),
        (("--group", "99"), "take one of 0 to 7"),
        (("--group", "0", "--to", "z9"), "there is no mail server z9"),
        (("--group", "0", "--to", "a2"), "has none of its mail"),
    ],
)
def test_what_can_not_be_is_refused_with_the_way_out(platform: Platform, words: tuple[str, ...], reason: str) -> None:
    assert homes(platform.store)[0].standby != "a2"
    code, text = run("move", *words)
    assert (code, reason in text) == (1, True), text


def test_neither_a_dead_nor_a_draining_standby_is_asked_for(platform: Platform) -> None:
    number, before = first_of(platform)
    platform.store.put(server_key(before.standby), '{"state":"draining"}', 0)
    assert "undrain it first" in run("move", "--group", str(number))[1]
    platform.store.delete(server_key(before.standby))
    platform.stopped = {before.standby}
    platform.pass_time(9)
    code, text = run("move", "--group", str(number))
    assert (code, "has no lease: start it" in text) == (1, True), text


def test_a_dead_home_is_left_to_its_standbys(platform: Platform) -> None:
    number, before = first_of(platform)
    platform.stopped = {"a1", before.standby}
    platform.pass_time(9)
    platform.services[before.standby].keeper.turn()
    platform.services[before.standby].keeper.turn()
    code, text = run("move", "--group", str(number))
    assert (code, "takes it over by itself" in text) == (1, True), text


def test_a_server_is_drained_and_gets_its_groups_back(platform: Platform) -> None:
    its = of(platform.store, "a1")
    code, text = run("drain", "a1")
    assert code == 0, text
    assert of(platform.store, "a1") == set()
    assert text.count("a1 -> ") == len(its)
    assert "is standby of" in text
    code, text = run("drain", "a1")
    assert (code, "nothing has to move" in text) == (0, True), text
    assert "undrain it first" in run("move", "--group", str(min(its)), "--to", "a1")[1]
    assert run("undrain", "a1")[0] == 0
    assert "serves already" in run("undrain", "a1")[1]
    code, text = run("rebalance")
    assert code == 0, text
    assert len(of(platform.store, "a1")) == len(its)
    assert "nothing has to move" in run("rebalance")[1]


@pytest.mark.parametrize(
    ("server", "also", "reason"),
    [("z9", None, "there is no mail server z9"), ("a1", "a2", "not in two regions")],
)
def test_a_drain_that_leaves_groups_without_a_place_is_refused(
    platform: Platform, server: str, also: str | None, reason: str
) -> None:
    if also:
        platform.store.put(server_key(also), '{"state":"draining"}', 0)
    code, text = run("drain", server)
    assert (code, reason in text) == (1, True), text
    assert platform.store.values.get(server_key(server), SERVING.encode()) == SERVING.encode()


def test_a_state_that_is_none_and_a_retired_server_are_refused(platform: Platform) -> None:
    platform.store.put(server_key("a1"), '{"state":"x"}', 0)
    assert "delete it for a server that serves" in run("drain", "b1")[1]
    platform.store.put(server_key("a1"), '{"state":"retired"}', 0)
    code, text = run("undrain", "a1")
    assert (code, "is retired" in text) == (1, True), text
    assert run("undrain", "z9")[0] == 1


def test_what_its_home_refuses_is_told_and_the_rest_moves(platform: Platform) -> None:
    late, *others = sorted(of(platform.store, "a1"))
    platform.services["a1"].courier.refused[Verb.HANDOVER] = {late}
    code, text = run("drain", "a1")
    assert (code, f"group {late} stays: closed for too long: the standby is not ready" in text) == (1, True), text
    assert "1 groups did not move" in text
    assert of(platform.store, "a1") == {late}
    assert others
    platform.services["a1"].courier.refused[Verb.HANDOVER] = set()
    assert run("drain", "a1")[0] == 0


def test_what_makes_no_progress_is_withdrawn(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    number, _ = first_of(platform)
    ask = relocation.ask

    def then_the_home_stops(stack: str, keys: Snapshot, wishes: list[relocation.Wish]) -> None:
        ask(stack, keys, wishes)
        platform.stopped = set(platform.services)

    monkeypatch.setattr(relocation, "ask", then_the_home_stops)
    code, text = run("move", "--group", str(number))
    assert (code, "a1 has no lease; the request is withdrawn" in text) == (1, True), text


def test_a_group_that_changed_meanwhile_is_not_asked_for(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    number, before = first_of(platform)
    read = platform.store.read

    def changed_after(_: str, prefix: str) -> Snapshot:
        keys = read(prefix)
        platform.store.put_group(number, before.home, before.standby, 5)
        return keys

    monkeypatch.setattr(quorum, "read_snapshot", changed_after)
    code, text = run("move", "--group", str(number))
    assert (code, "was not taken" in text) == (1, True), text


def test_a_state_that_somebody_else_changes_is_not_overwritten(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = platform.store.commit

    def changed_before(_: str, transaction: Transaction) -> bool:
        platform.store.put(server_key("a1"), '{"state":"retired"}', 0)
        return commit(transaction)

    monkeypatch.setattr(quorum, "commit", changed_before)
    code, text = run("drain", "a1")
    assert (code, "at the same time" in text) == (1, True), text


def test_a_lost_quorum_is_said(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_: object) -> Snapshot:
        msg = f"the quorum gives no answer; {quorum.STILL_WORKS}"
        raise quorum.QuorumError(msg)

    monkeypatch.setattr(quorum, "read_snapshot", lost)
    for words in (("move", "--group", "0"), ("drain", "a1"), ("undrain", "a1"), ("rebalance",)):
        code, text = run(*words)
        assert (code, "no mailbox moves" in text) == (1, True), text
    assert platform.services


def test_a_quorum_that_comes_back_is_waited_for(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    number, before = first_of(platform)
    answers = 0

    def flickering(_: str, prefix: str) -> Snapshot:
        nonlocal answers
        answers += 1
        if answers % 2 == 0:
            msg = "the quorum gives no answer"
            raise quorum.QuorumError(msg)
        return platform.store.read(prefix)

    monkeypatch.setattr(quorum, "read_snapshot", flickering)
    code, text = run("move", "--group", str(number))
    assert (code, homes(platform.store)[number].home) == (0, before.standby), text


def test_etcdctl_reads_conditions_changes_and_nothing_for_otherwise() -> None:
    compares = (Compare(group_key(1), Target.CHANGED, 12), Compare(move_key(1), Target.CREATED, 0))
    transaction = Transaction(compares, {move_key(1): '{"to":"b1"}'}, ("/x",))
    assert quorum.script(transaction) == (
        'mod("/onedallmail/placement/groups/1") = "12"\n'
        'create("/onedallmail/placement/moves/1") = "0"\n\n'
        'put /onedallmail/placement/moves/1 "{\\"to\\":\\"b1\\"}"\ndel /x\n\n\n'
    )
    with pytest.raises(ValueError, match="can't be asked"):
        quorum.script(Transaction((Compare("/x", Target.LEASE, 1),)))


def test_rebalance_brings_homes_to_the_region_of_their_pin(platform: Platform, stated: dict[str, Any]) -> None:
    stated["pins"] = [{"domain": "acme.example", "regions": ["eu-west-1"], "groups": 4}]
    pinned = reservations(parse_stack("lab", stated).pins, 8)[0].groups
    before = homes(platform.store)
    assert {before[number].home[0] for number in pinned} != {"b"}, "otherwise nothing would have to be done"
    code, text = run("rebalance")
    assert code == 0, text
    after = homes(platform.store)
    assert {after[number].home[0] for number in pinned} == {"b"}
