"""Who may send or take a packet in the proof: every server, what AWS runs for us, the internet, and strangers.

A stranger is an interface that nobody declared, in a tier of ours, behind a security group that lets it call anything.
At the edge there is none beside load balancers: their addresses change, so groups name the edge's subnets.
"""

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address

from .addresses import Tier, region_subnets, used_subnets
from .flows import Party
from .layers import group_of_party, group_of_servers, served_regions
from .model import HSM_ZONES, Platform
from .sites import INTERNET, Site, region_named, server_tier

Address = IPv4Address | IPv6Address

INTERNET_HOST, USER_HOST = IPv4Address("203.0.113.7"), IPv4Address("198.51.100.20")
"""Addresses that are kept for documents (RFC 5737) stand for the internet and for a user's network."""
INTERNET_HOST_V6, EDGE_V6 = IPv6Address("2001:db8:ffff::7"), IPv6Address("2001:db8::")
"""The same for IPv6 (RFC 3849); addresses of a VPC are known only once AWS has given them."""
RESOLVER = IPv4Address("169.254.169.253")
"""Amazon's resolver answers from a link-local address (VPC User Guide, "Amazon DNS server")."""


class Kind(StrEnum):
    """What an actor is."""

    INTERNET = "internet"
    USER = "user network"
    SERVER = "server"
    SERVICE = "service of AWS"
    RESOLVER = "resolver"
    STRANGER = "stranger"


@dataclass(frozen=True)
class Actor:
    """One end of a packet."""

    name: str
    kind: Kind
    address: Address
    site: Site
    """With a single zone, where the actor stands in one."""
    parties: frozenset[Party] = frozenset()
    group: str | None = None
    host: str | None = None

    @property
    def target(self) -> bool:
        """Whether the actor is also tried as the destination of packets."""
        return self.kind not in (Kind.STRANGER, Kind.RESOLVER, Kind.USER)


def actors(platform: Platform) -> tuple[Actor, ...]:
    """Return every actor of a platform, each once, in a fixed order."""
    outside = frozenset({Party.INTERNET})
    found = [
        Actor("internet", Kind.INTERNET, INTERNET_HOST, INTERNET, outside),
        Actor("user network", Kind.USER, USER_HOST, INTERNET, outside),
    ]
    if platform.options.ipv6:
        found.append(Actor("internet, IPv6", Kind.INTERNET, INTERNET_HOST_V6, INTERNET, outside))
    found += _servers(platform)
    found += _services(platform)
    found += _strangers(platform)
    found += [Actor(f"resolver of {region}", Kind.RESOLVER, RESOLVER, Site(region)) for region in platform.regions]
    return tuple(found)


def _servers(platform: Platform) -> list[Actor]:
    return [
        Actor(
            server.name,
            Kind.SERVER,
            server.private_ip,
            Site(server.region, server_tier(platform, server), (server.zone[-1],)),
            frozenset(party for party in Party if server in platform.members(party)),
            group_of_servers(server.region, server.role),
            server.name,
        )
        for server in platform.servers
    ]


def _services(platform: Platform) -> list[Actor]:
    """Return load balancers, endpoints and HSMs, at an address in each subnet that their parties may use."""
    found = []
    for party, tier, zones in (
        (Party.EDGE, Tier.EDGE, ("a",)),
        (Party.WEB, Tier.EDGE, ("b",)),
        (Party.ENDPOINT, Tier.ENDPOINT, ("c",)),
        (Party.HSM, Tier.ENDPOINT, HSM_ZONES),
    ):
        for region in served_regions(platform, party):
            plan = region_subnets(region_named(platform, region))
            for zone in zones:
                site, group = Site(region, tier, (zone,)), group_of_party(region, party)
                name = f"{party} {region}{zone if len(zones) > 1 else ''}"
                address = plan[tier, zone].cidr[5]
                found.append(Actor(name, Kind.SERVICE, address, site, frozenset({party}), group))
                if platform.options.ipv6 and tier is Tier.EDGE:
                    number = len(found)
                    found.append(
                        Actor(f"{name}, IPv6", Kind.SERVICE, EDGE_V6 + number, site, frozenset({party}), group)
                    )
    return found


def _strangers(platform: Platform) -> list[Actor]:
    by_subnet = platform.options.balancers
    found = []
    for region in platform.config.regions:
        tiers = {s.tier: s for s in used_subnets(region, platform.options)}
        for tier, subnet in tiers.items():
            if tier is Tier.TRANSIT or (tier is Tier.EDGE and by_subnet):
                continue
            site = Site(region.name, tier, (subnet.zone,))
            found.append(Actor(f"stranger in {region.name} {tier}", Kind.STRANGER, subnet.cidr[-3], site))
    return found
