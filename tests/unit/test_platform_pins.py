"""Pins of the stack file: a wrong one is refused with its path, and the groups it reserves depend on the file alone."""

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from onedallmail.platform.pins import PinConfig, pin_of, reservations
from onedallmail.platform.stack import StackError, parse_stack

from .stacks import small

CENTRAL, WEST = "eu-central-1", "eu-west-1"


def pinned(*pins: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {**small(), "domains": ["acme.example", "law.example"], "pins": list(pins), **more}


WRONG = {
    "neither": ([{"regions": [WEST]}], ("pins.0", "either a domain or an address")),
    "both": ([{"domain": "acme.example", "address": "a@acme.example", "regions": [WEST]}], ("pins.0", "either")),
    "no regions": ([{"domain": "acme.example", "regions": []}], ("pins.0.regions",)),
    "no region": ([{"domain": "acme.example"}], ("pins.0.regions", "required")),
    "a strange domain": (
        [{"domain": "other.example", "regions": [WEST]}],
        ("pins.0.domain", "no domain of this stack"),
    ),
    "a strange address": ([{"address": "a@other.example", "regions": [WEST]}], ("pins.0.address", "law.example")),
    "no address": ([{"address": "acme.example", "regions": [WEST]}], ("pins.0.address", "NAME@DOMAIN")),
    "a detail": ([{"address": "a+b@acme.example", "regions": [WEST]}], ("pins.0.address", "+detail")),
    "a witness region": ([{"domain": "acme.example", "regions": ["eu-north-1"]}], ("pins.0.regions", "no mail server")),
    "a region twice": ([{"domain": "acme.example", "regions": [WEST, WEST]}], ("pins.0", "named twice")),
    "a domain twice": (
        [{"domain": "acme.example", "regions": [WEST]}, {"domain": "Acme.example.", "regions": [CENTRAL]}],
        ("acme.example is pinned 2 times",),
    ),
    "too many groups": (
        [{"domain": "acme.example", "regions": [WEST], "groups": 33}],
        ("33 of 64 placement groups", "at most half"),
    ),
    "no groups": ([{"domain": "acme.example", "regions": [WEST], "groups": 0}], ("pins.0.groups",)),
    "a misspelt field": ([{"domain": "acme.example", "region": WEST}], ("pins.0.region",)),
}


@pytest.mark.parametrize(("pins", "words"), WRONG.values(), ids=WRONG)
def test_a_wrong_pin_is_refused_with_path_and_way_out(pins: list[dict[str, Any]], words: tuple[str, ...]) -> None:
    with pytest.raises(StackError) as caught:
        parse_stack("test", pinned(*pins))
    assert all(word in str(caught.value) for word in ("Pulumi.test.yaml", *words)), caught.value


@pytest.mark.parametrize("weight", [0, -1, 1001, "heavy", float("nan"), float("inf")])
def test_a_weight_is_a_positive_number(weight: object) -> None:
    settings = small()
    settings["regions"][0]["servers"][0]["weight"] = weight
    with pytest.raises(StackError, match=r"regions\.0\.servers\.0\.weight"):
        parse_stack("test", settings)


def test_a_witness_has_no_weight() -> None:
    settings = small()
    settings["regions"][2]["servers"][0]["weight"] = 1
    with pytest.raises(StackError, match=r"regions\.2\.servers\.0: server c1 is a witness and holds no mailboxes"):
        parse_stack("test", settings)


@pytest.mark.parametrize("name", ["withoutSecondPlace", "without_second_place"])
def test_what_becomes_of_mail_without_a_second_place_is_stated(name: str) -> None:
    assert parse_stack("test", small()).copies.without_second_place == "refuse"
    assert parse_stack("test", {**small(), "copies": {name: "accept"}}).copies.without_second_place == "accept"
    with pytest.raises(StackError, match=rf"copies\.{name}: Input should be 'refuse' or 'accept'"):
        parse_stack("test", {**small(), "copies": {name: "ignore"}})


def test_a_mailbox_s_own_pin_comes_before_that_of_its_domain() -> None:
    stack = parse_stack(
        "test",
        pinned(
            {"domain": "law.example", "regions": [WEST]},
            {"address": "Boss@LAW.example", "regions": [CENTRAL]},
        ),
    )
    found = {who: pin_of(stack.pins, who) for who in ("boss@law.example", "b@law.example", "boss@acme.example")}
    assert {who: pin and pin.regions for who, pin in found.items()} == {
        "boss@law.example": (CENTRAL,),
        "b@law.example": (WEST,),
        "boss@acme.example": None,
    }


def pin(number: int, regions: frozenset[str], groups: int | None) -> PinConfig:
    return PinConfig(domain=f"d{number}.example", regions=tuple(sorted(regions)), groups=groups)


REGIONS = st.frozensets(st.sampled_from(["eu-a", "eu-b", "eu-c"]), min_size=1)
PINS = st.lists(st.tuples(REGIONS, st.none() | st.integers(1, 5)), min_size=1, max_size=6)


@given(PINS, st.integers(64, 300))
def test_sets_of_regions_have_groups_of_their_own(drawn: list[tuple[frozenset[str], int | None]], groups: int) -> None:
    pins = [pin(number, *one) for number, one in enumerate(drawn)]
    found = reservations(pins, groups)
    chosen = [number for one in found for number in one.groups]
    assert len(chosen) == len(set(chosen))
    assert set(chosen) <= set(range(groups))
    assert {frozenset(one.regions) for one in found} == {regions for regions, _ in drawn}
    for one in found:
        sizes = [size or groups // 16 for regions, size in drawn if regions == frozenset(one.regions)]
        assert len(one.groups) == max(sizes)


@given(PINS, st.tuples(REGIONS, st.none() | st.integers(1, 5)), st.integers(64, 300))
def test_a_pin_at_the_end_moves_nobody(
    drawn: list[tuple[frozenset[str], int | None]], last: tuple[frozenset[str], int | None], groups: int
) -> None:
    """Groups hold the mail of users: one that changed its owner would put that mail where it must not be."""
    pins = [pin(number, *one) for number, one in enumerate(drawn)]
    more = [*pins, PinConfig(address="a@new.example", regions=tuple(last[0]), groups=last[1])]
    *others, _ = dict.fromkeys(regions for regions, _ in drawn)
    assume(last[0] not in others)  # more groups for a set that others follow
    after = {one.name: set(one.groups) for one in reservations(more, groups)}
    assert all(set(one.groups) <= after[one.name] for one in reservations(pins, groups))


def test_the_choice_is_the_same_in_every_version() -> None:
    """Another choice would move mail: this test stays as it is."""
    both = [pin(0, frozenset({"eu-west-1"}), None), pin(1, frozenset({"eu-west-1", "eu-central-1"}), 2)]
    assert [(one.name, one.home, one.groups) for one in reservations(both, 64)] == [
        ("eu-west-1", "eu-west-1", (11, 20, 24, 48)),
        ("eu-central-1+eu-west-1", None, (36, 38)),
    ]
