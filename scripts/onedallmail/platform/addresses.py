"""The address plan: each region's network cut into subnets, and one private address for each server.

A region's network is cut into 16 equal slots: four a tier, of which three hold the zones and one is kept for growth.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network
from itertools import islice

from .roles import ServerRole
from .stack import RegionConfig, ServerConfig, StackConfig, StackError

ZONES = ("a", "b", "c")
SLOT_BITS = 4
SLOTS_PER_TIER = 4
FIRST_HOST = 10
"""AWS keeps the first four addresses and the last of each subnet; servers begin well above."""


class Tier(StrEnum):
    """A subnet's distance from the internet; the order is the order of the slots."""

    EDGE = "edge"
    """Routed to the internet gateway: hosts with an Elastic IP, and the NAT gateways."""
    CORE = "core"
    """No way in from the internet; out by the NAT gateway only."""


TIER_OF_ROLE = {ServerRole.MAIL: Tier.EDGE, ServerRole.WITNESS: Tier.CORE}


@dataclass(frozen=True)
class Subnet:
    """One subnet of the plan."""

    region: str
    tier: Tier
    zone: str
    cidr: IPv4Network


def region_subnets(region: RegionConfig) -> dict[tuple[Tier, str], Subnet]:
    """Return every subnet of a region by tier and zone, whether a server uses it yet or not."""
    slots = list(region.cidr.subnets(prefixlen_diff=SLOT_BITS))
    return {
        (tier, zone): Subnet(region.name, tier, zone, slots[t * SLOTS_PER_TIER + z])
        for t, tier in enumerate(Tier)
        for z, zone in enumerate(ZONES)
    }


def used_subnets(region: RegionConfig) -> tuple[Subnet, ...]:
    """Return the subnets that hold a server, and the edge subnets through which core subnets go out."""
    plan = region_subnets(region)
    wanted = {(TIER_OF_ROLE[s.role], s.zone) for s in region.servers}
    wanted |= {(Tier.EDGE, zone) for tier, zone in wanted if tier is Tier.CORE}
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
            key = (TIER_OF_ROLE[server.role], server.zone)
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
