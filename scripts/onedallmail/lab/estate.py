"""What a deployment holds that the lab realises: networks, servers, and who may speak to whom.

Values only; `deployment.py` reads them from the engine's state, `topology.py` and `firewall.py` use them.
"""

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network


class TargetKind(StrEnum):
    """What a route leads to."""

    INTERNET_GATEWAY = "igw"
    NAT_GATEWAY = "nat"
    PEERING = "peering"


@dataclass(frozen=True, kw_only=True)
class Region:
    """A region's VPC."""

    name: str
    vpc_id: str
    cidr: IPv4Network


@dataclass(frozen=True, kw_only=True)
class Route:
    """One route of a route table."""

    destination: IPv4Network
    kind: TargetKind
    target_id: str


@dataclass(frozen=True, kw_only=True)
class RouteTable:
    """The routes that hold for the subnets associated with the table."""

    id: str
    region: str
    routes: tuple[Route, ...]


@dataclass(frozen=True, kw_only=True)
class Subnet:
    """A subnet; without an associated table it has only the way to its own VPC (`route_table_id` None)."""

    id: str
    region: str
    cidr: IPv4Network
    route_table_id: str | None


@dataclass(frozen=True, kw_only=True)
class GroupRule:
    """One rule of a security group; `ports` is None for all, (type, code) for ICMP with -1 for any.

    Exactly one of `cidr` and `group_id` names the other side.
    """

    egress: bool
    protocol: str
    ports: tuple[int, int] | None
    cidr: IPv4Network | None
    group_id: str | None


@dataclass(frozen=True, kw_only=True)
class SecurityGroup:
    """A security group; with no rule it lets nothing pass."""

    id: str
    region: str
    rules: tuple[GroupRule, ...]


@dataclass(frozen=True, kw_only=True)
class Instance:
    """A server as EC2 would run it, with the facts that the stack's outputs add."""

    id: str
    name: str
    fqdn: str
    role: str
    region: str
    zone: str
    subnet_id: str
    private_ip: IPv4Address
    public_ip: IPv4Address | None
    group_ids: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class NatGateway:
    """A NAT gateway, and the public address behind which it hides servers."""

    id: str
    region: str
    subnet_id: str
    public_ip: IPv4Address


@dataclass(frozen=True, kw_only=True)
class InternetGateway:
    """An internet gateway attached to a region's VPC."""

    id: str
    region: str


@dataclass(frozen=True, kw_only=True)
class Peering:
    """An accepted connection between the VPCs of two regions."""

    id: str
    regions: tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Estate:
    """All of it, each kind sorted by name or id."""

    stack: str
    regions: tuple[Region, ...]
    subnets: tuple[Subnet, ...]
    route_tables: tuple[RouteTable, ...]
    instances: tuple[Instance, ...]
    security_groups: tuple[SecurityGroup, ...]
    nat_gateways: tuple[NatGateway, ...]
    internet_gateways: tuple[InternetGateway, ...]
    peerings: tuple[Peering, ...]

    def instances_of(self, region: str) -> tuple[Instance, ...]:
        """Return the servers of one region."""
        return tuple(i for i in self.instances if i.region == region)

    def routes_of(self, instance: Instance) -> tuple[Route, ...]:
        """Return the routes that hold for a server, beyond its own VPC."""
        subnet = next(s for s in self.subnets if s.id == instance.subnet_id)
        return next((t.routes for t in self.route_tables if t.id == subnet.route_table_id), ())
