"""Servers, their states, and pins: what the planner of placement is told. Refused when no map could obey it.

A pin reserves groups whose mail may only be kept in named regions. The standby is a copy, so it counts: a pin names
two regions or more, or only the region of the home; then the standby may be in any other region.
"""

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from onedallmail.placement.map import MAX_GROUPS, Placement, PlacementError, PlacementMap, validate


class PlanError(PlacementError):
    """A plan that can't be, with the reason and the way out."""


class State(StrEnum):
    """What a server may hold. Without a key in etcd it serves if the map names it, and is new otherwise."""

    SERVING = "serving"
    DRAINING = "draining"
    """Still serves and is copied from; its groups leave."""
    RETIRED = "retired"
    """Gone: nothing can be copied from it."""
    NEW = "new"
    """Not admitted yet: gets nothing."""


@dataclass(frozen=True, slots=True)
class MailHost:
    """A mail server as the planner sees it; of two servers, one with twice the weight gets twice as much."""

    name: str
    region: str
    weight: float = 1.0
    state: State = State.SERVING


@dataclass(frozen=True, slots=True)
class Pin:
    """Groups reserved for users whose mail must stay where this says."""

    name: str
    groups: frozenset[int]
    home: str | None = None
    """Region of the home. After a failover it is the standby's until a plan swaps it back."""
    regions: frozenset[str] = frozenset()
    """Regions of home and standby; empty: any."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Where home and standby of a class of groups may be."""

    homes: frozenset[str]
    regions: frozenset[str]


@dataclass(frozen=True)
class Fleet:
    """The servers of a platform, its number of groups, its pins, and regions that are being given up on purpose."""

    hosts: tuple[MailHost, ...]
    groups: int
    pins: tuple[Pin, ...] = ()
    leaving: frozenset[str] = frozenset()
    by_name: Mapping[str, MailHost] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Bring servers and pins into one order, and refuse what no map could obey (PlanError)."""
        object.__setattr__(self, "hosts", tuple(sorted(self.hosts, key=lambda host: host.name)))
        object.__setattr__(self, "pins", tuple(sorted(self.pins, key=lambda pin: pin.name)))
        object.__setattr__(self, "by_name", {host.name: host for host in self.hosts})
        _check_hosts(self)
        _check_pins(self)

    @property
    def serving(self) -> tuple[MailHost, ...]:
        """Servers that may get groups, in the order of their names."""
        return tuple(host for host in self.hosts if host.state is State.SERVING)

    @property
    def regions(self) -> frozenset[str]:
        """Regions with a server that may get groups."""
        return frozenset(host.region for host in self.serving)

    def rules(self) -> dict[int, Rule]:
        """Return the rule of each pinned group; all others follow `free`."""
        ruled = [(self.rule(pin), pin.groups) for pin in self.pins]
        return {number: rule for rule, groups in ruled for number in groups}

    @property
    def free(self) -> Rule:
        """The rule of groups without a pin."""
        return Rule(self.regions, self.regions)

    def rule(self, pin: Pin) -> Rule:
        """Return what a pin allows among the regions that serve."""
        regions = pin.regions & self.regions if pin.regions else self.regions
        return Rule(frozenset({pin.home}) if pin.home else regions, regions)


def _check_hosts(fleet: Fleet) -> None:
    if not 1 <= fleet.groups <= MAX_GROUPS:
        msg = f"{fleet.groups} placement groups: choose 1 to {MAX_GROUPS}"
        raise PlanError(msg)
    for name, count in Counter(host.name for host in fleet.hosts).items():
        if count > 1:
            msg = f"two servers are named {name}: give each a name of its own"
            raise PlanError(msg)
    for host in fleet.hosts:
        if not (math.isfinite(host.weight) and host.weight > 0):
            msg = f"server {host.name} has the weight {host.weight}: write a positive number, or set it to draining"
            raise PlanError(msg)
    for region in sorted(fleet.leaving - {host.region for host in fleet.hosts}):
        msg = f"region {region}, which shall be left, has no mail server: leave it out"
        raise PlanError(msg)
    if len(fleet.regions) < 2:  # noqa: PLR2004 - a home and a standby
        msg = (
            f"servers {[host.name for host in fleet.serving]} that serve are not in two regions: a standby lives in "
            "another region than its home; add or admit one, or set one that is draining or retired back to serving"
        )
        raise PlanError(msg)


def _check_pins(fleet: Fleet) -> None:
    known, owners = {host.region for host in fleet.hosts}, dict[int, str]()
    for pin in fleet.pins:
        named = pin.regions | ({pin.home} if pin.home else set())
        _check_pin(pin, named, known, fleet)
        for number in sorted(pin.groups):
            if not 0 <= number < fleet.groups:
                msg = f"pin {pin.name}: group {number} does not exist: take groups 0 to {fleet.groups - 1}"
                raise PlanError(msg)
            if owners.setdefault(number, pin.name) != pin.name:
                msg = f"group {number} belongs to pins {owners[number]} and {pin.name}: take it out of one of them"
                raise PlanError(msg)


def _check_pin(pin: Pin, named: Collection[str], known: Collection[str], fleet: Fleet) -> None:
    where = f"pin {pin.name}"
    if not named or not pin.groups:
        msg = f"{where} names no {'groups' if named else 'region'}: name them, or remove the pin"
        raise PlanError(msg)
    for region in sorted(set(named) - set(known)):
        msg = f"{where}: no mail server is in region {region}: name one of {', '.join(sorted(known))}"
        raise PlanError(msg)
    if len(pin.regions) == 1:
        msg = (
            f"{where} names the region {min(pin.regions)} only, but a standby lives in another region than its home: "
            "name a second region in which the standby may be, or state the region as `home`, "
            "so that the standby may be in any other"
        )
        raise PlanError(msg)
    if pin.home and pin.regions and pin.home not in pin.regions:
        msg = f"{where}: its home region {pin.home} is not among its regions: add it to them"
        raise PlanError(msg)
    if pin.home and pin.home not in fleet.regions:
        msg = f"{where}: no server in its home region {pin.home} serves: set one back to serving, or change the pin"
        raise PlanError(msg)
    if pin.regions and len(pin.regions & fleet.regions) < 2:  # noqa: PLR2004 - a home and a standby
        msg = (
            f"{where}: of its regions {', '.join(sorted(pin.regions))} fewer than two have a server that serves: "
            "set one back to serving, or add a region to the pin"
        )
        raise PlanError(msg)


def check_present(fleet: Fleet, present: PlacementMap) -> None:
    """Raise PlanError where the present map is wrong, or where what it holds would be lost."""
    regions = {host.name: host.region for host in fleet.hosts}
    held = Counter[str]()
    for number, placement in sorted(present.items()):
        if not 0 <= number < fleet.groups:
            msg = f"the map has group {number}, this platform has 0 to {fleet.groups - 1}: delete its key in etcd"
            raise PlanError(msg)
        try:
            validate(number, placement, regions)
        except PlacementError as error:
            raise PlanError(str(error)) from error
        held.update((placement.home, placement.standby))
        _check_copies(number, placement, fleet)
    for host in fleet.hosts:
        if host.state is not State.SERVING and held[host.name]:
            _check_last(host, held[host.name], fleet)


def _check_copies(number: int, placement: Placement, fleet: Fleet) -> None:
    if all(fleet.by_name[name].state is State.RETIRED for name in (placement.home, placement.standby)):
        msg = (
            f"placement group {number} is only on {placement.home} and {placement.standby}, which are both retired: "
            "set one of them to draining until a plan has copied its groups"
        )
        raise PlanError(msg)


def _check_last(host: MailHost, copies: int, fleet: Fleet) -> None:
    if host.region in fleet.regions or host.region in fleet.leaving:
        return
    msg = (
        f"server {host.name} is {host.state} with {copies} copies of groups, and no other server of {host.region} "
        f"serves: add a server there or set {host.name} back to serving; to give the region up, say that it is left"
    )
    raise PlanError(msg)


def pin_record(pin: Pin) -> dict[str, object]:
    """Return a pin as a JSON object."""
    return {"name": pin.name, "groups": sorted(pin.groups), "home": pin.home, "regions": sorted(pin.regions)}


def pin_from(record: Mapping[str, Any]) -> Pin:
    """Return the pin of such an object; raises KeyError, TypeError or ValueError."""
    home = record["home"]
    groups = frozenset(int(number) for number in record["groups"])
    regions = frozenset(str(region) for region in record["regions"])
    return Pin(str(record["name"]), groups, None if home is None else str(home), regions)


def fleet_of(servers: Mapping[str, str], groups: int) -> Fleet:
    """Return a fleet of serving servers (name to region) with equal weights."""
    return Fleet(tuple(MailHost(name, region) for name, region in servers.items()), groups)


def with_states(hosts: Sequence[MailHost], states: Mapping[str, State]) -> tuple[MailHost, ...]:
    """Return the servers with some states changed; raises PlanError for a server that is not among them."""
    unknown = sorted(set(states) - {host.name for host in hosts})
    if unknown:
        msg = f"there is no mail server {unknown[0]}: name one of {', '.join(sorted(host.name for host in hosts))}"
        raise PlanError(msg)
    return tuple(MailHost(host.name, host.region, host.weight, states.get(host.name, host.state)) for host in hosts)
