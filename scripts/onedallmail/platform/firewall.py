"""Firewall rules from the intent graph: for a server's own nftables and for its security group.

Both views come from the same pairs (flow, direction), so that no port is written twice.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Network

from .flows import Flow, Party
from .model import Platform
from .servers import Server

ANYWHERE = IPv4Network("0.0.0.0/0")


class Direction(StrEnum):
    """Seen from the server."""

    IN = "in"
    OUT = "out"


@dataclass(frozen=True)
class Rule:
    """One flow as a firewall sees it at one server: whom it may hear, or whom it may call."""

    flow: Flow
    direction: Direction
    peers: tuple[IPv4Network, ...]
    """Networks of the other end; empty for management, whose way in is not a network of the platform."""


def host_rules(platform: Platform, server: Server) -> tuple[Rule, ...]:
    """Return what one server may hear and call, by the flows it takes part in."""
    return tuple(_rules(platform, (server,), exclude=server))


def security_group_rules(platform: Platform, group: Iterable[Server]) -> tuple[Rule, ...]:
    """Return the rules of a security group that servers of one role in one region share.

    Management is left out: Session Manager needs no open port.
    """
    rules = _rules(platform, tuple(group), exclude=None)
    return tuple(r for r in rules if Party.MANAGEMENT not in (r.flow.source, r.flow.destination))


def _rules(platform: Platform, servers: tuple[Server, ...], exclude: Server | None) -> Iterable[Rule]:
    for flow in platform.flows:
        for direction, own, other in (
            (Direction.IN, flow.destination, flow.source),
            (Direction.OUT, flow.source, flow.destination),
        ):
            if not set(servers) & set(platform.members(own)):
                continue
            peers = _networks(platform, other, exclude)
            if peers or other is Party.MANAGEMENT:
                yield Rule(flow, direction, peers)


def _networks(platform: Platform, party: Party, exclude: Server | None) -> tuple[IPv4Network, ...]:
    if party is Party.INTERNET:
        return (ANYWHERE,)
    addresses = sorted(s.private_ip for s in platform.members(party) if s is not exclude)
    return tuple(IPv4Network(address) for address in addresses)
