"""The placement map as a value: every group has one home, a standby in another region, and the load is balanced."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onedallmail.placement.map import (
    MAX_GROUPS,
    Placement,
    PlacementError,
    PlacementMap,
    from_json,
    initial,
    to_json,
    validate,
)

LAB = {"a1": "eu-central-1", "a2": "eu-central-1", "b1": "eu-west-1", "b2": "eu-west-1"}
GROUPS = st.integers(1, 200)
NAMES = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=5)


@st.composite
def platforms(draw: st.DrawFn) -> dict[str, str]:
    sizes = draw(st.lists(st.integers(1, 5), min_size=2, max_size=5))
    return {f"{chr(97 + r)}{n}": f"region-{r}" for r, size in enumerate(sizes) for n in range(1, size + 1)}


def spread(counts: Counter[str], names: set[str]) -> int:
    """The difference between the most and the least loaded server."""
    loads = [counts[name] for name in names]
    return max(loads) - min(loads)


def standbys(placements: PlacementMap) -> Counter[str]:
    return Counter(p.standby for p in placements.values())


@given(GROUPS, platforms())
def test_every_group_has_one_valid_placement(groups: int, servers: dict[str, str]) -> None:
    placements = initial(groups, servers)
    assert list(placements) == list(range(groups))
    for number, placement in placements.items():
        validate(number, placement, servers)
        assert placement.epoch == 1


@given(GROUPS, platforms())
def test_homes_are_balanced_within_one(groups: int, servers: dict[str, str]) -> None:
    assert spread(Counter(p.home for p in initial(groups, servers).values()), set(servers)) <= 1


@given(GROUPS, platforms())
def test_standbys_are_balanced_within_one_where_no_region_has_a_majority(groups: int, servers: dict[str, str]) -> None:
    region, most = Counter(servers.values()).most_common(1)[0]
    found = standbys(initial(groups, servers))
    if 2 * most <= len(servers):
        assert spread(found, set(servers)) <= 1
    else:
        majority = {name for name in servers if servers[name] == region}
        assert spread(found, majority) <= 1
        assert spread(found, set(servers) - majority) <= 1


@given(GROUPS, platforms(), st.randoms())
def test_the_order_of_servers_does_not_matter(groups: int, servers: dict[str, str], random: object) -> None:
    shuffled = list(servers.items())
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert initial(groups, dict(shuffled)) == initial(groups, servers)


def test_standbys_are_balanced_where_only_a_chain_of_changes_leads_there() -> None:
    """Four servers of eight in one region: each home there needs a standby outside, and each outside one there."""
    servers = {f"{region}{n}": region for region, size in (("a", 3), ("b", 1), ("c", 4)) for n in range(1, size + 1)}
    assert set(standbys(initial(8, servers)).values()) == {1}


def test_the_load_of_a_lost_server_is_shared_by_the_other_region() -> None:
    found = Counter((p.home, p.standby) for p in initial(64, LAB).values())
    assert set(found.values()) == {8}
    assert len(found) == 8


@pytest.mark.parametrize("servers", [{}, {"a1": "x"}, {"a1": "x", "a2": "x"}])
def test_a_single_region_is_refused(servers: dict[str, str]) -> None:
    with pytest.raises(PlacementError, match="not in two regions"):
        initial(8, servers)


@pytest.mark.parametrize("groups", [-1, 0, MAX_GROUPS + 1])
def test_a_number_of_groups_that_no_transaction_can_seed_is_refused(groups: int) -> None:
    with pytest.raises(PlacementError, match=f"choose 1 to {MAX_GROUPS}"):
        initial(groups, LAB)


@given(st.integers(0), st.builds(Placement, home=NAMES, standby=NAMES, epoch=st.integers()))
def test_a_group_survives_json(number: int, placement: Placement) -> None:
    assert from_json(number, to_json(placement)) == placement


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no JSON"),
        ("[]", "must be an object"),
        ('{"home":"a1","standby":"b1"}', "must be an object"),
        ('{"home":"a1","standby":"b1","epoch":1,"x":1}', "must be an object"),
        ('{"home":"a1","standby":"b1","epoch":"1"}', "whole number"),
        ('{"home":"a1","standby":"b1","epoch":true}', "whole number"),
        ('{"home":null,"standby":"b1","epoch":1}', "strings"),
    ],
)
def test_a_malformed_group_is_refused_with_its_number(text: str, reason: str) -> None:
    with pytest.raises(PlacementError, match=f"placement group 7: .*{reason}"):
        from_json(7, text)


@pytest.mark.parametrize(
    ("placement", "reason"),
    [
        (Placement("z9", "b1", 1), "home 'z9' is no mail server"),
        (Placement("a1", "c1", 1), "standby 'c1' is no mail server"),
        (Placement("a1", "a2", 1), "both in eu-central-1"),
        (Placement("a1", "a1", 1), "both in eu-central-1"),
        (Placement("a1", "b1", 0), "epoch 0 is not positive"),
    ],
)
def test_an_impossible_placement_is_refused(placement: Placement, reason: str) -> None:
    with pytest.raises(PlacementError, match=reason):
        validate(7, placement, LAB)
