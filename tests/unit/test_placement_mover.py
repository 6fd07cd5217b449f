"""A planned move: the standby is up to date and the old home closed before the map changes, whatever breaks."""

from pathlib import Path

import pytest

from onedallmail.placement.courier import Verb
from onedallmail.placement.map import Placement, from_json
from onedallmail.placement.request import reason_of
from onedallmail.placement.store import EtcdError, Transaction, group_key, move_key, result_key

from .placements import MemoryStore, Service, stand_in_postmap
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


def group_of(store: MemoryStore) -> tuple[int, Placement]:
    """A group of a1."""
    number = min(of(store, "a1"))
    return number, homes(store)[number]


def reason(store: MemoryStore, number: int) -> str:
    """Why a group was not moved; its request must be gone."""
    assert move_key(number) not in store.values
    return reason_of(store.values[result_key(number)])


def one_home(services: dict[str, Service]) -> None:
    """Fail if a group is let in at two servers."""
    for number in range(8):
        found = [name for name, service in services.items() if service.is_open and number in service.serves]
        assert len(found) <= 1, f"group {number} is served at {found}"


def test_a_group_is_handed_over_closed_and_moves_to_its_standby(
    store: MemoryStore, services: dict[str, Service]
) -> None:
    number, before = group_of(store)
    store.ask_for(number, before.standby)
    for _ in range(12):
        pass_time(store, 0.5, services)
        one_home(services)
    assert homes(store)[number] == Placement(before.standby, "a1", 2)
    assert number in services[before.standby].serves
    assert services["a1"].line("standby", number) == f"{number}:::::::"
    assert not [key for key in (move_key(number), result_key(number)) if key in store.values]
    [(first, _, serving), (second, _, closed)] = services["a1"].courier.asked
    assert (first, second) == (Verb.SYNC, Verb.HANDOVER)
    assert number in serving
    assert number not in closed
    assert services["a1"].status["moves"] == []


def test_two_moves_at_once_and_one_back(store: MemoryStore, services: dict[str, Service]) -> None:
    before = homes(store)
    wanted = of(store, "a1")
    assert len(wanted) > 1
    for number in wanted:
        store.ask_for(number, before[number].standby)
    pass_time(store, 6, services)
    assert of(store, "a1") == set()
    assert len([t for t in store.committed if set(t.puts) & {group_key(n) for n in wanted}]) <= 2
    for number in wanted:
        store.ask_for(number, "a1")
    pass_time(store, 6, services)
    assert of(store, "a1") == wanted == services["a1"].serves
    assert {homes(store)[n].epoch for n in wanted} == {3}


def test_more_groups_than_are_closed_at_a_time_all_move(
    store: MemoryStore, services: dict[str, Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onedallmail.placement.mover.AT_ONCE", 1)
    wanted = of(store, "a1")
    for number in wanted:
        store.ask_for(number, homes(store)[number].standby)
    pass_time(store, 12, services)
    assert of(store, "a1") == set()
    assert [len(groups) for _, groups, _ in services["a1"].courier.asked] == [1] * (2 * len(wanted))


@pytest.mark.parametrize(
    ("to", "why"),
    [("a1", "is its home already"), ("a2", "is not its standby"), ("z9", "is not its standby")],
)
def test_what_can_not_be_is_refused_at_once(
    store: MemoryStore, services: dict[str, Service], to: str, why: str
) -> None:
    number, before = group_of(store)
    store.ask_for(number, to)
    pass_time(store, 0.5, services)
    assert why in reason(store, number)
    assert homes(store)[number] == before
    assert number in services["a1"].serves
    assert services["a1"].courier.asked == []


@pytest.mark.parametrize("value", ["no JSON", "[]", '{"to": "b1"}'])
def test_a_broken_request_is_taken_away(store: MemoryStore, services: dict[str, Service], value: str) -> None:
    number, before = group_of(store)
    store.put(move_key(number), value, 0)
    store.put(move_key(number) + "x", value, 0)
    pass_time(store, 0.5, services)
    assert "is no request" in reason(store, number)
    assert homes(store)[number] == before


def test_a_standby_that_is_dead_is_no_destination(store: MemoryStore, services: dict[str, Service]) -> None:
    number, before = group_of(store)
    pass_time(store, 9, services, before.standby)
    store.ask_for(number, before.standby)
    pass_time(store, 0.5, services, before.standby)
    assert "has no lease" in reason(store, number)


def test_a_standby_that_is_not_up_to_date_is_waited_for_while_the_group_is_served(
    store: MemoryStore, services: dict[str, Service]
) -> None:
    number, before = group_of(store)
    services["a1"].courier.refused[Verb.SYNC] = {number}
    store.ask_for(number, before.standby)
    for _ in range(60):
        pass_time(store, 1, services)
        assert number in services["a1"].serves
    [under_way] = services["a1"].status["moves"]
    assert under_way == {
        "group": number,
        "to": before.standby,
        "phase": "synchronising",
        "reason": "the standby is not ready",
    }
    pass_time(store, 65, services)
    assert "synchronising for too long: the standby is not ready" in reason(store, number)
    assert homes(store)[number] == before


def test_one_that_waits_keeps_no_other_from_moving(store: MemoryStore, services: dict[str, Service]) -> None:
    late, *others = sorted(of(store, "a1"))
    services["a1"].courier.refused[Verb.SYNC] = {late}
    for number in (late, *others):
        store.ask_for(number, homes(store)[number].standby)
    pass_time(store, 10, services)
    assert of(store, "a1") == {late}


def test_what_is_not_handed_over_in_time_is_served_again(store: MemoryStore, services: dict[str, Service]) -> None:
    number, before = group_of(store)
    services["a1"].courier.refused[Verb.HANDOVER] = {number}
    store.ask_for(number, before.standby)
    pass_time(store, 15, services)
    assert number not in services["a1"].serves
    assert services["a1"].status["moves"][0]["phase"] == "closed"
    pass_time(store, 8, services)
    assert "closed for too long: the standby is not ready" in reason(store, number)
    assert number in services["a1"].serves
    assert homes(store)[number] == before
    services["a1"].courier.refused[Verb.HANDOVER] = set()
    store.ask_for(number, before.standby)
    pass_time(store, 6, services)
    assert homes(store)[number].home == before.standby, "asking again moves it"


def test_a_standby_that_dies_in_between_keeps_the_group_here(store: MemoryStore, services: dict[str, Service]) -> None:
    number, before = group_of(store)
    services["a1"].courier.refused[Verb.HANDOVER] = {number}
    store.ask_for(number, before.standby)
    pass_time(store, 3, services)
    assert number not in services["a1"].serves
    pass_time(store, 9, services, before.standby)
    services["a1"].courier.refused[Verb.HANDOVER] = set()
    pass_time(store, 1, services, before.standby)
    assert "has no lease" in reason(store, number)
    assert homes(store)[number] == before
    assert number in services["a1"].serves


def test_a_standby_whose_lease_changed_between_reading_and_writing_gets_nothing(
    store: MemoryStore, services: dict[str, Service]
) -> None:
    number, before = group_of(store)
    commit = store.commit
    tried: list[Transaction] = []

    def new_lease(transaction: Transaction) -> bool:
        if group_key(number) in transaction.puts and not tried:
            tried.append(transaction)
            store.arrive(before.standby)
        return commit(transaction)

    store.commit = new_lease  # type: ignore[method-assign] # between the reading and the transaction
    store.ask_for(number, before.standby)
    services["a1"].turn()
    services["a1"].turn()
    store.clock.now += 1
    while not tried:
        services["a1"].turn()
    assert homes(store)[number] == before
    assert number not in services["a1"].serves
    pass_time(store, 3, {"a1": services["a1"]})
    assert homes(store)[number].home == before.standby


@pytest.mark.parametrize("turns", range(1, 5))
def test_a_service_that_is_started_anew_in_the_middle_begins_anew(
    store: MemoryStore, services: dict[str, Service], turns: int
) -> None:
    number, before = group_of(store)
    store.ask_for(number, before.standby)
    services["a1"].courier.refused[Verb.HANDOVER] = {number}
    for _ in range(turns):
        services["a1"].turn()
        store.clock.now += 0.5
    services["a1"] = Service(services["a1"].directory, store)
    for _ in range(12):
        pass_time(store, 0.5, services)
        one_home(services)
    assert homes(store)[number] == Placement(before.standby, "a1", 2)


def test_an_old_home_that_dies_in_the_middle_is_taken_over_from(
    store: MemoryStore, services: dict[str, Service]
) -> None:
    number, before = group_of(store)
    services["a1"].courier.refused[Verb.HANDOVER] = {number}
    store.ask_for(number, before.standby)
    pass_time(store, 3, services)
    pass_time(store, 10, services, "a1")
    assert homes(store)[number] == Placement(before.standby, "a1", 2)
    assert number in services[before.standby].serves
    assert "is its home already" in reason(store, number)


def test_a_request_that_is_taken_back_opens_the_group_again(store: MemoryStore, services: dict[str, Service]) -> None:
    number, before = group_of(store)
    services["a1"].courier.refused[Verb.HANDOVER] = {number}
    store.ask_for(number, before.standby)
    pass_time(store, 3, services)
    store.delete(move_key(number))
    pass_time(store, 0.5, services)
    assert number in services["a1"].serves
    assert homes(store)[number] == before


def test_an_answer_to_an_earlier_request_moves_nothing(store: MemoryStore, services: dict[str, Service]) -> None:
    """The group was opened in between, so what was handed over then is not all."""
    number, before = group_of(store)
    courier = services["a1"].courier
    store.ask_for(number, before.standby)
    services["a1"].turn()
    assert number not in services["a1"].serves
    courier.waits = True
    store.delete(move_key(number))
    pass_time(store, 1, services)
    assert number in services["a1"].serves
    store.ask_for(number, before.standby)
    pass_time(store, 1, services)
    courier.waits = False
    courier.refused[Verb.SYNC] = {number}
    assert [verb for verb, _, _ in courier.asked] == [Verb.SYNC]
    pass_time(store, 5, services)
    assert homes(store)[number] == before
    assert number in services["a1"].serves


def test_a_group_stays_closed_while_its_request_can_not_be_withdrawn(
    store: MemoryStore, services: dict[str, Service]
) -> None:
    """The transaction that hands it over may be under way still."""
    number, before = group_of(store)
    services["a1"].courier.refused[Verb.HANDOVER] = {number}
    store.ask_for(number, before.standby)
    pass_time(store, 3, services)
    commit = store.commit

    def lost(transaction: Transaction) -> bool:
        if move_key(number) in transaction.deletes:
            msg = "etcd gives no answer"
            raise EtcdError(msg)
        return commit(transaction)

    store.commit = lost  # type: ignore[method-assign] # until it is back
    pass_time(store, 25, services)
    assert number not in services["a1"].serves
    store.commit = commit  # type: ignore[method-assign] # it is back
    pass_time(store, 1, services)
    assert number in services["a1"].serves


def test_a_group_that_changed_meanwhile_is_not_written(store: MemoryStore, services: dict[str, Service]) -> None:
    number, before = group_of(store)
    services["a1"].courier.refused[Verb.HANDOVER] = {number}
    store.ask_for(number, before.standby)
    pass_time(store, 3, services)
    other = "b2" if before.standby == "b1" else "b1"
    store.put_group(number, "a1", other, 1)
    services["a1"].courier.refused[Verb.HANDOVER] = set()
    pass_time(store, 3, services)
    assert homes(store)[number] == Placement("a1", other, 1)
    assert "is not its standby" in reason(store, number)
    assert from_json(number, store.values[group_key(number)]).home == "a1"
