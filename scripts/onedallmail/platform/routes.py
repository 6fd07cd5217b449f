"""The routing plan: route tables of every tier as values, and the way that a packet takes by them.

Without inspection a region's private tiers go out by the NAT gateway of their zone, and regions are peered. With it,
whatever leaves a private tier or crosses regions passes the transit gateway and the firewall of each region it touches.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network
from typing import TypeVar

from .addresses import ZONES, InspectionTier, Tier, used_subnets
from .firewall import ANYWHERE, ANYWHERE_V6, Network
from .model import Platform
from .sites import Site, region_named, server_tier

PRIVATE_TIERS = (Tier.MAIL, Tier.DATA)
"""Tiers whose servers have no address on the internet and call out through a NAT gateway."""

UNUSED = tuple(IPv4Network(n) for n in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"))
"""Private space (RFC 1918, RFC 6598): what lies in it and is no mail network is dropped by the transit gateway."""

MAX_HOPS = 12


class Target(StrEnum):
    """Where a route leads."""

    INTERNET = "internet gateway"
    NAT = "NAT gateway"
    PEERING = "VPC peering"
    TRANSIT = "transit gateway"
    FIREWALL = "firewall endpoint"
    MAIL = "mail attachment"
    INSPECTION = "inspection attachment"
    REGION = "peering attachment"
    BLACKHOLE = "blackhole"


class Side(StrEnum):
    """A route table of a transit gateway: of what comes from mail networks and other regions, or from inspection."""

    MAIL = "mail"
    INSPECTION = "inspection"


@dataclass(frozen=True)
class Route:
    """One route of a subnet's table; the VPC's own network is always local and not listed."""

    tier: Tier | InspectionTier
    zone: str
    destination: Network
    target: Target
    peer: str | None = None
    """The other region, for peering."""


@dataclass(frozen=True)
class TransitRoute:
    """One route of a transit gateway's table."""

    side: Side
    destination: IPv4Network
    target: Target
    peer: str | None = None


def crossing_tiers(platform: Platform, region: str) -> frozenset[Tier]:
    """Return the tiers that speak with other regions: those of servers, and in the first region that of the HSM."""
    tiers = {server_tier(platform, s) for s in platform.servers} | set(PRIVATE_TIERS)
    return frozenset(tiers | ({Tier.ENDPOINT} if platform.options.cloud_hsm and region == platform.home else set()))


@lru_cache(maxsize=256)
def mail_routes(platform: Platform, region: str) -> tuple[Route, ...]:
    """Return the routes of a region's mail network, for every subnet that the stack makes."""
    crossing = crossing_tiers(platform, region)
    found: list[Route] = []
    for subnet in used_subnets(region_named(platform, region), platform.options):
        tier, zone = subnet.tier, subnet.zone
        if tier is Tier.EDGE:
            found.append(Route(tier, zone, ANYWHERE, Target.INTERNET))
            if platform.options.ipv6:
                found.append(Route(tier, zone, ANYWHERE_V6, Target.INTERNET))
        elif tier in PRIVATE_TIERS:
            found.append(Route(tier, zone, ANYWHERE, Target.TRANSIT if platform.options.inspection else Target.NAT))
        if tier in crossing:
            found += _across(platform, region, tier, zone)
    return tuple(found)


def _across(platform: Platform, region: str, tier: Tier, zone: str) -> Iterable[Route]:
    if platform.options.inspection and tier in PRIVATE_TIERS:
        return
    target = Target.TRANSIT if platform.options.inspection else Target.PEERING
    for name, cidr in platform.regions.items():
        if name != region:
            yield Route(tier, zone, cidr, target, None if target is Target.TRANSIT else name)


@lru_cache(maxsize=256)
def inspection_routes(platform: Platform, region: str) -> tuple[Route, ...]:
    """Return the routes of a region's inspection network; the same in every region."""
    del region
    found = []
    for zone in ZONES:
        found.append(Route(InspectionTier.TRANSIT, zone, ANYWHERE, Target.FIREWALL))
        found.append(Route(InspectionTier.FIREWALL, zone, ANYWHERE, Target.NAT))
        found.append(Route(InspectionTier.NAT, zone, ANYWHERE, Target.INTERNET))
        for cidr in platform.regions.values():
            found.append(Route(InspectionTier.FIREWALL, zone, cidr, Target.TRANSIT))
            found.append(Route(InspectionTier.NAT, zone, cidr, Target.FIREWALL))
    return tuple(found)


@lru_cache(maxsize=256)
def transit_routes(platform: Platform, region: str) -> tuple[TransitRoute, ...]:
    """Return the routes of a region's transit gateway, on both sides of inspection."""
    found = [TransitRoute(Side.MAIL, ANYWHERE, Target.INSPECTION)]
    for name, cidr in platform.regions.items():
        found.append(TransitRoute(Side.MAIL, cidr, Target.INSPECTION))
        onward = Target.MAIL if name == region else Target.REGION
        found.append(TransitRoute(Side.INSPECTION, cidr, onward, None if name == region else name))
    mail = set(platform.regions.values())
    found += [TransitRoute(side, n, Target.BLACKHOLE) for side in Side for n in UNUSED if n not in mail]
    return tuple(found)


AnyRoute = TypeVar("AnyRoute", Route, TransitRoute)


class Step(StrEnum):
    """What happens to a packet on its way."""

    LEAVE = "leaves subnet"
    ENTER = "enters subnet"
    FIREWALL = "network firewall"
    NAT = "NAT gateway"
    INTERNET = "internet gateway"
    PEERING = "VPC peering"
    TRANSIT = "transit gateway"


@dataclass(frozen=True)
class Hop:
    """One step of a way, in a region; `tier` for subnets."""

    step: Step
    region: str
    tier: Tier | None = None

    def __str__(self) -> str:
        return " ".join(filter(None, (self.step, self.region, self.tier)))


@lru_cache(maxsize=65536)
def way(platform: Platform, source: Site, target: Site) -> tuple[Hop, ...] | None:
    """Return the steps from one site to another in different subnets, or None where no route leads.

    Sites are taken by region and tier; every zone of a tier has the same routes.
    """
    if not source.inside:
        return _from_internet(target)
    region, tier = str(source.region), source.tier
    leave = Hop(Step.LEAVE, region, tier)
    if source.region == target.region:
        return (leave, Hop(Step.ENTER, region, target.tier))
    address = _address(platform, target)
    route = _longest((r for r in mail_routes(platform, region) if r.tier is tier), address)
    if route is None:
        return None
    onward = _onward(platform, region, route, target)
    return None if onward is None else (leave, *onward)


def _from_internet(target: Site) -> tuple[Hop, ...] | None:
    """Only the edge has public addresses."""
    if target.tier is not Tier.EDGE:
        return None
    region = str(target.region)
    return (Hop(Step.INTERNET, region), Hop(Step.ENTER, region, Tier.EDGE))


def _address(platform: Platform, target: Site) -> IPv4Address:
    """Return an address of the site; for the internet one that is kept for documents (RFC 5737)."""
    return platform.regions[target.region].network_address + 1 if target.region else IPv4Address("203.0.113.1")


def _longest(routes: Iterable[AnyRoute], address: IPv4Address) -> AnyRoute | None:
    fitting = [r for r in routes if address in r.destination]
    return max(fitting, key=lambda r: r.destination.prefixlen, default=None)


def _onward(platform: Platform, region: str, route: Route, target: Site) -> tuple[Hop, ...] | None:
    """Return the steps after a packet has left its subnet by a route."""
    match route.target:
        case Target.INTERNET:
            return None if target.inside else (Hop(Step.INTERNET, region),)
        case Target.NAT:
            edge = (Hop(Step.ENTER, region, Tier.EDGE), Hop(Step.NAT, region), Hop(Step.LEAVE, region, Tier.EDGE))
            return None if target.inside else (*edge, Hop(Step.INTERNET, region))
        case Target.PEERING:
            arrival = Hop(Step.ENTER, str(target.region), target.tier)
            return (Hop(Step.PEERING, region), arrival) if route.peer == target.region else None
        case Target.TRANSIT:
            return _by_transit(platform, region, target)
        case _:
            return None


def _by_transit(platform: Platform, region: str, target: Site) -> tuple[Hop, ...] | None:
    """Follow the tables of transit gateways and inspection networks until the packet arrives or is dropped."""
    address, here, side = _address(platform, target), region, Side.MAIL
    hops = [Hop(Step.ENTER, region, Tier.TRANSIT)]
    for _ in range(MAX_HOPS):
        hops.append(Hop(Step.TRANSIT, here))
        route = _longest((r for r in transit_routes(platform, here) if r.side is side), address)
        if route is None or route.target is Target.BLACKHOLE:
            return None
        if route.target is Target.MAIL:
            arrival = (Hop(Step.LEAVE, here, Tier.TRANSIT), Hop(Step.ENTER, here, target.tier))
            return (*hops, *arrival) if target.region == here else None
        if route.target is Target.REGION:
            here, side = str(route.peer), Side.MAIL
            continue
        hops.append(Hop(Step.FIREWALL, here))
        behind = (r for r in inspection_routes(platform, here) if r.tier is InspectionTier.FIREWALL)
        passed = _longest(behind, address)
        if passed is None:
            return None
        if passed.target is Target.NAT:
            return (*hops, Hop(Step.NAT, here), Hop(Step.INTERNET, here)) if not target.inside else None
        side = Side.INSPECTION
    return None
