"""Whether a packet passes every filter on its way, and which rules let it: for all ports at once, by intervals.

Ports between two boundaries of any filter are alike, so one port of each interval stands for all of it; together the
intervals are all ports from 0 to 65535.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from .acl import acl_tiers, answer_ports
from .actors import Actor, Address
from .addresses import Tier
from .firewall import Direction, Network
from .flows import Protocol
from .layers import Fabric, Filter, Layer, Transport, acl_of
from .ports import Port
from .routes import Hop, Step, way
from .sites import Site

LAST_PORT = 65535
WELL_KNOWN = (20, 21, 23, 69, 80, 88, 110, 111, 135, 143, 161, 389, 445, 636, 853, 995, 1433, 2049, 3306, 3389, 5353)
WELL_KNOWN_HIGH = (5671, 5900, 5985, 6379, 6443, 8080, 8443, 9090, 9200, 10250, 11211, 27017, 50000)
"""Ports of services that an attacker would look for, besides those of the platform."""


class Block(StrEnum):
    """What stops a packet, in the order in which a packet would meet it."""

    SENDER_HOST = "the sender's host firewall"
    SENDER_GROUP = "the sender's security group"
    ROUTE = "no route"
    ACL = "network ACL"
    FIREWALL = "network firewall"
    RECEIVER_GROUP = "the receiver's security group"
    RECEIVER_HOST = "the receiver's host firewall"


@dataclass(frozen=True)
class Span:
    """An interval of ports, alike for every filter."""

    first: int
    last: int

    @property
    def size(self) -> int:
        """How many ports it holds."""
        return self.last - self.first + 1

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"


def spans(fabric: Fabric) -> tuple[Span, ...]:
    """Return all ports as intervals between the boundaries of filters and the ports of interest."""
    single = [*(int(p) for p in Port), *WELL_KNOWN, *WELL_KNOWN_HIGH]
    starts = {0} | {p for port in single for p in (port, port + 1)}
    starts |= {f.first_port for f in fabric.filters} | {f.last_port + 1 for f in fabric.filters}
    ordered = sorted(s for s in starts if s <= LAST_PORT)
    return tuple(Span(s, e - 1) for s, e in zip(ordered, [*ordered[1:], LAST_PORT + 1], strict=True))


Key = tuple[Layer, str, Direction]


@dataclass(frozen=True)
class Held:
    """A filter with the actors that it is about."""

    rule: Filter
    peers: int
    sources: int
    destinations: int


class Filters:
    """A fabric's filters, found by holder, transport and span; peers as sets of actors (bits of a number)."""

    def __init__(self, fabric: Fabric, among: tuple[Actor, ...]) -> None:
        self.platform = fabric.platform
        self.actors = among
        self.spans = spans(fabric)
        self._starts = [s.first for s in self.spans]
        self._bits: dict[tuple[Network, ...], int] = {}
        self._by_address: dict[Address, int] = defaultdict(int)
        for number, actor in enumerate(among):
            self._by_address[actor.address] |= 1 << number
        self._held: dict[tuple[Key, Transport], dict[int, list[Held]]] = defaultdict(lambda: defaultdict(list))
        self._ways: dict[tuple[str | None, Tier | None, str | None, Tier | None], tuple[Hop, ...] | None] = {}
        for rule in fabric.filters:
            self._add(rule)
        self._acls = {(region, tier) for region in self.platform.regions for tier in acl_tiers(self.platform, region)}

    def _add(self, rule: Filter) -> None:
        transports = tuple(Transport)[:3] if rule.transport is Transport.ALL else (rule.transport,)
        sources, destinations = self.members(rule.sources), self.members(rule.destinations)
        found = Held(rule, sources if rule.direction is Direction.IN else destinations, sources, destinations)
        first, last = bisect_left(self._starts, rule.first_port), bisect_left(self._starts, rule.last_port + 1)
        for transport in transports:
            held = self._held[(rule.layer, rule.holder, rule.direction), transport]
            for number in range(first, last):
                held[number].append(found)

    def members(self, networks: tuple[Network, ...]) -> int:
        """Return the actors whose address lies in one of the networks."""
        if networks not in self._bits:
            found = 0
            for network in networks:
                if network.num_addresses == 1:
                    found |= self._by_address.get(network.network_address, 0)
                else:
                    found |= sum(1 << n for n, a in enumerate(self.actors) if _holds(network, a.address))
            self._bits[networks] = found
        return self._bits[networks]

    def held(self, key: Key, transport: Transport, span: int) -> list[Held]:
        """Return the filters of a holder for a transport and a span."""
        by_span = self._held.get((key, transport))
        return by_span.get(span, []) if by_span else []

    def peers(self, key: Key, transport: Transport, span: int) -> int:
        """Return the actors that a holder may speak with."""
        found = 0
        for held in self.held(key, transport, span):
            found |= held.peers
        return found

    def passing(self, key: Key, transport: Transport, span: int, number: int) -> Filter | None:
        """Return the first filter of a holder that lets an actor's packet pass."""
        for held in self.held(key, transport, span):
            if held.peers >> number & 1:
                return held.rule
        return None

    def on_the_way(
        self, source: int, target: int, transport: Transport, span: int
    ) -> tuple[Block | None, tuple[Filter, ...]]:
        """Return what stops a packet between two actors' interfaces, and the filters that let it pass till there."""
        passed: list[Filter] = []
        for block, found in self._met(source, target, transport, span):
            if not found:
                return block, tuple(passed)
            passed += found
        return None, tuple(passed)

    def stops_on_the_way(self, source: int, target: int, transport: Transport, span: int) -> Iterator[Block]:
        """Return everything that stops a packet between two interfaces, each by itself."""
        for block, found in self._met(source, target, transport, span):
            if not found:
                yield block

    def _met(
        self, source: int, target: int, transport: Transport, span: int
    ) -> Iterator[tuple[Block, tuple[Filter, ...]]]:
        """Return what a packet meets on its way, with the filters that let it pass it (none: it is stopped there)."""
        one, two = self.actors[source], self.actors[target]
        if one.site.inside and one.site == two.site and one.address.version == two.address.version:
            return
        hops = self._hops(one.site, two.site) if one.address.version == two.address.version else None
        if hops is None:
            yield Block.ROUTE, ()
            hops = (Hop(Step.ENTER, str(two.site.region), two.site.tier),) if two.site.inside else ()
        for hop in hops:
            if hop.step is Step.FIREWALL:
                yield Block.FIREWALL, self._inspected(hop.region, source, target, transport, span)
            elif hop.tier is not None and (hop.region, hop.tier) in self._acls:
                yield Block.ACL, self._crossed(hop, source, target, transport, span)

    def _hops(self, source: Site, target: Site) -> tuple[Hop, ...] | None:
        key = (source.region, source.tier, target.region, target.tier)
        if key not in self._ways:
            self._ways[key] = self._way(Site(*key[:2]), Site(*key[2:]))
        return self._ways[key]

    def _way(self, source: Site, target: Site) -> tuple[Hop, ...] | None:
        """Return the way there, if the answers have one back through the same firewalls."""
        if source.inside and source.tier is None:
            return None
        there = way(self.platform, source, target)
        if there is None or not (source.inside and target.inside):
            return there
        back = way(self.platform, target, source)
        return None if back is None or _firewalls(there) != _firewalls(back) else there

    def _inspected(self, region: str, source: int, target: int, transport: Transport, span: int) -> tuple[Filter, ...]:
        for held in self.held((Layer.FIREWALL, region, Direction.OUT), transport, span):
            if held.sources >> source & 1 and held.destinations >> target & 1:
                return (held.rule,)
        return ()

    def _crossed(self, hop: Hop, source: int, target: int, transport: Transport, span: int) -> tuple[Filter, ...]:
        """Return the ACL entries for a packet and its answers at a subnet's border."""
        leaving = hop.step is Step.LEAVE
        holder = acl_of(hop.region, hop.tier) if hop.tier else ""
        there, back = (Direction.OUT, Direction.IN) if leaving else (Direction.IN, Direction.OUT)
        peer = target if leaving else source
        entry = self.passing((Layer.ACL, holder, there), transport, span, peer)
        if entry is None:
            return ()
        if transport not in (Transport.TCP, Transport.UDP):
            return ()
        outside = not self.actors[peer].site.inside
        site, protocol = self.actors[source].site, Protocol(transport.value)
        answers = [
            self._answer((Layer.ACL, holder, back), transport, peer, ports)
            for ports in answer_ports(self.platform, site, hop, protocol, outside=outside)
        ]
        found = tuple(a for a in answers if a)
        return (entry, *found) if len(found) == len(answers) else ()

    def _answer(self, key: Key, transport: Transport, peer: int, ports: tuple[int, int]) -> Filter | None:
        first, last = ports
        for held in self.held(key, transport, bisect_left(self._starts, first + 1) - 1):
            if held.rule.first_port <= first and last <= held.rule.last_port and held.peers >> peer & 1:
                return held.rule
        return None


def _firewalls(hops: Iterable[Hop]) -> set[str]:
    return {hop.region for hop in hops if hop.step is Step.FIREWALL}


def _holds(network: Network, address: Address) -> bool:
    return network.version == address.version and address in network


def bits(found: int) -> Iterator[int]:
    """Return the numbers of the bits that are set."""
    while found:
        lowest = found & -found
        yield lowest.bit_length() - 1
        found ^= lowest
