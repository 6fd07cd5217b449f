"""What a server may decide alone: until when it is open, what it may take over, and what it may serve."""

from hypothesis import given
from hypothesis import strategies as st

from onedallmail.placement import rules
from onedallmail.placement.map import Placement, PlacementMap, from_json, initial
from onedallmail.placement.store import Compare, Target, alive_key, group_key

SERVERS = {"a1": "x", "a2": "x", "b1": "y", "b2": "y"}
NAMES = st.sets(st.sampled_from(sorted(SERVERS)))
MAPS = st.integers(1, 400).map(lambda groups: initial(groups, SERVERS))


def changes_of(placements: PlacementMap) -> dict[str, int]:
    return {group_key(n): 1000 + n for n in placements}


@given(st.floats(4, 60), st.floats(0, 1e6))
def test_the_fence_closes_a_second_before_the_lease_ends(ttl_s: float, asked_at: float) -> None:
    assert rules.fence_until(ttl_s, asked_at) == asked_at + ttl_s - 1.0


def test_the_fence_opens_under_the_lease_that_the_map_was_read_under() -> None:
    assert rules.fence_may_open(7, 7)
    for lease, applied in ((None, None), (None, 7), (7, None), (8, 7)):
        assert not rules.fence_may_open(lease, applied)


@given(NAMES, NAMES)
def test_only_a_patient_server_takes_over_from_one_it_never_saw(alive: set[str], seen: set[str]) -> None:
    assert rules.gone(SERVERS, alive, seen, patient=True) == set(SERVERS) - alive
    assert rules.gone(SERVERS, alive, seen, patient=False) == (set(SERVERS) - alive) & seen


@given(MAPS, NAMES, st.sampled_from(sorted(SERVERS)))
def test_a_server_takes_over_as_the_standby_only(placements: PlacementMap, gone: set[str], server: str) -> None:
    found = set(rules.orphans(placements, gone, server, ()))
    for number, placement in placements.items():
        assert (number in found) == (placement.home in gone and placement.standby == server)


@given(MAPS, NAMES)
def test_no_group_is_an_orphan_of_two_servers(placements: PlacementMap, gone: set[str]) -> None:
    found = [number for server in SERVERS for number in rules.orphans(placements, gone, server, ())]
    assert len(found) == len(set(found))


@given(MAPS, st.sets(st.integers(0, 400)))
def test_what_is_being_merged_into_a_server_is_not_taken_over_by_it(
    placements: PlacementMap, merging: set[int]
) -> None:
    every = rules.orphans(placements, {"a1"}, "b1", ())
    assert set(rules.orphans(placements, {"a1"}, "b1", merging)) == set(every) - merging
    assert rules.orphans(placements, {"a1"}, "b1", None) == ()


@given(MAPS, NAMES, st.sampled_from(sorted(SERVERS)))
def test_each_flip_is_small_and_names_all_its_conditions(placements: PlacementMap, gone: set[str], server: str) -> None:
    numbers, changes = rules.orphans(placements, gone, server, ()), changes_of(placements)
    transactions = rules.flips(numbers, placements, changes, server, 7)
    keys = [key for transaction in transactions for key in transaction.puts]
    assert sorted(keys) == sorted(group_key(n) for n in numbers)
    for transaction in transactions:
        assert 1 <= len(transaction.puts) <= 100
        moved = {int(key.rpartition("/")[2]) for key in transaction.puts}
        [home] = {placements[n].home for n in moved}
        unchanged = {Compare(group_key(n), Target.CHANGED, changes[group_key(n)]) for n in moved}
        absent = Compare(alive_key(home), Target.CREATED, 0)
        assert set(transaction.compares) == unchanged | {absent, Compare(alive_key(server), Target.LEASE, 7)}


def test_many_groups_take_several_transactions() -> None:
    placements = {n: Placement("a1", "b1", 1) for n in range(250)}
    transactions = rules.flips(range(250), placements, changes_of(placements), "b1", 7)
    assert [len(transaction.puts) for transaction in transactions] == [100, 100, 50]


@given(MAPS)
def test_home_and_standby_change_places_and_the_epoch_grows(placements: PlacementMap) -> None:
    numbers = rules.orphans(placements, {"a1"}, "b1", ())
    for transaction in rules.flips(numbers, placements, changes_of(placements), "b1", 7):
        for key, value in transaction.puts.items():
            number = int(key.rpartition("/")[2])
            assert from_json(number, value) == Placement("b1", "a1", placements[number].epoch + 1)


def test_a_key_without_this_lease_is_not_this_servers() -> None:
    assert rules.own_lease_stands({alive_key("a1"): 7}, "a1", 7)
    for leases in ({}, {alive_key("a1"): 8}, {alive_key("a1"): 0}, {alive_key("b1"): 7}):
        assert not rules.own_lease_stands(leases, "a1", 7)


def test_a_group_is_served_at_its_home_when_prepared_for_this_very_epoch() -> None:
    placements = {
        0: Placement("a1", "b1", 1),
        1: Placement("a1", "b1", 2),
        2: Placement("a1", "b1", 3),
        3: Placement("b1", "a1", 2),
    }
    prepared = {1: 2, 2: 2, 3: 2}
    assert rules.served(placements, "a1", prepared) == {0, 1}
    assert rules.unprepared(placements, "a1", prepared) == {2: 3}
    assert rules.served(placements, "b1", {}) == frozenset()
    assert rules.unprepared(placements, "b1", {}) == {3: 2}
