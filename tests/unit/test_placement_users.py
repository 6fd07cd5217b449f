"""Which group a new user gets: one of the pin's, the smallest, and always the same for the same question."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onedallmail.placement.fleet import Fleet, MailHost, Pin, PlanError
from onedallmail.placement.users import group_of

HOSTS = (MailHost("a1", "a"), MailHost("b1", "b"))
FLEET = Fleet(HOSTS, 16, (Pin("law", frozenset({3, 4}), "a"),))
ADDRESSES = st.text(min_size=1, max_size=20)
SIZES = st.dictionaries(st.integers(0, 15), st.integers(0, 5))


@given(ADDRESSES, SIZES)
def test_a_user_gets_a_smallest_group_that_no_pin_reserves(address: str, sizes: dict[int, int]) -> None:
    found = group_of(address, FLEET, sizes)
    free = set(range(16)) - {3, 4}
    assert found in free
    assert sizes.get(found, 0) == min(sizes.get(number, 0) for number in free)


@given(ADDRESSES, SIZES)
def test_a_user_of_a_pin_gets_one_of_its_groups(address: str, sizes: dict[int, int]) -> None:
    found = group_of(address, FLEET, sizes, "law")
    assert sizes.get(found, 0) == min(sizes.get(3, 0), sizes.get(4, 0))
    assert found in {3, 4}


@given(ADDRESSES, SIZES, st.randoms(use_true_random=False))
def test_the_order_of_sizes_does_not_matter(address: str, sizes: dict[int, int], random: object) -> None:
    items = list(sizes.items())
    random.shuffle(items)  # type: ignore[attr-defined]
    assert group_of(address, FLEET, dict(items)) == group_of(address, FLEET, sizes)


def test_users_who_are_added_at_one_time_are_spread() -> None:
    count = Counter(group_of(f"user{n}@acme.example", FLEET, {}) for n in range(1400))
    assert len(count) == 14
    assert max(count.values()) < 2 * min(count.values())


def test_users_one_after_another_fill_groups_evenly() -> None:
    sizes: Counter[int] = Counter()
    for number in range(140):
        sizes[group_of(f"user{number}@acme.example", FLEET, sizes)] += 1
    assert set(sizes.values()) == {10}


def test_a_pin_that_is_unknown_is_refused() -> None:
    with pytest.raises(PlanError, match="no pin lore: pins are law"):
        group_of("a@acme.example", FLEET, {}, "lore")


def test_a_user_without_pin_is_refused_when_pins_reserve_all() -> None:
    fleet = Fleet(HOSTS, 2, (Pin("law", frozenset({0, 1}), "a"),))
    with pytest.raises(PlanError, match="all 2 groups are reserved"):
        group_of("a@acme.example", fleet, {})
