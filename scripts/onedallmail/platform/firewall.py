"""Firewall rules from the intent graph: for a server's own nftables and for security groups.

All views come from the same pairs (flow, direction), so that no port is written twice.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network

from .flows import Flow, Party
from .model import Platform
from .servers import Server

Network = IPv4Network | IPv6Network
ANYWHERE = IPv4Network("0.0.0.0/0")
ANYWHERE_V6 = IPv6Network("::/0")

SERVED_BY_AWS = (Party.EDGE, Party.WEB, Party.ENDPOINT, Party.HSM)
"""Parties with a security group of their own that are no servers of ours."""


class Direction(StrEnum):
    """Seen from the end that holds the rule."""

    IN = "in"
    OUT = "out"


@dataclass(frozen=True)
class Rule:
    """One flow as a firewall sees it at one end: whom it may hear, or whom it may call."""

    flow: Flow
    direction: Direction
    peers: tuple[Network, ...]
    """Networks of the other end; empty for management, whose way in is not a network of the platform."""


def host_rules(platform: Platform, server: Server) -> tuple[Rule, ...]:
    """Return what one server may hear and call, by the flows it takes part in."""
    return tuple(_rules(platform, _parties(platform, (server,)), server.region, exclude=server))


def security_group_rules(platform: Platform, group: Iterable[Server]) -> tuple[Rule, ...]:
    """Return the rules of a security group that servers of one role in one region share.

    Management is left out: Session Manager needs no open port.
    """
    members = tuple(group)
    if not members:
        return ()
    rules = _rules(platform, _parties(platform, members), members[0].region, exclude=None)
    return tuple(r for r in rules if Party.MANAGEMENT not in (r.flow.source, r.flow.destination))


def party_rules(platform: Platform, party: Party, region: str) -> tuple[Rule, ...]:
    """Return the rules of the security group of a region's load balancer, endpoints or HSM."""
    return tuple(_rules(platform, frozenset({party}), region, exclude=None))


def _parties(platform: Platform, servers: tuple[Server, ...]) -> frozenset[Party]:
    return frozenset(party for party in Party if set(servers) & set(platform.members(party)))


def _rules(platform: Platform, own: frozenset[Party], region: str, exclude: Server | None) -> Iterable[Rule]:
    for flow in platform.flows:
        for direction, near, far in (
            (Direction.IN, flow.destination, flow.source),
            (Direction.OUT, flow.source, flow.destination),
        ):
            if near not in own:
                continue
            peers = _networks(platform, flow, near=near, far=far, region=region, exclude=exclude)
            if peers or far is Party.MANAGEMENT:
                yield Rule(flow, direction, peers)


def _networks(
    platform: Platform, flow: Flow, *, near: Party, far: Party, region: str, exclude: Server | None
) -> tuple[Network, ...]:
    if far is Party.INTERNET:
        dual = platform.options.ipv6 and near in (Party.EDGE, Party.WEB)
        return (ANYWHERE, ANYWHERE_V6) if dual else (ANYWHERE,)
    if far in SERVED_BY_AWS:
        return platform.networks(far, region)
    return tuple(
        network
        for network, server in addresses_of(platform, far)
        if server is not exclude and (server.region == region or not flow.regional)
    )


@lru_cache(maxsize=64)
def addresses_of(platform: Platform, party: Party) -> tuple[tuple[IPv4Network, Server], ...]:
    """Return a party's servers, each after its address as a network, in the order of addresses."""
    members = sorted(platform.members(party), key=lambda s: s.private_ip)
    return tuple((IPv4Network(server.private_ip), server) for server in members)
