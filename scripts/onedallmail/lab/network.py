"""The records a lab network is described with: namespaces, links, addresses, routes and rules.

They are what `topology.py` computes and `links.py` makes true.
"""

from dataclasses import dataclass, field

LOOPBACK = "127.0.0.1/8"
"""The address that the kernel gives a loopback interface."""


@dataclass(frozen=True, kw_only=True)
class RouteSpec:
    """A route as iproute2 names it; `gateway` and `device` are None for `unreachable`."""

    destination: str
    device: str | None = None
    gateway: str | None = None
    table: str = "main"
    unreachable: bool = False

    def words(self) -> str:
        """Return the arguments of `ip route replace` or `ip route del`."""
        kind = "unreachable " if self.unreachable else ""
        via = f" via {self.gateway} onlink" if self.gateway else ""
        device = f" dev {self.device}" if self.device else ""
        scope = " scope link" if self.device and not self.gateway else ""
        return f"{kind}{self.destination}{via}{device}{scope} table {self.table} proto static"


@dataclass(frozen=True, kw_only=True)
class RuleSpec:
    """Packets that come in by `device` look up `table`."""

    priority: int
    device: str
    table: str


@dataclass(frozen=True, kw_only=True)
class End:
    """One end of a link; addresses in the order in which they are added (the first is the source of packets)."""

    namespace: str
    interface: str
    addresses: tuple[str, ...] = ()
    isolated_in: str | None = None
    """The bridge whose isolated port it is."""


@dataclass(frozen=True, kw_only=True)
class Link:
    """A veth pair."""

    one: End
    two: End


@dataclass(frozen=True, kw_only=True)
class Namespace:
    """A network namespace and what it does with packets."""

    name: str
    forwards: bool = False
    owned: bool = False
    """Whether interfaces that are not described here are taken away (routers; in a server they are its own affair)."""
    bridge: End | None = None
    loopback: tuple[str, ...] = ()
    """Addresses of the loopback interface beside its own."""
    routes: frozenset[RouteSpec] = frozenset()
    rules: frozenset[RuleSpec] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Topology:
    """All namespaces and links of a lab."""

    namespaces: tuple[Namespace, ...]
    links: tuple[Link, ...]
    management: dict[str, str] = field(default_factory=dict)
    """Address of each node's management interface."""

    def ends(self, namespace: str) -> tuple[End, ...]:
        """Return the interfaces of one namespace, bridges first; the loopback one if it has addresses to state."""
        bridges = tuple(n.bridge for n in self.namespaces if n.name == namespace and n.bridge)
        ends = (end for link in self.links for end in (link.one, link.two) if end.namespace == namespace)
        loopbacks = (
            End(namespace=namespace, interface="lo", addresses=(LOOPBACK, *n.loopback))
            for n in self.namespaces
            if n.name == namespace and n.loopback
        )
        return (*bridges, *loopbacks, *ends)
