"""All packets of a platform, tried once: every actor with every other, over TCP, UDP and ICMP, on all ports."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial

from .actors import Actor, Kind, actors
from .firewall import Direction
from .flows import Flow, Party
from .layers import Fabric, Filter, Layer, Transport
from .packets import Block, Filters, Span, bits
from .ports import Port

TRANSPORTS = (Transport.TCP, Transport.UDP, Transport.ICMP)


@dataclass(frozen=True)
class Path:
    """A way by which packets pass, with the filters that let them."""

    source: str
    target: str
    transport: Transport
    ports: Span
    relation: str
    """`in one region`, `between regions` or `internet`."""
    filters: tuple[Filter, ...]

    def __str__(self) -> str:
        return f"{self.source} to {self.target}, {self.transport} {self.ports}"


@dataclass(frozen=True)
class FlowProof:
    """What the proof found of one declared flow."""

    flow: Flow
    pairs: int
    """Pairs of actors between which it was tried."""
    blocked: tuple[str, ...]
    """Pairs for which it does not pass, with what stops it."""
    paths: tuple[Path, ...]
    """One example of each relation."""
    note: str = ""

    @property
    def holds(self) -> bool:
        """Whether the flow works between all its parties."""
        return not self.blocked and bool(self.pairs or self.note)


Rows = dict[int, int]
"""For each sending actor the receiving ones, as bits."""


class Trial:
    """All packets of a fabric, tried once."""

    def __init__(self, fabric: Fabric) -> None:
        self.platform = fabric.platform
        self.actors = actors(fabric.platform)
        self.filters = Filters(fabric, self.actors)
        self.refused: Counter[Block] = Counter()
        self.passing = 0
        self._declared: dict[Flow, Rows] = {}
        self.passed: dict[tuple[Transport, int], Rows] = {}
        for transport in TRANSPORTS:
            for number in range(len(self.filters.spans)):
                rows = self._try(transport, number)
                if rows:
                    self.passed[transport, number] = rows

    @cached_property
    def tried(self) -> tuple[int, ...]:
        """For each actor whom it is tried with: all targets of its IP version but itself.

        The internet is a target only for those who may call it.
        """
        inside = self._where(lambda actor: actor.target and actor.site.inside)
        versions = {v: self._where(partial(_of_version, v)) for v in (4, 6)}
        return tuple(
            (self._targets if actor.kind in (Kind.SERVER, Kind.SERVICE) else inside)
            & versions[actor.address.version]
            & ~(1 << number)
            for number, actor in enumerate(self.actors)
        )

    def _try(self, transport: Transport, number: int) -> Rows:
        """Return who reaches whom on a span, and count what does not pass by what stops it."""
        span = self.filters.spans[number]
        hearing = [self._hears(actor, transport, number) for actor in self.actors]
        listening = sum(1 << n for n, mask in enumerate(hearing) if mask)
        rows: Rows = {}
        for source, actor in enumerate(self.actors):
            reach = self.tried[source]
            for block, layer, holder in (
                (Block.SENDER_HOST, Layer.HOST, actor.host),
                (Block.SENDER_GROUP, Layer.GROUP, actor.group),
            ):
                if holder is not None:
                    allowed = reach & self.filters.peers((layer, holder, Direction.OUT), transport, number)
                    self.refused[block] += span.size * (reach & ~allowed).bit_count()
                    reach = allowed
            self.refused[Block.RECEIVER_GROUP] += span.size * (reach & ~listening).bit_count()
            if found := self._received(source, reach & listening, hearing, transport, number):
                rows[source] = found
                self.passing += span.size * found.bit_count()
        return rows

    def _received(self, source: int, reach: int, hearing: list[int], transport: Transport, number: int) -> int:
        found, size = 0, self.filters.spans[number].size
        for target in bits(reach):
            if not hearing[target] >> source & 1:
                self.refused[self._refusing(source, target, transport, number)] += size
                continue
            block, _ = self.filters.on_the_way(source, target, transport, number)
            if block is None:
                found |= 1 << target
            else:
                self.refused[block] += size
        return found

    def _hears(self, actor: Actor, transport: Transport, number: int) -> int:
        """Return the actors that a receiver's group and host let in."""
        found = (1 << len(self.actors)) - 1
        for layer, holder in ((Layer.GROUP, actor.group), (Layer.HOST, actor.host)):
            if holder is not None:
                found &= self.filters.peers((layer, holder, Direction.IN), transport, number)
        return found

    def _refusing(self, source: int, target: int, transport: Transport, number: int) -> Block:
        group = self.actors[target].group
        heard = group is None or self.filters.passing((Layer.GROUP, group, Direction.IN), transport, number, source)
        return Block.RECEIVER_HOST if heard else Block.RECEIVER_GROUP

    def flow(self, flow: Flow) -> FlowProof:
        """Return what was found of a flow."""
        if flow.source is Party.MANAGEMENT:
            return self._management(flow)
        transport, number = Transport(flow.protocol), self.span_of(flow.port)
        passed = self.passed.get((transport, number), {})
        pairs, blocked, examples = 0, [], {}
        for source, mask in self.declared(flow).items():
            pairs += mask.bit_count()
            for target in bits(mask & ~passed.get(source, 0)):
                blocked.append(self._stopped(source, target, transport, number))
            for target in bits(mask & passed.get(source, 0)):
                relation = self._relation(source, target)
                if relation not in examples:
                    examples[relation] = self.path(source, target, transport, number)
        return FlowProof(flow, pairs, tuple(blocked), tuple(examples.values()))

    def _management(self, flow: Flow) -> FlowProof:
        """Operators enter by no port: in the cloud by a session that the server itself opens, over HTTPS."""
        if self.platform.config.target == "lab":
            return FlowProof(flow, 0, (), (), "by the lab's management links, which are no network of the platform")
        carriers = [
            f
            for f in self.platform.flows
            if f.source is Party.PLATFORM and f.port is Port.HTTPS and not self.flow(f).blocked
        ]
        names = " or ".join(f.name for f in carriers)
        return FlowProof(flow, 0, (), (), f"by Session Manager, within {names}" if carriers else "")

    def declared(self, flow: Flow) -> Rows:
        """Return the pairs of actors that a flow is declared for."""
        if flow not in self._declared:
            called = self._members(flow.destination) & self._targets
            self._declared[flow] = {
                number: called & self._meeting(flow, actor) & ~(1 << number)
                for number, actor in enumerate(self.actors)
                if flow.source in actor.parties
            }
        return self._declared[flow]

    def _meeting(self, flow: Flow, actor: Actor) -> int:
        """Return who can be the other end: of one IP version, and of one region where the flow is regional."""
        version = self._where(partial(_of_version, actor.address.version))
        if not actor.site.inside:
            return version & self._where(lambda other: other.site.inside)
        if flow.regional:
            return version & self._where(lambda other: other.site.region in (None, actor.site.region))
        return version

    def _where(self, holds: Callable[[Actor], bool]) -> int:
        return sum(1 << number for number, actor in enumerate(self.actors) if holds(actor))

    @cached_property
    def _targets(self) -> int:
        return self._where(lambda actor: actor.target)

    def others(self) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
        """Return the paths that no flow declares: those that are nobody's intent, and those public at both ends."""
        undeclared: list[Path] = []
        public: list[Path] = []
        for (transport, number), rows in self.passed.items():
            said, open_ends = self.declared_at(transport, number), self.public_at(transport, number)
            for source, mask in rows.items():
                for target in bits(mask & ~said.get(source, 0)):
                    path = self.path(source, target, transport, number)
                    (public if open_ends.get(source, 0) >> target & 1 else undeclared).append(path)
        return tuple(undeclared), tuple(public)

    def declared_at(self, transport: Transport, number: int) -> Rows:
        """Return the pairs that flows are declared for on a span."""
        said: Rows = {}
        for flow in self._flows_on(transport, number):
            for source, mask in self.declared(flow).items():
                said[source] = said.get(source, 0) | mask
        return said

    def public_at(self, transport: Transport, number: int) -> Rows:
        """Return the pairs of which one may call anybody on a span, and the other hears anybody."""
        callers = self._where(lambda actor: actor.kind is Kind.STRANGER)
        hearers = 0
        for flow in self._flows_on(transport, number):
            if flow.destination is Party.INTERNET:
                callers |= self._members(flow.source)
            if flow.source is Party.INTERNET:
                hearers |= self._members(flow.destination)
        return dict.fromkeys(bits(callers), hearers)

    def _flows_on(self, transport: Transport, number: int) -> Iterator[Flow]:
        span = self.filters.spans[number]
        for flow in self.platform.flows:
            if flow.protocol.value == transport.value and span == Span(flow.port, flow.port):
                yield flow

    def _members(self, party: Party) -> int:
        return self._where(lambda actor: party in actor.parties)

    def span_of(self, port: int) -> int:
        """Return the number of the span that holds a port."""
        return next(n for n, s in enumerate(self.filters.spans) if s.first <= port <= s.last)

    def path(self, source: int, target: int, transport: Transport, number: int) -> Path:
        """Return a passing pair with its filters, in the order in which a packet meets them."""
        one, two = self.actors[source], self.actors[target]
        held: list[Filter | None] = []
        for layer, holder in ((Layer.HOST, one.host), (Layer.GROUP, one.group)):
            if holder is not None:
                held.append(self.filters.passing((layer, holder, Direction.OUT), transport, number, target))
        held += self.filters.on_the_way(source, target, transport, number)[1]
        for layer, holder in ((Layer.GROUP, two.group), (Layer.HOST, two.host)):
            if holder is not None:
                held.append(self.filters.passing((layer, holder, Direction.IN), transport, number, source))
        span, relation = self.filters.spans[number], self._relation(source, target)
        return Path(one.name, two.name, transport, span, relation, tuple(f for f in held if f))

    def _relation(self, source: int, target: int) -> str:
        one, two = self.actors[source], self.actors[target]
        if not (one.site.inside and two.site.inside):
            return "internet" if one.address.version == 4 else "internet, IPv6"  # noqa: PLR2004 - the IP version
        return "in one region" if one.site.region == two.site.region else "between regions"

    def _stopped(self, source: int, target: int, transport: Transport, number: int) -> str:
        names = f"{self.actors[source].name} to {self.actors[target].name}"
        return f"{names}: {', '.join(self.blocks(source, target, transport, number))}"

    def blocks(self, source: int, target: int, transport: Transport, number: int) -> tuple[Block, ...]:
        """Return everything that stops a packet, each by itself."""
        return tuple(dict.fromkeys(self._blocks(source, target, transport, number)))

    def _blocks(self, source: int, target: int, transport: Transport, number: int) -> Iterator[Block]:
        one, two = self.actors[source], self.actors[target]
        for block, layer, holder, direction, peer in (
            (Block.SENDER_HOST, Layer.HOST, one.host, Direction.OUT, target),
            (Block.SENDER_GROUP, Layer.GROUP, one.group, Direction.OUT, target),
            (Block.RECEIVER_GROUP, Layer.GROUP, two.group, Direction.IN, source),
            (Block.RECEIVER_HOST, Layer.HOST, two.host, Direction.IN, source),
        ):
            key = (layer, holder or "", direction)
            if holder is not None and self.filters.passing(key, transport, number, peer) is None:
                yield block
        yield from self.filters.stops_on_the_way(source, target, transport, number)


def _of_version(version: int, actor: Actor) -> bool:
    return actor.address.version == version
