"""Another standby: the home's agent changes the map when the server that joins has everything, and not before."""

import json
from pathlib import Path

import pytest

from onedallmail.placement.courier import Verb
from onedallmail.placement.joins import AWAY_S
from onedallmail.placement.map import Placement, PlacementError, from_json, joining_wrong, to_json
from onedallmail.placement.request import reason_of
from onedallmail.placement.rules import orphans, taken_over
from onedallmail.placement.store import group_key, result_key

from .placements import MemoryStore, Service, settings, stand_in_postmap
from .test_placement_takeover import homes, of, pass_time


@pytest.fixture(autouse=True)
def postmap(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    return stand_in_postmap(tmp_path_factory.mktemp("bin"), monkeypatch)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def services(tmp_path: Path, store: MemoryStore) -> dict[str, Service]:
    """All four, alive and open."""
    found = {name: Service(tmp_path / name, store, name) for name in ("a1", "a2", "b1", "b2")}
    for _ in range(2):
        assert all(service.turn() for service in found.values())
    return found


def let_join(store: MemoryStore) -> tuple[int, Placement, str]:
    """Let the other server of its standby's region join a group of a1."""
    number = min(of(store, "a1"))
    before = homes(store)[number]
    other = {"b1": "b2", "b2": "b1"}[before.standby]
    store.put(group_key(number), to_json(Placement("a1", before.standby, before.epoch, other)), 0)
    return number, before, other


def without(services: dict[str, Service], *names: str) -> dict[str, Service]:
    return {name: service for name, service in services.items() if name not in names}


def test_a_value_is_read_with_and_without_a_server_that_joins() -> None:
    joining = Placement("a1", "b1", 3, "b2")
    assert json.loads(to_json(joining)) == {"home": "a1", "standby": "b1", "epoch": 3, "joining": "b2"}
    assert from_json(0, to_json(joining)) == joining
    assert json.loads(to_json(joining.settled)) == {"home": "a1", "standby": "b1", "epoch": 3}
    assert joining.receiving == {"b1", "b2"}
    for wrong in ('"joining":null', '"joining":""', '"joining":7'):
        with pytest.raises(PlacementError, match="joining must be the name of a server"):
            from_json(0, f'{{"home":"a1","standby":"b1","epoch":3,{wrong}}}')


@pytest.mark.parametrize(("joining", "reason"), [("z9", "no mail server"), ("b1", "already"), ("a2", "another region")])
def test_a_server_that_can_not_join_is_said_and_left_out(
    tmp_path: Path, store: MemoryStore, services: dict[str, Service], joining: str, reason: str
) -> None:
    placement = Placement("a1", "b1", 2, joining)
    assert reason in str(joining_wrong(0, placement, settings(tmp_path).regions))
    number = min(of(store, "a1"))
    before = homes(store)[number]
    name = before.standby if joining == "b1" else joining
    store.put(group_key(number), to_json(Placement("a1", before.standby, before.epoch, name)), 0)
    services["a1"].turn()
    assert reason in services["a1"].status["error"]
    assert number in services["a1"].serves
    assert services["a1"].joiner.asked == []


def test_the_joining_server_becomes_standby_when_it_has_everything(
    store: MemoryStore, services: dict[str, Service]
) -> None:
    number, before, other = let_join(store)
    services["a1"].joiner.refused[Verb.JOIN] = {number}
    pass_time(store, 10, services)
    assert homes(store)[number] == Placement("a1", before.standby, 1, other)
    assert services["a1"].status["joins"] == [{"group": number, "to": other, "reason": "the standby is not ready"}]
    for name in (before.standby, other):
        assert services[name].line("standby", number) == f"{number}:::::::"
    assert services["a2"].line("standby", number) != f"{number}:::::::"
    services["a1"].joiner.refused[Verb.JOIN] = set()
    pass_time(store, 3, services)
    assert homes(store)[number] == Placement("a1", other, 1)
    assert number in services["a1"].serves
    assert services[before.standby].line("standby", number) != f"{number}:::::::"
    assert services["a1"].status["joins"] == []


def test_a_dead_standby_does_not_hinder_it(store: MemoryStore, services: dict[str, Service]) -> None:
    number, before, other = let_join(store)
    services["a1"].joiner.refused[Verb.JOIN] = {number}
    pass_time(store, 12, without(services, before.standby))
    services["a1"].joiner.refused[Verb.JOIN] = set()
    pass_time(store, 3, without(services, before.standby))
    assert homes(store)[number].settled == Placement("a1", other, 1)


def test_a_take_over_ends_a_joining_and_only_the_standby_takes_over(
    store: MemoryStore, services: dict[str, Service]
) -> None:
    number, before, other = let_join(store)
    services["a1"].joiner.refused[Verb.JOIN] = {number}
    pass_time(store, 2, services)
    assert orphans({number: homes(store)[number]}, {"a1"}, other, ()) == ()
    pass_time(store, 12, without(services, "a1"))
    assert homes(store)[number] == Placement(before.standby, "a1", 2) == taken_over(Placement("a1", before.standby, 1))


def test_who_stays_away_does_not_join_and_the_reason_is_left(store: MemoryStore, services: dict[str, Service]) -> None:
    number, before, other = let_join(store)
    services["a1"].joiner.refused[Verb.JOIN] = {number}
    pass_time(store, AWAY_S - 20, without(services, other))
    assert homes(store)[number].joining == other
    pass_time(store, 40, without(services, other))
    assert homes(store)[number] == Placement("a1", before.standby, 1)
    assert "no lease" in reason_of(store.values[result_key(number)])


def test_what_the_mailboxes_service_forgot_is_given_up(store: MemoryStore, services: dict[str, Service]) -> None:
    number, before, _ = let_join(store)
    services["a1"].joiner.refused[Verb.JOIN] = {number}
    services["a1"].joiner.stale = {number}
    pass_time(store, 3, services)
    assert homes(store)[number] == Placement("a1", before.standby, 1)
    assert "ask again" in reason_of(store.values[result_key(number)])


def test_a_server_that_was_started_anew_is_asked_for_again_before_the_switch(
    store: MemoryStore, services: dict[str, Service]
) -> None:
    number, before, other = let_join(store)
    home = services["a1"]
    home.agent.step()
    home.joiner.work()  # the answer is there, and not fetched yet
    services[other].keeper.abandon(services[other].keeper.current.id)  # type: ignore[union-attr] # it has one
    services[other].turn()
    home.agent.step()
    assert homes(store)[number] == Placement("a1", before.standby, 1, other)
    pass_time(store, 3, services)
    assert homes(store)[number] == Placement("a1", other, 1)
