"""Each filter by itself against the intent graph: a rule wider than its flows is found, even if another layer holds."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network

from .acl import Crossing, acl_tiers, crossings
from .firewall import ANYWHERE, ANYWHERE_V6, Direction, Network, addresses_of
from .flows import Flow, Party
from .layers import Fabric, Filter, Layer, Transport, acl_of, group_of_party, group_of_servers, outside, served_regions
from .model import Platform
from .roles import ServerRole
from .sites import cover

MANY_PORTS = 16
"""No flow has a range of ports; a filter of more ports than this is not looked at port by port."""


@dataclass(frozen=True)
class Excess:
    """A filter that lets pass what no flow asks for."""

    rule: Filter
    what: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.what}"


def excesses(fabric: Fabric) -> tuple[Excess, ...]:
    """Return every filter that is wider than the flows of its holder."""
    return tuple(Excess(f, what) for f in fabric.filters if (what := wider_than_intent(fabric.platform, f)))


def wider_than_intent(platform: Platform, rule: Filter) -> str | None:
    """Return what a filter lets pass beyond the intent graph, or None if that is nothing."""
    if rule.transport not in (Transport.TCP, Transport.UDP):
        return f"{rule.transport}: flows are TCP or UDP"
    match rule.layer:
        case Layer.ACL:
            return _acl(platform, rule)
        case Layer.FIREWALL:
            return _firewall(platform, rule)
        case _:
            return _end(platform, rule)


Allowed = dict[tuple[Transport, int], set[Network]]


def _end(platform: Platform, rule: Filter) -> str | None:
    """Judge a rule at one end of flows: every port and every peer must be one of the holder's flows."""
    allowed = _intent_at_ends(platform).get((rule.layer, rule.holder, rule.direction), {})
    return _ports_and_peers(rule, allowed)


def _ports_and_peers(rule: Filter, allowed: Allowed) -> str | None:
    if rule.last_port - rule.first_port >= MANY_PORTS:
        return f"{rule.last_port - rule.first_port + 1} ports"
    for port in range(rule.first_port, rule.last_port + 1):
        peers = allowed.get((rule.transport, port))
        if peers is None:
            return f"no flow has {rule.transport} {port}"
        for network in rule.peers:
            if network not in peers and not any(_inside(network, p) for p in peers):
                return f"no flow has {rule.transport} {port} with {network}"
    return None


def _inside(network: Network, other: Network) -> bool:
    return network.version == other.version and network.subnet_of(other)  # type: ignore[arg-type]  # same version


@lru_cache(maxsize=8)
def _intent_at_ends(platform: Platform) -> dict[tuple[Layer, str, Direction], Allowed]:
    """Return, for each host and security group, which networks it may speak with on which port."""
    found: dict[tuple[Layer, str, Direction], Allowed] = {}
    for server in platform.servers:
        own = frozenset(p for p in Party if server in platform.members(p))
        for direction in Direction:
            found[Layer.HOST, server.name, direction] = _peers(platform, own, server.region, direction)
    for region in platform.regions:
        for role in ServerRole:
            members = [s for s in platform.servers if s.region == region and s.role is role]
            own = frozenset(p for p in Party if set(members) & set(platform.members(p)))
            for direction in Direction:
                key = (Layer.GROUP, group_of_servers(region, role), direction)
                found[key] = _peers(platform, own, region, direction)
    for party in (Party.EDGE, Party.WEB, Party.ENDPOINT, Party.HSM):
        for region in served_regions(platform, party):
            for direction in Direction:
                key = (Layer.GROUP, group_of_party(region, party), direction)
                found[key] = _peers(platform, frozenset({party}), region, direction)
    return found


def _peers(platform: Platform, own: frozenset[Party], region: str, direction: Direction) -> Allowed:
    allowed: Allowed = {}
    for flow in platform.flows:
        near, far = flow.destination, flow.source
        if direction is Direction.OUT:
            near, far = far, near
        if near in own:
            key = (Transport(flow.protocol), int(flow.port))
            allowed.setdefault(key, set()).update(_addresses(platform, flow, far, region))
    return allowed


def _addresses(platform: Platform, flow: Flow, party: Party, region: str | None) -> frozenset[Network]:
    """Return a party's addresses as the graph has them, seen from a region (None: from all)."""
    if party is Party.INTERNET:
        dual = platform.options.ipv6 and flow.destination in (Party.EDGE, Party.WEB)
        return frozenset({ANYWHERE, ANYWHERE_V6} if dual else {ANYWHERE})
    if platform.members(party):
        return _servers(platform, party, region if flow.regional else None)
    return frozenset(platform.networks(party, region or platform.home))


@lru_cache(maxsize=256)
def _servers(platform: Platform, party: Party, region: str | None) -> frozenset[Network]:
    return frozenset(n for n, server in addresses_of(platform, party) if region in (None, server.region))


@lru_cache(maxsize=8)
def _crossings_by_acl(platform: Platform) -> dict[tuple[str, Direction], tuple[Crossing, ...]]:
    found: dict[tuple[str, Direction], dict[Crossing, None]] = {}
    for crossing in crossings(platform):
        direction = Direction.OUT if crossing.egress else Direction.IN
        found.setdefault((acl_of(crossing.region, crossing.tier), direction), {})[crossing] = None
    kept = {acl_of(region, tier) for region in platform.regions for tier in acl_tiers(platform, region)}
    return {key: tuple(held) for key, held in found.items() if key[0] in kept}


def _acl(platform: Platform, rule: Filter) -> str | None:
    """Judge an ACL's entry: its network is the smallest around tiers of its flows, its ports are theirs."""
    held = _crossings_by_acl(platform).get((rule.holder, rule.direction), ())
    for network in rule.peers:
        inside: dict[tuple[int, int], list[Network]] = {}
        for crossing in held:
            if crossing.protocol.value == rule.transport.value and _inside(crossing.peer, network):
                inside.setdefault(crossing.ports, []).append(crossing.peer)
        filled = sorted(ports for ports, peers in inside.items() if _fills(peers, network))
        port = rule.first_port
        for first, last in filled:
            if first <= port:
                port = max(port, last + 1)
        if port <= rule.last_port:
            return f"no flow needs {rule.transport} {port} with all of {network}"
    return None


def _fills(peers: list[Network], network: Network) -> bool:
    """Return whether a network is the smallest one around these peers."""
    if network in peers:
        return True
    return network in cover([p for p in peers if isinstance(p, IPv4Network)], parts=1)


def _firewall(platform: Platform, rule: Filter) -> str | None:
    """Judge a rule of the network firewall: one flow has its port, its callers and its destinations."""
    if rule.first_port != rule.last_port:
        return f"{rule.last_port - rule.first_port + 1} ports"
    for flow in _flows_on(platform, rule):
        callers, called = _judged(platform, flow, flow.source), _judged(platform, flow, flow.destination)
        if all(n in callers for n in rule.sources) and all(n in called for n in rule.destinations):
            return None
    return f"no flow has {rule.transport} {rule.first_port} between all of its networks"


def _flows_on(platform: Platform, rule: Filter) -> Iterator[Flow]:
    for flow in platform.flows:
        if flow.protocol.value == rule.transport.value and flow.port == rule.first_port and not flow.regional:
            yield flow


@lru_cache(maxsize=512)
def _judged(platform: Platform, flow: Flow, party: Party) -> frozenset[Network]:
    if party is Party.INTERNET:
        return frozenset(outside())
    return _addresses(platform, flow, party, None)
