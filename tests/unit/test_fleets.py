"""A new mailbox gets a group that its pin reserves, or one that no pin does; plans know the stack file's fleet."""

from functools import partial
from typing import Any

import pytest

from onedallmail import fleets
from onedallmail.directory import remote
from onedallmail.directory.errors import InputError
from onedallmail.directory.seed import places
from onedallmail.directory.session import Answer
from onedallmail.fleets import allowed_groups, group_for, misplaced, pins_of, stack_fleet
from onedallmail.placement.fleet import PlanError, State
from onedallmail.placement.map import initial
from onedallmail.placement.plan import applied, plan
from onedallmail.platform.model import Platform, build_platform
from onedallmail.platform.stack import parse_stack

from .stacks import small

CENTRAL, WEST = "eu-central-1", "eu-west-1"
GROUPS = 64


def platform(*pins: dict[str, Any]) -> Platform:
    settings = {**small(), "domains": ["acme.example", "law.example"], "pins": list(pins)}
    settings["regions"][0]["servers"][1]["weight"] = 2
    return build_platform(parse_stack("test", settings))


PINNED = platform(
    {"domain": "law.example", "regions": [WEST], "groups": 6},
    {"address": "boss@acme.example", "regions": [CENTRAL, WEST]},
)
LAW, BOSS = (pin.groups for pin in sorted(pins_of(PINNED), key=lambda pin: pin.name, reverse=True))


def even() -> dict[int, int]:
    return dict.fromkeys(range(GROUPS), 3)


def test_the_fleet_has_the_weights_and_states_of_the_servers() -> None:
    found = stack_fleet(PINNED, {"b1": State.DRAINING})
    assert [(host.name, host.weight, host.state) for host in found.hosts] == [
        ("a1", 1, State.SERVING),
        ("a2", 2, State.SERVING),
        ("b1", 1, State.DRAINING),
        ("b2", 1, State.SERVING),
    ]
    with pytest.raises(PlanError, match="no mail server z9"):
        stack_fleet(PINNED, {"z9": State.DRAINING})


def test_a_plan_brings_pinned_groups_to_their_regions_and_keeps_them_there() -> None:
    regions = {server.name: server.region for server in PINNED.mail_servers}
    fleet = stack_fleet(PINNED, {})
    after = applied(initial(GROUPS, regions), plan(fleet, initial(GROUPS, regions), {}).moves)
    assert {regions[after[number].home] for number in LAW} == {WEST}
    drained = applied(after, plan(stack_fleet(PINNED, {"b1": State.DRAINING}), after, {}).moves)
    assert {drained[number].home for number in LAW} == {"b2"}


def test_of_two_regions_home_and_standby_are_among_them() -> None:
    settings = {**small(), "pins": [{"domain": "acme.example", "regions": [CENTRAL, WEST]}]}
    settings["regions"].append(
        {"name": "eu-south-1", "cidr": "10.40.0.0/16", "servers": [{"name": "d1", "voter": False}]}
    )
    three = build_platform(parse_stack("test", settings))
    regions = {server.name: server.region for server in three.mail_servers}
    found = applied({}, plan(stack_fleet(three, {}), {}, {}, tolerance=0).moves)
    pinned = pins_of(three)[0].groups
    assert {regions[name] for n in pinned for name in (found[n].home, found[n].standby)} == {CENTRAL, WEST}
    assert any("d1" in (place.home, place.standby) for place in found.values())


@pytest.mark.parametrize(
    ("address", "groups"),
    [
        ("anna@law.example", LAW),
        ("boss@acme.example", BOSS),
        ("alice@acme.example", frozenset(range(GROUPS)) - LAW - BOSS),
    ],
)
def test_a_new_mailbox_gets_the_smallest_of_its_groups(address: str, groups: frozenset[int]) -> None:
    assert allowed_groups(PINNED, address) == groups
    for smallest in groups:
        sizes = {**even(), **dict.fromkeys(set(range(GROUPS)) - groups, 0), smallest: 1}
        assert group_for(PINNED, address, None, partial(dict, sizes)) == smallest


def test_without_pins_every_group_may_be_had() -> None:
    assert allowed_groups(platform(), "anna@law.example") == frozenset(range(GROUPS))


@pytest.mark.parametrize(
    ("address", "number", "reason"),
    [
        ("anna@law.example", min(set(range(GROUPS)) - LAW), "pinned to eu-west-1, and placement group"),
        ("boss@acme.example", min(LAW), "pinned to eu-central-1 and eu-west-1"),
        ("alice@acme.example", min(LAW), "reserved by a pin"),
        ("alice@acme.example", -1, "does not exist: take one of 0 to 63"),
        ("alice@acme.example", GROUPS, "does not exist: take one of 0 to 63"),
    ],
)
def test_a_group_that_is_not_for_the_mailbox_is_refused(address: str, number: int, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        group_for(PINNED, address, number, even)


def test_a_group_that_is_for_the_mailbox_may_be_named() -> None:
    assert all(group_for(PINNED, "anna@law.example", number, even) == number for number in LAW)


@pytest.mark.parametrize("wanted", [None, max(LAW)])
def test_user_add_writes_the_group_of_the_pin(monkeypatch: pytest.MonkeyPatch, wanted: int | None) -> None:
    rows: list[dict[str, Any]] = []
    counts = {str(number): 5 for number in range(GROUPS)} | {str(max(LAW)): 1}
    monkeypatch.setattr(remote, "load_platform", lambda _: PINNED)
    monkeypatch.setattr(fleets, "read", lambda *_: Answer(counts, None))
    monkeypatch.setattr(remote, "change", lambda _stack, _statement, row: rows.append(row))
    remote.add("test", "anna@law.example", "correct horse battery staple", group=wanted)
    assert [row["group"] for row in rows] == [max(LAW)]


def test_pinned_mailboxes_from_before_their_pin_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    law, boss = min(LAW), min(BOSS)
    rows = [["a@law.example", law], ["b@law.example", boss], ["boss@acme.example", boss]]
    monkeypatch.setattr(fleets, "read", lambda *_: Answer(rows, None))
    assert misplaced(PINNED) == {"b@law.example": boss}
    assert misplaced(platform()) == {}


def test_demonstration_accounts_obey_pins() -> None:
    homes = {0: "a1", 1: "a1", 2: "b1", 3: "b1"}
    assert places(homes, "a1", {1, 2, 3}) == [1]
    assert places(homes, "a1", {2, 3}) == [2, 3]
