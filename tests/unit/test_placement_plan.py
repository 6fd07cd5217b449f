"""The planner: every plan leads to a valid, balanced map, moves no more than it must, and a second one is empty."""

from collections import Counter
from collections.abc import Mapping
from itertools import pairwise
from random import Random

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from onedallmail.placement.fleet import Fleet, MailHost, Pin, PlanError, State, with_states
from onedallmail.placement.map import MAX_GROUPS, Placement, PlacementMap, in_batches, initial, validate
from onedallmail.placement.moves import LONGEST_WAY, Kind, Reason
from onedallmail.placement.plan import TOLERANCE, Plan, applied, plan

GROUPS = 96
LAB = tuple(MailHost(name, region) for name, region in (("a1", "a"), ("a2", "a"), ("b1", "b"), ("b2", "b")))


@st.composite
def fleets(draw: st.DrawFn, most_pins: int = 2) -> Fleet:
    """Two to four regions of two to four servers, weights 1 to 4, pins of both kinds."""
    regions = "abcd"[: draw(st.integers(2, 4))]
    hosts = tuple(
        MailHost(f"{region}{n}", region, draw(st.sampled_from((1.0, 1.0, 2.0, 4.0))))
        for region in regions
        for n in range(1, draw(st.integers(2, 4)) + 1)
    )
    pins = []
    for number in range(draw(st.integers(0, most_pins))):
        home = draw(st.sampled_from(regions))
        others = draw(st.sets(st.sampled_from(sorted(set(regions) - {home})), min_size=1))
        named = frozenset({home, *others}) if draw(st.booleans()) else frozenset[str]()
        stated = home if not named or draw(st.booleans()) else None
        pins.append(Pin(f"pin{number}", frozenset(range(8 * number, 8 * number + 8)), stated, named))
    return Fleet(hosts, GROUPS, tuple(pins))


@st.composite
def long_tailed(draw: st.DrawFn) -> dict[int, int]:
    random = Random(draw(st.integers(0, 9999)))  # noqa: S311 - sizes for a test
    return {number: int(random.lognormvariate(20, 1)) for number in range(GROUPS)}


def checked(fleet: Fleet, present: PlacementMap, found: Plan, sizes: Mapping[int, int]) -> PlacementMap:
    """Return the map after the moves, each of which had to be possible and to leave the map valid."""
    regions = {host.name: host.region for host in fleet.hosts}
    now = dict(present)
    for move in found.moves:
        validate(move.group, move.placement, regions)
        before = now.get(move.group)
        if move.kind is Kind.CREATE:
            assert before is None
            assert (move.epoch, move.copied) == (1, 0)
        elif move.kind is Kind.SWAP:
            assert before is not None
            assert move.placement == Placement(before.standby, before.home, before.epoch + 1)
            assert move.copied == 0
            assert fleet.by_name[move.home].state is not State.RETIRED
        else:
            assert before is not None
            assert move.placement == Placement(before.home, move.standby, before.epoch)
            assert move.standby != before.standby
            assert move.copied == sizes.get(move.group, 0)
            assert fleet.by_name[move.home].state is not State.RETIRED
            assert fleet.by_name[move.standby].state is State.SERVING
        now[move.group] = move.placement
    assert applied(present, found.moves) == dict(sorted(now.items()))
    return now


def assert_right(fleet: Fleet, placements: PlacementMap) -> None:
    """Every group has one home and one standby on serving servers of different regions that its pin allows."""
    assert sorted(placements) == list(range(fleet.groups))
    rules = fleet.rules()
    for number, placement in placements.items():
        home, standby = fleet.by_name[placement.home], fleet.by_name[placement.standby]
        assert home.state is standby.state is State.SERVING
        assert home.region != standby.region
        rule = rules.get(number, fleet.free)
        assert home.region in rule.homes
        assert {home.region, standby.region} <= rule.regions


def first(fleet: Fleet, sizes: Mapping[int, int]) -> PlacementMap:
    return checked(fleet, {}, plan(fleet, {}, sizes), sizes)


@given(fleets(), long_tailed())
def test_every_group_gets_one_home_and_one_standby_in_different_regions_where_its_pin_says(
    fleet: Fleet, sizes: dict[int, int]
) -> None:
    assert_right(fleet, first(fleet, sizes))


@given(fleets(), long_tailed(), st.data())
def test_a_second_plan_after_applying_the_first_is_empty(
    fleet: Fleet, sizes: dict[int, int], data: st.DataObject
) -> None:
    placements = first(fleet, sizes)
    assert plan(fleet, placements, sizes).moves == ()
    grown = sizes | {data.draw(st.integers(0, GROUPS - 1)): max(sizes.values()) * 3}
    placements = checked(fleet, placements, plan(fleet, placements, grown), grown)
    assert_right(fleet, placements)
    assert plan(fleet, placements, grown).moves == ()


@given(fleets(), long_tailed(), st.randoms(use_true_random=False))
def test_the_order_of_servers_pins_groups_and_sizes_does_not_matter(
    fleet: Fleet, sizes: dict[int, int], random: Random
) -> None:
    def shuffled(mapping: Mapping[int, object]) -> dict[int, object]:
        return dict(random.sample(sorted(mapping.items()), len(mapping)))

    placements = first(fleet, sizes)
    changed = with_states(fleet.hosts, {fleet.hosts[0].name: State.DRAINING})
    other = Fleet(tuple(random.sample(changed, len(changed))), GROUPS, fleet.pins[::-1])
    expected = plan(Fleet(changed, GROUPS, fleet.pins), placements, sizes)
    assert plan(other, shuffled(placements), shuffled(sizes)) == expected  # type: ignore[arg-type]


@given(fleets(most_pins=0))
def test_weights_are_respected_within_tolerance_or_two_groups(fleet: Fleet) -> None:
    """Groups of one size can't be nearer than half of one; standbys that must be balanced too may cost the rest."""
    count = Counter(p.home for p in first(fleet, {}).values())
    whole = sum(host.weight for host in fleet.hosts)
    for host in fleet.hosts:
        share = GROUPS * host.weight / whole
        assert abs(count[host.name] - share) <= max(TOLERANCE * share, 2)


@given(fleets(), long_tailed(), st.sampled_from((1.0, 2.0)), st.data())
def test_a_new_server_gets_its_share_and_what_is_copied_goes_to_it(
    fleet: Fleet, sizes: dict[int, int], weight: float, data: st.DataObject
) -> None:
    region = data.draw(st.sampled_from(sorted(fleet.regions)))
    placements = first(fleet, sizes)
    grown = Fleet((*fleet.hosts, MailHost("new", region, weight)), GROUPS, fleet.pins)
    found = plan(grown, placements, sizes)
    after = checked(grown, placements, found, sizes)
    assert_right(grown, after)
    on_it = sum(sizes[n] for n, p in after.items() if "new" in (p.home, p.standby))
    assert sum(m.copied for m in found.moves if m.standby == "new") >= on_it


def test_of_many_servers_one_more_moves_its_part_of_the_mail_and_only_to_itself() -> None:
    hosts = tuple(MailHost(f"{region}{n}", region) for region in "abcd" for n in range(8))
    sizes = dict.fromkeys(range(4096), 10**9)
    fleet = Fleet(hosts, 4096)
    placements = first(fleet, sizes)
    grown = Fleet((*hosts, MailHost("new", "b")), 4096)
    found = plan(grown, placements, sizes)
    checked(grown, placements, found, sizes)
    assert {move.standby for move in found.moves if move.kind is Kind.STANDBY} == {"new"}
    copies = 2 * sum(sizes.values())
    assert found.copied / copies == pytest.approx(1 / 33, rel=TOLERANCE)


@pytest.mark.parametrize("state", [State.DRAINING, State.RETIRED])
def test_a_server_that_leaves_moves_its_groups_only_and_each_is_copied_once(state: State) -> None:
    hosts = tuple(MailHost(f"{region}{n}", region) for region in "abcd" for n in range(8))
    sizes = dict.fromkeys(range(2048), 10**9)
    placements = first(Fleet(hosts, 2048), sizes)
    fleet = Fleet(with_states(hosts, {"b3": state}), 2048)
    found = plan(fleet, placements, sizes)
    assert_right(fleet, checked(fleet, placements, found, sizes))
    its = {number for number, p in placements.items() if "b3" in (p.home, p.standby)}
    assert {move.group for move in found.moves if move.copied} == its
    assert found.copied == sum(sizes[number] for number in its)
    assert {m.reason for m in found.moves if m.group in its} == {Reason(f"a server that holds it is {state}")}


@given(fleets(), long_tailed(), st.data())
def test_any_server_may_leave_while_its_region_has_another(
    fleet: Fleet, sizes: dict[int, int], data: st.DataObject
) -> None:
    placements = first(fleet, sizes)
    leaver = data.draw(st.sampled_from(fleet.hosts)).name
    states = {leaver: data.draw(st.sampled_from((State.DRAINING, State.RETIRED)))}
    smaller = Fleet(with_states(fleet.hosts, states), GROUPS, fleet.pins)
    after = checked(smaller, placements, plan(smaller, placements, sizes), sizes)
    assert_right(smaller, after)
    assert plan(smaller, after, sizes).moves == ()


@settings(max_examples=15, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(fleets(), long_tailed(), st.integers(LONGEST_WAY, 12), st.data())
def test_plans_of_few_moves_lead_to_the_end(
    fleet: Fleet, sizes: dict[int, int], most: int, data: st.DataObject
) -> None:
    placements = first(fleet, sizes)
    states = {data.draw(st.sampled_from(fleet.hosts)).name: State.DRAINING}
    smaller = Fleet(with_states(fleet.hosts, states), GROUPS, fleet.pins)
    for _ in range(4 * GROUPS):
        found = plan(smaller, placements, sizes, most=most)
        assert len(found.moves) <= most
        if not found.moves:
            break
        placements = checked(smaller, placements, found, sizes)
    assert_right(smaller, placements)
    assert not found.more


def test_after_a_failover_the_homes_go_back_by_swaps_without_any_copy() -> None:
    fleet, sizes = Fleet(LAB, 64), dict.fromkeys(range(64), 5)
    placements = first(fleet, sizes)
    flipped = {n: Placement(p.standby, p.home, p.epoch + 1) if p.home == "a1" else p for n, p in placements.items()}
    found = plan(fleet, flipped, sizes)
    assert {move.kind for move in found.moves} == {Kind.SWAP}
    after = checked(fleet, flipped, found, sizes)
    assert Counter(p.home for p in after.values())["a1"] == pytest.approx(16, abs=1)


def test_what_is_within_tolerance_stays() -> None:
    sizes = dict.fromkeys(range(1024), 100)
    placements = first(Fleet(LAB, 1024), sizes)
    one = next(n for n, p in placements.items() if p.home == "a1")
    shifted = placements | {one: Placement(placements[one].standby, "a1", 2)}
    assert plan(Fleet(LAB, 1024), shifted, sizes).moves == ()
    assert plan(Fleet(LAB, 1024), shifted, sizes, tolerance=0).moves != ()


def test_a_home_moves_within_its_region_by_way_of_its_standby_and_one_copy() -> None:
    fleet = Fleet(with_states(LAB[:3], {"a1": State.DRAINING}), 8, (Pin("at-a", frozenset(range(8)), "a"),))
    present = {n: Placement("a1", "b1", 3) for n in range(8)}
    found = plan(fleet, present, dict.fromkeys(range(8), 7), tolerance=0.99)
    checked(fleet, present, found, dict.fromkeys(range(8), 7))
    moves = [move for move in found.moves if move.group == 0]
    assert [move.kind for move in moves] == [Kind.SWAP, Kind.STANDBY, Kind.SWAP]
    assert (moves[-1].home, moves[-1].standby, moves[-1].epoch) == ("a2", "b1", 5)


def refused(reason: str, **changes: object) -> None:
    present = {n: Placement("a1", "b1", 1) for n in range(8)}
    parts: dict[str, object] = {"hosts": LAB, "groups": 8, "pins": (), "leaving": frozenset()}
    with pytest.raises(PlanError, match=reason):
        plan(
            Fleet(**{name: changes.get(name, value) for name, value in parts.items()}),  # type: ignore[arg-type]
            changes.get("present", present),  # type: ignore[arg-type]
            changes.get("sizes", {}),  # type: ignore[arg-type]
            tolerance=changes.get("tolerance", TOLERANCE),  # type: ignore[arg-type]
            most=changes.get("most"),  # type: ignore[arg-type]
        )


def of(state: State, *names: str) -> tuple[MailHost, ...]:
    return with_states((*LAB, MailHost("c1", "c")), dict.fromkeys(names, state))


def pinned(home: str | None, *regions: str, groups: frozenset[int] = frozenset({1})) -> tuple[Pin, ...]:
    return (Pin("law", groups, home, frozenset(regions)),)


@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        ("set one that is draining", {"hosts": with_states(LAB, {"a1": State.DRAINING, "a2": State.DRAINING})}),
        ("a1 is draining with 8 .* give the region up", {"hosts": of(State.DRAINING, "a1", "a2")}),
        ("a1 is retired with 8 .* no other server of a", {"hosts": of(State.RETIRED, "a1", "a2")}),
        ("group 0 is only on a1 and b1, .* set one of them to draining", {"hosts": of(State.RETIRED, "a1", "b1")}),
        ("home 'z9' is no mail server", {"present": {0: Placement("z9", "b1", 1)}}),
        ("both in a; choose a standby in another region", {"present": {0: Placement("a1", "a2", 1)}}),
        ("delete its key", {"present": {8: Placement("a1", "b1", 1)}}),
        ("weight 0", {"hosts": (*LAB, MailHost("a3", "a", 0))}),
        ("two servers are named a1", {"hosts": (*LAB, MailHost("a1", "b"))}),
        ("region z, which shall be left", {"leaving": frozenset({"z"})}),
        ("0 placement groups", {"groups": 0}),
        (f"choose 1 to {MAX_GROUPS}", {"groups": MAX_GROUPS + 1}),
        ("names the region a only, .* or state the region as `home`", {"pins": pinned(None, "a")}),
        ("region z: name one of a, b", {"pins": pinned(None, "a", "z")}),
        ("names no region", {"pins": pinned(None)}),
        ("names no groups", {"pins": pinned("a", groups=frozenset())}),
        ("group 8 does not exist", {"pins": pinned("a", groups=frozenset({8}))}),
        ("home region a is not among", {"hosts": (*LAB, MailHost("c1", "c")), "pins": pinned("a", "b", "c")}),
        ("belongs to pins law and other", {"pins": (*pinned("a"), Pin("other", frozenset({1}), "b"))[::-1]}),
        ("no server in its home region c", {"hosts": of(State.DRAINING, "c1"), "pins": pinned("c")}),
        ("fewer than two have a server", {"hosts": of(State.DRAINING, "c1"), "pins": pinned(None, "a", "c")}),
        ("size -1 of group 0", {"sizes": {0: -1}}),
        ("tolerance 1", {"tolerance": 1.0}),
        (f"allow {LONGEST_WAY} or more", {"most": LONGEST_WAY - 1}),
    ],
)
def test_what_can_not_be_is_refused_with_the_way_out(reason: str, changes: dict[str, object]) -> None:
    refused(reason, **changes)


def test_a_region_is_given_up_when_that_is_said() -> None:
    present = {n: Placement("a1", "b1", 1) for n in range(8)}
    fleet = Fleet(of(State.DRAINING, "a1", "a2"), 8, leaving=frozenset({"a"}))
    assert_right(fleet, checked(fleet, present, plan(fleet, present, {}), {}))


def test_a_server_that_is_unknown_can_not_be_drained() -> None:
    with pytest.raises(PlanError, match="no mail server z9: name one of a1, a2, b1, b2"):
        with_states(LAB, {"z9": State.DRAINING})


def test_the_first_map_is_the_plan_for_none_and_may_be_written_in_parts() -> None:
    placements = initial(1000, {host.name: host.region for host in LAB})
    parts = list(in_batches(placements, 100))
    assert [len(part) for part in parts] == [100] * 10
    assert all(max(one) < min(other) for one, other in pairwise(parts))
    assert {n: p for part in parts for n, p in part.items()} == placements
