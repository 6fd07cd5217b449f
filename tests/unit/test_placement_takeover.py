"""A server that lost its lease is closed before etcd forgets it, and its standbys take over its groups, once."""

import json
from pathlib import Path

import pytest

from onedallmail.placement.map import Placement, from_json
from onedallmail.placement.store import Transaction, alive_key, group_key

from .placements import MemoryStore, Service, stand_in_postmap


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
    assert all(service.is_open for service in found.values())
    return found


def pass_time(store: MemoryStore, seconds: float, services: dict[str, Service], *stopped: str) -> None:
    """Let time pass while all but some services take their turns, as their threads do."""
    for _ in range(int(seconds * 2)):
        store.clock.now += 0.5
        for name, service in services.items():
            if name not in stopped:
                service.turn()


def homes(store: MemoryStore) -> dict[int, Placement]:
    return {n: from_json(n, store.values[group_key(n)]) for n in range(8)}


def of(store: MemoryStore, server: str) -> set[int]:
    return {n for n, placement in homes(store).items() if placement.home == server}


def test_the_fence_is_closed_before_the_lease_can_be_forgotten(
    store: MemoryStore, services: dict[str, Service]
) -> None:
    store.gone = True
    begun = store.clock.now
    while services["a1"].is_open:
        services["a1"].keeper.turn()
        store.clock.now += 0.25
    assert 6.5 <= store.clock.now - begun <= 7.0


def test_standbys_in_the_other_region_take_over_and_nobody_serves_a_group_twice(
    store: MemoryStore, services: dict[str, Service]
) -> None:
    before, orphaned = homes(store), of(store, "a1")
    for _ in range(30):
        pass_time(store, 0.5, services, "a1")
        for number in range(8):
            open_homes = {n for n, s in services.items() if s.is_open and number in s.serves}
            assert len(open_homes) <= 1, f"group {number} is served at {open_homes}"
    after = homes(store)
    for number in range(8):
        old = before[number]
        moved = Placement(old.standby, "a1", 2) if number in orphaned else old
        assert after[number] == moved
        assert number in services[moved.home].serves
    assert {name for name in services if services[name].status["failovers"]} == {before[n].standby for n in orphaned}


def test_the_status_tells_of_the_failover(store: MemoryStore, services: dict[str, Service]) -> None:
    [standby] = {homes(store)[n].standby for n in list(of(store, "a1"))[:1]}
    count = len([n for n in of(store, "a1") if homes(store)[n].standby == standby])
    pass_time(store, 9, services, "a1")
    [failover] = services[standby].status["failovers"]
    assert (failover["from_server"], failover["groups"]) == ("a1", count)
    assert failover["seconds"] == 0.0  # time stands still within a turn
    assert Service(services[standby].directory, store, standby).turn()
    assert services[standby].status["failovers"] == [failover]


def test_a_server_that_was_stopped_comes_back_closed_and_is_no_home(
    store: MemoryStore, services: dict[str, Service]
) -> None:
    orphaned = of(store, "a1")
    pass_time(store, 12, services, "a1")
    back = services["a1"]
    assert not back.is_open
    back.keeper.turn()  # the old lease is lost
    assert back.keeper.current is None
    back.keeper.turn()  # a new one
    assert back.keeper.current is not None
    assert not back.is_open, "open before the map was read under the new lease"
    back.turn()
    assert back.is_open
    assert back.serves == set()
    assert orphaned
    assert back.status["standby"] == 4
    pass_time(store, 70, services)
    assert of(store, "a1") == set(), "groups go back by an operator's word only"


def test_a_map_that_was_read_before_the_lease_does_not_open_the_fence(
    store: MemoryStore, services: dict[str, Service]
) -> None:
    """The service stood still between reading and writing: what it knows is of another life."""
    old = services["a1"].keeper.current
    assert old is not None
    pass_time(store, 9, services, "a1")
    services["a1"].keeper.turn()
    services["a1"].keeper.turn()
    services["a1"].keeper.admit(old.id)
    assert not services["a1"].is_open


def test_a_take_over_is_refused_when_the_home_came_back(store: MemoryStore, services: dict[str, Service]) -> None:
    before = homes(store)
    refused: list[Transaction] = []

    def home_comes_back(transaction: Transaction) -> bool:
        store.arrive("a1")
        refused.append(transaction)
        return MemoryStore.commit(store, transaction)

    store.commit = home_comes_back  # type: ignore[method-assign] # between the reading and the transaction
    pass_time(store, 9, services, "a1")
    assert refused
    assert homes(store) == before
    assert all(not service.status["failovers"] for service in services.values())


def test_a_take_over_is_refused_when_the_own_lease_is_gone(store: MemoryStore, services: dict[str, Service]) -> None:
    """The standby stood still after it had read that the home is gone: by now it may be gone itself."""
    before = homes(store)
    store.clock.now += 5
    services["b1"].keeper.turn()
    services["b2"].keeper.turn()
    store.clock.now += 5
    commit = store.commit

    def paused(transaction: Transaction) -> bool:
        store.clock.now += 20
        return commit(transaction)

    store.commit = paused  # type: ignore[method-assign] # as above
    services["b1"].agent.step()
    assert homes(store) == before
    assert store.committed == []


def test_home_and_standby_gone_is_nobodys_group_until_the_standby_is_back(
    store: MemoryStore, services: dict[str, Service]
) -> None:
    number = min(of(store, "a1"))
    standby = homes(store)[number].standby
    pass_time(store, 20, services, "a1", standby)
    assert homes(store)[number].home == "a1"
    services[standby].turn()
    pass_time(store, 1, services, "a1")
    assert homes(store)[number] == Placement(standby, "a1", 2)
    assert number in services[standby].serves


def test_servers_that_only_start_are_waited_for(tmp_path: Path, store: MemoryStore) -> None:
    """After a failure of power the first server to be back must not take everything."""
    first = Service(tmp_path / "a1", store)
    pass_time(store, 50, {"a1": first})
    waiting = {n for n, placement in homes(store).items() if placement.standby == "a1"}
    assert store.committed == []
    pass_time(store, 15, {"a1": first})
    assert waiting
    assert waiting < of(store, "a1") == first.serves


def test_a_group_is_served_when_its_mailboxes_are_prepared(store: MemoryStore, services: dict[str, Service]) -> None:
    standby = services[homes(store)[min(of(store, "a1"))].standby]
    standby.preparer.failure = ConnectionRefusedError("nobody listens")
    before = standby.serves
    pass_time(store, 9, services, "a1")
    assert standby.serves == before
    assert standby.status["unprepared"]
    assert standby.status["failovers"][0]["seconds"] is None
    standby.preparer.failure = None
    pass_time(store, 0.5, services, "a1")
    assert len(standby.serves) > len(before)
    assert standby.status["unprepared"] == []


def test_a_group_is_served_unprepared_after_ten_seconds(store: MemoryStore, services: dict[str, Service]) -> None:
    """Better service with doubtful UIDs than none; the service is asked on."""
    standby = services[homes(store)[min(of(store, "a1"))].standby]
    standby.preparer.failure = TimeoutError()
    before = standby.serves
    pass_time(store, 16, services, "a1")
    assert standby.serves == before
    pass_time(store, 4, services, "a1")
    assert len(standby.serves) > len(before)
    assert standby.status["unprepared"]
    standby.preparer.failure = None
    pass_time(store, 0.5, services, "a1")
    assert standby.status["unprepared"] == []


def test_what_was_prepared_is_known_after_a_restart(store: MemoryStore, services: dict[str, Service]) -> None:
    standby = homes(store)[min(of(store, "a1"))].standby
    pass_time(store, 9, services, "a1")
    again = Service(services[standby].directory, store, standby)
    again.turn()
    assert again.preparer.asked == []
    assert again.serves == services[standby].serves


def test_a_group_does_not_come_here_without_a_lease(store: MemoryStore, services: dict[str, Service]) -> None:
    again = Service(services["a1"].directory, store)
    served = again.serves
    store.put_group(2, "a1", "b1", 1)
    again.agent.step()
    assert again.serves == served
    again.turn()
    assert again.serves == served | {2}


def test_a_wrong_group_is_not_taken_over(store: MemoryStore, services: dict[str, Service]) -> None:
    wrong, *others = sorted(of(store, "a1"))
    store.put(group_key(wrong), "no JSON", 0)
    pass_time(store, 9, services, "a1")
    assert store.values[group_key(wrong)] == b"no JSON"
    for number in others:
        assert from_json(number, store.values[group_key(number)]).home != "a1"


def test_a_server_whose_key_was_deleted_closes_and_begins_anew(
    store: MemoryStore, services: dict[str, Service]
) -> None:
    """Its lease lives, so no renewal tells it; but others may take over."""
    store.delete(alive_key("a1"))
    services["a1"].agent.step()
    assert not services["a1"].is_open
    services["a1"].turn()
    assert services["a1"].is_open
    assert alive_key("a1") in store.values


@pytest.mark.parametrize("text", ["{}", "no JSON", '{"groups": ["1"]}', "[]"])
def test_without_knowing_what_is_being_merged_nothing_is_taken_over(
    store: MemoryStore, services: dict[str, Service], text: str, caplog: pytest.LogCaptureFixture
) -> None:
    before = homes(store)
    for service in services.values():
        (service.directory / "merging.json").write_text(text)
    pass_time(store, 12, services, "a1")
    assert homes(store) == before
    assert "look at mailboxes" in caplog.text
    for service in services.values():
        (service.directory / "merging.json").unlink()
    pass_time(store, 1, services, "a1")
    assert of(store, "a1") == set()


def test_a_group_that_is_being_merged_waits_and_the_others_move(
    store: MemoryStore, services: dict[str, Service]
) -> None:
    """Its standby holds neither all that it had nor all that the home has."""
    number = min(of(store, "a1"))
    standby = services[homes(store)[number].standby]
    (standby.directory / "merging.json").write_text(json.dumps({"groups": [number]}))
    pass_time(store, 12, services, "a1")
    assert of(store, "a1") == {number}
    assert number not in standby.serves
    (standby.directory / "merging.json").write_text('{"groups": []}')
    pass_time(store, 1, services, "a1")
    assert number in standby.serves
