"""Every filter that a packet may meet, as one kind of value: host firewalls, security groups, ACLs, network firewalls.

The proof works on these values and not on the flows they come from, so that a wrong rule shows.
"""

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from ipaddress import IPv4Network

from .acl import acl_rules, acl_tiers
from .addresses import Tier
from .firewall import ANYWHERE, ANYWHERE_V6, SERVED_BY_AWS, Direction, Network, Rule, host_rules, security_group_rules
from .firewall import party_rules as group_rules_of_party
from .flows import Party, Protocol
from .inspection import PRIVATE, inspected_callers, pass_rules
from .model import Platform
from .ports import Port
from .roles import ServerRole
from .sites import mail_regions

EVERYWHERE: tuple[Network, ...] = (ANYWHERE, ANYWHERE_V6)


class Layer(StrEnum):
    """A kind of filter, from the server outwards."""

    HOST = "host firewall"
    GROUP = "security group"
    ACL = "network ACL"
    FIREWALL = "network firewall"


class Transport(StrEnum):
    """What a filter's protocol can be."""

    TCP = "tcp"
    UDP = "udp"
    ICMP = "icmp"
    ALL = "all"


@dataclass(frozen=True)
class Filter:
    """One rule that lets packets pass. Calls and, in ACLs, answers; the other layers know answers by themselves."""

    layer: Layer
    holder: str
    """Whose rule it is: a server, a group, a region's tier, a region."""
    direction: Direction
    transport: Transport
    first_port: int
    last_port: int
    sources: tuple[Network, ...]
    destinations: tuple[Network, ...]
    name: str

    @property
    def peers(self) -> tuple[Network, ...]:
        """The networks of the other end, as the holder sees it."""
        return self.sources if self.direction is Direction.IN else self.destinations

    def __str__(self) -> str:
        ports = f"{self.first_port}" if self.first_port == self.last_port else f"{self.first_port}-{self.last_port}"
        return f"{self.layer} {self.holder} {self.direction}: {self.transport} {ports} ({self.name})"


@dataclass(frozen=True)
class Fabric:
    """A platform with all its filters."""

    platform: Platform
    filters: tuple[Filter, ...]


def group_of_servers(region: str, role: ServerRole) -> str:
    """Return the name of the security group that servers of one role in one region share."""
    return f"{region} {role}"


def group_of_party(region: str, party: Party) -> str:
    """Return the name of the security group of a region's load balancer, endpoints or HSM."""
    return f"{region} {party}"


def acl_of(region: str, tier: Tier) -> str:
    """Return the name of a tier's network ACL."""
    return f"{region} {tier}"


def served_regions(platform: Platform, party: Party) -> tuple[str, ...]:
    """Return the regions in which a party of AWS has a security group; none where the stack does without it."""
    options = platform.options
    match party:
        case Party.EDGE:
            return mail_regions(platform) if options.balancers else ()
        case Party.WEB:
            return mail_regions(platform) if options.web_balancers else ()
        case Party.ENDPOINT:
            return tuple(platform.regions) if options.endpoints else ()
        case _:
            return (platform.home,) if options.cloud_hsm else ()


@lru_cache(maxsize=8)
def build_fabric(platform: Platform) -> Fabric:
    """Return all filters of a platform, as the generators of each layer make them."""
    found: list[Filter] = []
    for server in platform.servers:
        found += _from_rules(Layer.HOST, server.name, host_rules(platform, server))
    for region in platform.regions:
        for role in ServerRole:
            members = [s for s in platform.servers if s.region == region and s.role is role]
            found += _from_rules(Layer.GROUP, group_of_servers(region, role), security_group_rules(platform, members))
    for party in SERVED_BY_AWS:
        for region in served_regions(platform, party):
            rules = group_rules_of_party(platform, party, region)
            found += _from_rules(Layer.GROUP, group_of_party(region, party), rules)
    for region in platform.regions:
        for tier in acl_tiers(platform, region):
            found += _from_acl(platform, region, tier)
        found += _from_firewall(platform, region)
    return Fabric(platform, tuple(found))


def _from_rules(layer: Layer, holder: str, rules: tuple[Rule, ...]) -> list[Filter]:
    return [
        Filter(
            layer,
            holder,
            rule.direction,
            Transport(rule.flow.protocol),
            rule.flow.port,
            rule.flow.port,
            rule.peers if rule.direction is Direction.IN else EVERYWHERE,
            rule.peers if rule.direction is Direction.OUT else EVERYWHERE,
            rule.flow.name,
        )
        for rule in rules
        if rule.peers
    ]


def _from_acl(platform: Platform, region: str, tier: Tier) -> list[Filter]:
    return [
        Filter(
            Layer.ACL,
            acl_of(region, tier),
            Direction.OUT if rule.egress else Direction.IN,
            Transport(rule.protocol),
            rule.first_port,
            rule.last_port,
            EVERYWHERE if rule.egress else (rule.cidr,),
            (rule.cidr,) if rule.egress else EVERYWHERE,
            f"entry {rule.number}: {rule.cidr}",
        )
        for rule in acl_rules(platform, region, tier)
        if rule.allow
    ]


def _from_firewall(platform: Platform, region: str) -> list[Filter]:
    found = [
        Filter(
            Layer.FIREWALL,
            region,
            Direction.OUT,
            Transport(rule.flow.protocol),
            rule.flow.port,
            rule.flow.port,
            rule.source.networks,
            rule.destination.networks if rule.destination else outside(),
            f"sid {rule.sid}: {rule.name}",
        )
        for rule in pass_rules(platform, region)
    ]
    for flow in platform.flows:
        if platform.options.inspection and flow.destination is Party.INTERNET and flow.port is Port.HTTPS:
            callers = inspected_callers(platform, flow.source, region).networks
            name = f"list of names: {flow.name}"
            tcp = Transport(Protocol.TCP)
            if callers:
                found.append(
                    Filter(Layer.FIREWALL, region, Direction.OUT, tcp, flow.port, flow.port, callers, outside(), name)
                )
    return found


@lru_cache(maxsize=1)
def outside() -> tuple[IPv4Network, ...]:
    """Return all IPv4 networks that are no private space: the internet as the network firewall knows it."""
    left = [ANYWHERE]
    for private in PRIVATE.networks:
        left = [
            part
            for network in left
            for part in (network.address_exclude(private) if private.subnet_of(network) else (network,))
        ]
    return tuple(sorted(left))
