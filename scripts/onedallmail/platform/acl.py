"""Network ACLs from the intent graph: for each tier of a region, what may leave and enter its subnets.

ACLs keep no state, so the answers of each flow are let back to the ports from which its client called. They name
tiers and not servers, because AWS lets a list hold few rules; security groups and host firewalls behind them name
each server. What AWS keeps out of ACLs (DNS at the VPC's resolver, the time service, instance metadata; VPC User
Guide, "Network ACL basics") needs no rule here. Everything that no rule allows is denied.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network
from zlib import crc32

from .addresses import Tier, used_subnets
from .firewall import ANYWHERE, ANYWHERE_V6, Network
from .flows import Flow, Party, Protocol
from .model import Platform
from .routes import Hop, Step, way
from .sites import Site, conversations, cover, region_named, tier_network

QUOTA = 18
"""Rules a direction that fit in AWS's default of 20, which counts the closing rules of IPv4 and IPv6
(Amazon VPC quotas, "Rules per network ACL")."""
MAX_QUOTA = 38
"""The same with the quota raised to its hard limit of 40."""

SERVER_TCP = (32768, 60999)
"""Ports from which Debian's kernel calls (`net.ipv4.ip_local_port_range`); every port that is served lies below."""
ANY_CLIENT = (1024, 65535)
"""Ports from which load balancers, NAT gateways and the internet call (VPC User Guide, "Ephemeral ports"), and from
which a resolver on a server does over UDP."""

REMOTE_DESKTOP = 3389
"""Left out of what the internet may answer to (CIS AWS 5.1): a call of a NAT gateway from this port, one in 64 000,
gets no answer and is made again."""

FIRST_NUMBER, NUMBERS = 100, 32000

Ports = tuple[int, int]


@dataclass(frozen=True)
class AclRule:
    """One entry of a network ACL. Its number depends on its content alone, so that entries move no other ones."""

    number: int
    egress: bool
    protocol: Protocol
    first_port: int
    last_port: int
    cidr: Network
    allow: bool = True


@dataclass(frozen=True)
class Crossing:
    """Packets of a conversation where they cross a subnet's border: what an ACL must let pass."""

    region: str
    tier: Tier
    egress: bool
    protocol: Protocol
    ports: Ports
    peer: Network


def acl_tiers(platform: Platform, region: str) -> tuple[Tier, ...]:
    """Return the tiers of a region that have a network ACL; none in the lab."""
    if not platform.network_acls:
        return ()
    return tuple(dict.fromkeys(s.tier for s in used_subnets(region_named(platform, region), platform.options)))


@lru_cache(maxsize=1024)
def acl_rules(platform: Platform, region: str, tier: Tier) -> tuple[AclRule, ...]:
    """Return the entries of a tier's network ACL, both directions, as narrow as AWS's quota leaves room for."""
    here = _by_place(platform).get((region, tier), ())
    return tuple(
        rule for egress in (False, True) for rule in _direction([c for c in here if c.egress is egress], egress=egress)
    )


@lru_cache(maxsize=8)
def _by_place(platform: Platform) -> dict[tuple[str, Tier], tuple[Crossing, ...]]:
    found: dict[tuple[str, Tier], list[Crossing]] = defaultdict(list)
    for crossing in dict.fromkeys(crossings(platform)):
        found[crossing.region, crossing.tier].append(crossing)
    return {place: tuple(held) for place, held in found.items()}


def crossings(platform: Platform) -> Iterator[Crossing]:
    """Return every crossing that the intent graph asks for, answers included."""
    for flow in platform.flows:
        for source, target in conversations(platform, flow):
            for hop in way(platform, source, target) or ():
                if hop.step in (Step.LEAVE, Step.ENTER):
                    yield from _both_ways(platform, flow, source, target, hop)


def _both_ways(platform: Platform, flow: Flow, source: Site, target: Site, hop: Hop) -> Iterator[Crossing]:
    """Return the request's and the answer's crossing: leaving packets are known by where they go, others by whence."""
    tier = hop.tier
    if tier is None:
        return
    egress = hop.step is Step.LEAVE
    for peer in peer_networks(platform, flow, target if egress else source):
        yield Crossing(hop.region, tier, egress, flow.protocol, (flow.port, flow.port), peer)
        for ports in answer_ports(platform, source, hop, flow.protocol, outside=peer.prefixlen == 0):
            yield Crossing(hop.region, tier, not egress, flow.protocol, ports, peer)


def answer_ports(platform: Platform, source: Site, hop: Hop, protocol: Protocol, *, outside: bool) -> tuple[Ports, ...]:
    """Return the ports to which answers come back over a border: those that the client called from.

    Behind a NAT gateway that is the gateway. Answers from outside reach no port of remote administration.
    """
    leaving = hop.step is Step.LEAVE
    translated = leaving and hop.tier is Tier.EDGE and source.tier is not Tier.EDGE
    first, last = ANY_CLIENT if translated else client_ports(platform, source, protocol)
    if outside and leaving and protocol is Protocol.TCP and first <= REMOTE_DESKTOP <= last:
        return ((first, REMOTE_DESKTOP - 1), (REMOTE_DESKTOP + 1, last))
    return ((first, last),)


def client_ports(platform: Platform, source: Site, protocol: Protocol) -> Ports:
    """Return the ports from which a site's parties call."""
    by_kernel = source.tier in (Tier.MAIL, Tier.DATA) or (source.tier is Tier.EDGE and not platform.options.balancers)
    return SERVER_TCP if by_kernel and protocol is Protocol.TCP else ANY_CLIENT


def peer_networks(platform: Platform, flow: Flow, site: Site) -> tuple[Network, ...]:
    """Return a site as an ACL names it: its tier's network, or everywhere, over IPv6 too at an edge of dual stack."""
    if site.region is not None and site.tier is not None:
        return (tier_network(platform, site.region, site.tier),)
    dual = platform.options.ipv6 and flow.destination in (Party.EDGE, Party.WEB)
    return (ANYWHERE, ANYWHERE_V6) if dual else (ANYWHERE,)


def _direction(held: list[Crossing], *, egress: bool) -> tuple[AclRule, ...]:
    """Return the entries of one direction: the finest networks whose entries fit the quota."""
    for parts in range(16, 0, -1):
        entries = _entries(held, parts)
        if len(entries) <= QUOTA:
            break
    return _numbered(entries, egress=egress)


Entry = tuple[Protocol, Ports, Network]


def _entries(held: Iterable[Crossing], parts: int) -> list[Entry]:
    """Return what to allow: networks covered by at most `parts`, neighbouring ports joined, nothing said twice."""
    wanted: dict[tuple[Protocol, Ports], set[Network]] = defaultdict(set)
    for crossing in held:
        wanted[crossing.protocol, crossing.ports].add(crossing.peer)
    single: dict[tuple[Protocol, Network], list[Ports]] = defaultdict(list)
    for (protocol, ports), peers in wanted.items():
        for network in _covered(peers, parts):
            single[protocol, network].append(ports)
    entries = [(protocol, ports, network) for (protocol, network), held in single.items() for ports in _joined(held)]
    return sorted((e for e in entries if not any(_within(e, other) for other in entries)), key=_order)


def _covered(peers: Iterable[Network], parts: int) -> tuple[Network, ...]:
    six = tuple(sorted({p for p in peers if isinstance(p, IPv6Network)}))
    return (*cover([p for p in peers if isinstance(p, IPv4Network)], parts), *six)


def _joined(held: Iterable[Ports]) -> list[Ports]:
    """Return the ranges with neighbours and overlaps joined."""
    found: list[Ports] = []
    for first, last in sorted(held):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(last, found[-1][1]))
        else:
            found.append((first, last))
    return found


def _within(entry: Entry, other: Entry) -> bool:
    """Return whether another entry allows all that this one does."""
    if entry == other or entry[0] is not other[0] or entry[2].version != other[2].version:
        return False
    ports = other[1][0] <= entry[1][0] and entry[1][1] <= other[1][1]
    return ports and entry[2].subnet_of(other[2])  # type: ignore[arg-type]  # same version, as just asked


def _order(entry: Entry) -> tuple[str, Ports, int, str]:
    return (entry[0].value, entry[1], entry[2].version, str(entry[2]))


def _numbered(entries: Iterable[Entry], *, egress: bool) -> tuple[AclRule, ...]:
    taken: dict[int, Entry] = {}
    for entry in entries:
        protocol, (first, last), network = entry
        number = FIRST_NUMBER + crc32(f"{protocol} {first} {last} {network}".encode()) % NUMBERS
        while number in taken:
            number += 1
        taken[number] = entry
    return tuple(AclRule(n, egress, e[0], *e[1], e[2]) for n, e in sorted(taken.items()))
