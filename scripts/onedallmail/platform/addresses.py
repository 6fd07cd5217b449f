"""The address plan: each region's networks cut into subnets, and one private address for each server.

A mail network is cut into 16 equal slots: four a tier, of which three hold the zones. The fourth slot of each tier is
kept for growth; a part of the last one holds the transit gateway's small subnets. Each region's inspection network
is a /24 of its own, cut into 16 slots likewise.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Network
from itertools import islice

from .options import Options
from .regions import REGION_NUMBERS
from .roles import ServerRole
from .stack import RegionConfig, ServerConfig, StackConfig, StackError

ZONES = ("a", "b", "c")
SLOT_BITS = 4
SLOTS_PER_TIER = 4
TRANSIT_PREFIX = 28
"""Subnets of transit gateway attachments hold nothing else; AWS allows no smaller subnet."""
FIRST_HOST = 10
"""AWS keeps the first four addresses and the last of each subnet; servers begin well above."""


class Tier(StrEnum):
    """What a subnet of a mail network is for; the order is the order of the slots."""

    EDGE = "edge"
    """Routed to the internet gateway: load balancers, Elastic IPs, NAT gateways where the mail network has them."""
    MAIL = "mail"
    """Mail servers behind load balancers."""
    DATA = "data"
    """Witnesses: logs, votes, evidence. No way in from the internet."""
    ENDPOINT = "endpoint"
    """Interfaces of AWS services and of the HSM; no way out."""
    TRANSIT = "transit"
    """The transit gateway's attachments."""


class InspectionTier(StrEnum):
    """What a subnet of an inspection network is for; the order is the order of the slots."""

    TRANSIT = "transit"
    FIREWALL = "firewall"
    NAT = "nat"


@dataclass(frozen=True)
class Subnet:
    """One subnet of a mail network."""

    region: str
    tier: Tier
    zone: str
    cidr: IPv4Network
    ipv6_slot: int
    """Number of its /64 in the /56 that AWS gives the VPC."""


@dataclass(frozen=True)
class InspectionSubnet:
    """One subnet of an inspection network."""

    region: str
    tier: InspectionTier
    zone: str
    cidr: IPv4Network


def tier_of(role: ServerRole, options: Options) -> Tier:
    """Return the tier in which servers of a role stand."""
    if role is ServerRole.WITNESS:
        return Tier.DATA
    return Tier.MAIL if options.balancers else Tier.EDGE


def region_subnets(region: RegionConfig) -> dict[tuple[Tier, str], Subnet]:
    """Return every subnet of a region's mail network by tier and zone, whether the stack uses it yet or not."""
    slots = list(region.cidr.subnets(prefixlen_diff=SLOT_BITS))
    equal = [tier for tier in Tier if tier is not Tier.TRANSIT]
    plan: dict[tuple[Tier, str], Subnet] = {
        (tier, zone): Subnet(region.name, tier, zone, slots[number := t * SLOTS_PER_TIER + z], number)
        for t, tier in enumerate(equal)
        for z, zone in enumerate(ZONES)
    }
    small = slots[-1].subnets(new_prefix=TRANSIT_PREFIX)
    for zone, cidr in zip(ZONES, small, strict=False):
        plan[Tier.TRANSIT, zone] = Subnet(region.name, Tier.TRANSIT, zone, cidr, len(plan) + SLOTS_PER_TIER)
    return plan


def inspection_network(stack: StackConfig, region: str) -> IPv4Network:
    """Return the /24 of a region's inspection VPC: by the region's own number, so that others may come and go."""
    return list(stack.inspection_network.subnets(new_prefix=24))[REGION_NUMBERS[region]]


def inspection_subnets(stack: StackConfig, region: str) -> dict[tuple[InspectionTier, str], InspectionSubnet]:
    """Return every subnet of a region's inspection network by tier and zone."""
    slots = list(inspection_network(stack, region).subnets(prefixlen_diff=SLOT_BITS))
    return {
        (tier, zone): InspectionSubnet(region, tier, zone, slots[t * SLOTS_PER_TIER + z])
        for t, tier in enumerate(InspectionTier)
        for z, zone in enumerate(ZONES)
    }


def subnet_ipv6(network: IPv6Network, slot: int) -> IPv6Network:
    """Return the /64 of a subnet in the /56 of its VPC."""
    return list(network.subnets(new_prefix=64))[slot]


def used_subnets(region: RegionConfig, options: Options) -> tuple[Subnet, ...]:
    """Return the subnets that a stack makes.

    With load balancers, endpoints or inspection these are all of their tiers in three zones. Otherwise they are those
    that hold a server, and the edge subnets through which the inner ones go out.
    """
    plan = region_subnets(region)
    wanted: set[tuple[Tier, str]] = {(tier_of(s.role, options), s.zone) for s in region.servers}
    wanted |= {(Tier.EDGE, zone) for tier, zone in wanted if tier is not Tier.EDGE}
    if options.whole_network:
        tiers = {Tier.EDGE, Tier.DATA} | ({Tier.MAIL} if options.balancers else set())
        tiers |= {Tier.TRANSIT} if options.inspection else set()
        tiers |= {Tier.ENDPOINT} if options.endpoints or options.cloud_hsm else set()
        wanted |= {(tier, zone) for tier in tiers for zone in ZONES}
    elif options.cloud_hsm:
        wanted |= {(Tier.ENDPOINT, zone) for zone in ZONES}
    return tuple(plan[key] for key in sorted(wanted, key=lambda k: (list(Tier).index(k[0]), k[1])))


def server_addresses(stack: StackConfig) -> dict[str, IPv4Address]:
    """Return each server's private address by its name: the one it states, otherwise the next free one.

    Raises:
        StackError: a stated address lies outside the server's subnet or is kept by AWS, or a subnet is full.
    """
    found: dict[str, IPv4Address] = {}
    for index, region in enumerate(stack.regions):
        plan = region_subnets(region)
        stated = {s.address for s in region.servers if s.address}
        free = {key: _free_hosts(subnet.cidr, stated) for key, subnet in plan.items()}
        for number, server in enumerate(region.servers):
            key = (tier_of(server.role, stack.options), server.zone)
            where = f"Pulumi.{stack.stack}.yaml: regions.{index}.servers.{number}"
            found[server.name] = _place(server, plan[key].cidr, free[key], where)
    return found


def _free_hosts(cidr: IPv4Network, stated: set[IPv4Address]) -> Iterator[IPv4Address]:
    hosts = islice(cidr, FIRST_HOST, cidr.num_addresses - 1)
    return (host for host in hosts if host not in stated)


def _place(server: ServerConfig, cidr: IPv4Network, free: Iterator[IPv4Address], where: str) -> IPv4Address:
    if server.address is None:
        address = next(free, None)
        if address is None:
            msg = f"{where}: subnet {cidr} is full: give the region a larger network or use another zone"
            raise StackError(msg)
        return address
    usable = islice(cidr, 4, cidr.num_addresses - 1)
    if server.address not in cidr:
        msg = f"{where}.address: {server.address} lies outside {cidr}, the subnet of zone {server.zone}"
        raise StackError(msg)
    if server.address not in set(usable):
        msg = f"{where}.address: {server.address} is kept by AWS: take the fifth to the last but one of {cidr}"
        raise StackError(msg)
    return server.address
