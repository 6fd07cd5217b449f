"""Reads an Estate from a Pulumi deployment (version 3): every reference resolved, every surprise refused.

Pure: a dict in, frozen records out. Resource types and property names are those of pulumi-aws 7.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from .errors import LabError
from .estate import (
    Estate,
    Instance,
    InternetGateway,
    NatGateway,
    Peering,
    Region,
    Route,
    RouteTable,
    SecurityGroup,
    Subnet,
    TargetKind,
)
from .grouprules import read_rules
from .resources import Resource, Resources

REFUSED_TYPES = {
    "aws:ec2/networkAcl:NetworkAcl": "network ACLs",
    "aws:ec2/networkAclRule:NetworkAclRule": "network ACLs",
    "aws:ec2/networkInterface:NetworkInterface": "network interfaces of their own",
    "aws:ec2/securityGroupRule:SecurityGroupRule": "rules of the old kind (use Security...gressRule)",
    "aws:ec2/vpcIpv4CidrBlockAssociation:VpcIpv4CidrBlockAssociation": "second address ranges of a VPC",
    "aws:ec2transitgateway/transitGateway:TransitGateway": "transit gateways",
    "aws:networkfirewall/firewall:Firewall": "AWS Network Firewall",
    "aws:lb/loadBalancer:LoadBalancer": "load balancers",
}
"""What decides where packets go and is not realised: passing over it would make a lab that lies."""

_ROUTE_TARGETS = {
    "gatewayId": TargetKind.INTERNET_GATEWAY,
    "natGatewayId": TargetKind.NAT_GATEWAY,
    "vpcPeeringConnectionId": TargetKind.PEERING,
}
_GROUP_TYPES = ("aws:ec2/securityGroup:SecurityGroup", "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup")


def read_estate(deployment: dict[str, Any]) -> Estate:
    """Return the estate of a deployment (with or without the outer `deployment` key).

    Raises LabError for a reference to something unknown, for what the lab cannot realise, and for no server at all.
    """
    found = Resources.of(deployment)
    for type_, what in REFUSED_TYPES.items():
        for resource in found.all(type_):
            message = f"{resource.urn} is a kind that the lab does not realise: {what}. Take it out of the stack."
            raise LabError(message)
    regions = _regions(found)
    subnets = _subnets(found, regions)
    eips = _elastic_ips(found)
    instances = _instances(found, subnets, eips)
    if not instances:
        message = "The deployment holds no EC2 instance: provision the stack first (./scripts/up does)."
        raise LabError(message)
    return Estate(
        stack=found.stack,
        regions=regions,
        subnets=subnets,
        route_tables=_route_tables(found, regions),
        instances=instances,
        security_groups=_groups(found, regions),
        nat_gateways=_nat_gateways(found, subnets, eips),
        internet_gateways=_internet_gateways(found, regions),
        peerings=_peerings(found, regions),
    )


def _regions(found: Resources) -> tuple[Region, ...]:
    regions = [
        Region(name=r.region, vpc_id=r.id, cidr=IPv4Network(r.text("cidrBlock"))) for r in found.all("aws:ec2/vpc:Vpc")
    ]
    names = [r.name for r in regions]
    if double := {n for n in names if names.count(n) > 1}:
        message = (
            f"Region {min(double)} has more than one VPC; the lab has one router and one VPC a region. Take one out."
        )
        raise LabError(message)
    return tuple(sorted(regions, key=lambda r: r.name))


def _region_of_vpc(regions: Iterable[Region], resource: Resource, key: str = "vpcId") -> str:
    vpc_id = resource.text(key)
    for region in regions:
        if region.vpc_id == vpc_id:
            return region.name
    message = f"{resource.urn} refers by {key} to the VPC {vpc_id}, which is not in the deployment."
    raise LabError(message)


def _subnets(found: Resources, regions: tuple[Region, ...]) -> tuple[Subnet, ...]:
    tables: dict[str, str] = {}
    for link in found.all("aws:ec2/routeTableAssociation:RouteTableAssociation"):
        table = found.get(link, "routeTableId", "aws:ec2/routeTable:RouteTable")
        tables[found.get(link, "subnetId", "aws:ec2/subnet:Subnet").id] = table.id
    return tuple(
        Subnet(
            id=r.id,
            region=_region_of_vpc(regions, r),
            cidr=IPv4Network(r.text("cidrBlock")),
            route_table_id=tables.get(r.id),
        )
        for r in found.all("aws:ec2/subnet:Subnet")
    )


def _elastic_ips(found: Resources) -> dict[str, tuple[IPv4Address, str | None]]:
    """Return address and instance (or None) of each Elastic IP by allocation id."""
    owners = {
        link.text("allocationId"): link.optional("instanceId")
        for link in found.all("aws:ec2/eipAssociation:EipAssociation")
    }
    return {
        r.id: (IPv4Address(r.text("publicIp")), owners.get(r.id) or r.optional("instance"))
        for r in found.all("aws:ec2/eip:Eip")
    }


def _instances(
    found: Resources, subnets: tuple[Subnet, ...], eips: dict[str, tuple[IPv4Address, str | None]]
) -> tuple[Instance, ...]:
    facts = {str(s.get("instanceId")): s for s in found.stack_outputs().get("servers", {}).values()}
    public = {owner: address for address, owner in eips.values() if owner}
    known = {s.id: s for s in subnets}
    instances = []
    for r in found.all("aws:ec2/instance:Instance"):
        fact = facts.get(r.id, {})
        fqdn = str(fact.get("fqdn") or r.tag("Name"))
        subnet = known[found.get(r, "subnetId", "aws:ec2/subnet:Subnet").id]
        address = IPv4Address(r.text("privateIp"))
        if address not in subnet.cidr:
            message = f"{r.urn} has the address {address}, which is not in its subnet {subnet.cidr}. Correct privateIp."
            raise LabError(message)
        instances.append(
            Instance(
                id=r.id,
                name=str(fact.get("name") or fqdn.split(".", maxsplit=1)[0]),
                fqdn=fqdn,
                role=str(fact.get("role", "")),
                region=subnet.region,
                zone=str(fact.get("zone", "")),
                subnet_id=subnet.id,
                private_ip=address,
                public_ip=public.pop(r.id, None),
                group_ids=tuple(found.get_each(r, "vpcSecurityGroupIds", _GROUP_TYPES)),
            )
        )
    if public:
        message = f"An Elastic IP belongs to the instance {min(public)}, which is not in the deployment."
        raise LabError(message)
    _refuse_doubles(instances)
    return tuple(sorted(instances, key=lambda i: i.name))


def _refuse_doubles(instances: list[Instance]) -> None:
    for what, values in (
        ("name", [i.name for i in instances]),
        ("private address", [str(i.private_ip) for i in instances]),
    ):
        if double := {v for v in values if values.count(v) > 1}:
            message = f"Two instances have the {what} {min(double)}; each server needs its own."
            raise LabError(message)


def _route_tables(found: Resources, regions: tuple[Region, ...]) -> tuple[RouteTable, ...]:
    tables = {r.id: r for r in found.all("aws:ec2/routeTable:RouteTable")}
    routes: dict[str, list[Route]] = {id_: [] for id_ in tables}
    for table in tables.values():
        for inline in table.optional("routes", []):
            destination = str(inline.get("cidrBlock") or "")
            routes[table.id].append(_route(found, table, inline, destination))
    for r in found.all("aws:ec2/route:Route"):
        table = found.get(r, "routeTableId", "aws:ec2/routeTable:RouteTable")
        routes[table.id].append(_route(found, r, r.properties, r.text("destinationCidrBlock")))
    return tuple(
        RouteTable(id=r.id, region=_region_of_vpc(regions, r), routes=tuple(routes[r.id])) for r in tables.values()
    )


def _route(found: Resources, where: Resource, properties: dict[str, Any], destination: str) -> Route:
    for key, kind in _ROUTE_TARGETS.items():
        if target := properties.get(key):
            types = {
                TargetKind.INTERNET_GATEWAY: "aws:ec2/internetGateway:InternetGateway",
                TargetKind.NAT_GATEWAY: "aws:ec2/natGateway:NatGateway",
                TargetKind.PEERING: "aws:ec2/vpcPeeringConnection:VpcPeeringConnection",
            }
            found.known(where, key, str(target), types[kind])
            return Route(destination=IPv4Network(destination), kind=kind, target_id=str(target))
    known = ", ".join(_ROUTE_TARGETS)
    message = f"{where.urn} leads {destination} to something that the lab does not realise; it knows {known}."
    raise LabError(message)


def _groups(found: Resources, regions: tuple[Region, ...]) -> tuple[SecurityGroup, ...]:
    groups = {r.id: r for type_ in _GROUP_TYPES for r in found.all(type_)}
    place = {id_: _region_of_vpc(regions, r) for id_, r in groups.items()}
    rules = read_rules(found, place)
    return tuple(SecurityGroup(id=id_, region=place[id_], rules=tuple(rules[id_])) for id_ in sorted(groups))


def _nat_gateways(
    found: Resources, subnets: tuple[Subnet, ...], eips: dict[str, tuple[IPv4Address, str | None]]
) -> tuple[NatGateway, ...]:
    place = {s.id: s.region for s in subnets}
    gateways = []
    for r in found.all("aws:ec2/natGateway:NatGateway"):
        subnet = found.get(r, "subnetId", "aws:ec2/subnet:Subnet")
        address, _ = eips[found.get(r, "allocationId", "aws:ec2/eip:Eip").id]
        gateways.append(NatGateway(id=r.id, region=place[subnet.id], subnet_id=subnet.id, public_ip=address))
    return tuple(gateways)


def _internet_gateways(found: Resources, regions: tuple[Region, ...]) -> tuple[InternetGateway, ...]:
    type_ = "aws:ec2/internetGateway:InternetGateway"
    attached = {
        found.get(link, "internetGatewayId", type_).id: _region_of_vpc(regions, link)
        for link in found.all("aws:ec2/internetGatewayAttachment:InternetGatewayAttachment")
    }
    for r in found.all(type_):
        if r.optional("vpcId"):
            attached[r.id] = _region_of_vpc(regions, r)
    return tuple(InternetGateway(id=id_, region=region) for id_, region in sorted(attached.items()))


def _peerings(found: Resources, regions: tuple[Region, ...]) -> tuple[Peering, ...]:
    """Return the connections that the other side accepted; one that waits for it carries nothing."""
    type_ = "aws:ec2/vpcPeeringConnection:VpcPeeringConnection"
    accepted = {
        found.get(r, "vpcPeeringConnectionId", type_).id
        for r in found.all("aws:ec2/vpcPeeringConnectionAccepter:VpcPeeringConnectionAccepter")
        if r.optional("autoAccept")
    }
    return tuple(
        Peering(id=r.id, regions=(_region_of_vpc(regions, r), _region_of_vpc(regions, r, "peerVpcId")))
        for r in found.all(type_)
        if r.id in accepted or r.optional("autoAccept")
    )
