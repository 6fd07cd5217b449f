"""Follows a packet through recorded route tables, as AWS would forward it: the longest prefix that matches wins.

Sources: Amazon VPC User Guide, "Route priority"; Transit Gateway User Guide, "How transit gateways work".
"""

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from .network_stack import Made

MAX_HOPS = 20


class RoutingLoopError(AssertionError):
    """A packet goes round and round."""


class Paths:
    """The forwarding of a recorded network."""

    def __init__(self, made: Sequence[Made]) -> None:
        """Index what forwards packets."""
        self._all = made
        self._by_id = {m.id: m for m in made}
        self._tables = {m.inputs["subnetId"]: m.inputs["routeTableId"] for m in self._of("ec2/routeTableAssociation")}
        self._transit_tables = {
            (m.inputs["region"], m.inputs["transitGatewayAttachmentId"]): m.inputs["transitGatewayRouteTableId"]
            for m in self._of("ec2transitgateway/routeTableAssociation")
        }

    def _of(self, type_: str) -> Iterator[Made]:
        return (m for m in self._all if m.type.startswith(f"aws:{type_}:"))

    def subnets(self, tier: str) -> list[Made]:
        """Return the mail networks' subnets of a tier."""
        return [m for m in self._of("ec2/subnet") if m.name.startswith("network-") and m.name.split("-")[-2] == tier]

    def walk(self, subnet: Made, destination: str) -> list[str]:
        """Return the hops of a packet that leaves from a subnet; the last one says where it ends.

        Raises:
            RoutingLoopError: it never ends.
        """
        hops: list[str] = []
        address = IPv4Address(destination)
        for hop in self._from_subnet(subnet, address):
            hops.append(hop)
            if len(hops) > MAX_HOPS:
                raise RoutingLoopError(hops)
        return hops

    def _from_subnet(self, subnet: Made, address: IPv4Address) -> Iterator[str]:
        vpc = self._by_id[subnet.inputs["vpcId"]]
        if address in IPv4Network(vpc.inputs["cidrBlock"]):
            yield f"arrived in {vpc.name}"
            return
        routes = [r for r in self._of("ec2/route") if r.inputs["routeTableId"] == self._tables[subnet.id]]
        route = _longest(routes, address)
        if route is None:
            yield "no route"
        elif "gatewayId" in route:
            yield "internet"
        elif "natGatewayId" in route:
            nat = self._by_id[route["natGatewayId"]]
            yield nat.name
            yield from self._from_subnet(self._by_id[nat.inputs["subnetId"]], address)
        elif "vpcEndpointId" in route:
            inside = self._by_id[route["vpcEndpointId"].removeprefix("vpce/")]
            yield inside.name
            yield from self._from_subnet(inside, address)
        elif "vpcPeeringConnectionId" in route:
            yield from self._over_peering(subnet, route["vpcPeeringConnectionId"], address)
        else:
            yield from self._enter_transit(subnet, route["transitGatewayId"], address)

    def _over_peering(self, subnet: Made, peering_id: str, address: IPv4Address) -> Iterator[str]:
        name = self._by_id[peering_id].name
        (peering,) = (p for p in self._of("ec2/vpcPeeringConnection") if p.name == name)
        ends = {peering.inputs["vpcId"], peering.inputs["peerVpcId"]}
        (far,) = ends - {subnet.inputs["vpcId"]}
        yield f"peering {name}"
        here = self._by_id[far]
        yield f"arrived in {here.name}" if address in IPv4Network(here.inputs["cidrBlock"]) else "dropped by peering"

    def _enter_transit(self, subnet: Made, gateway_id: str, address: IPv4Address) -> Iterator[str]:
        (attachment,) = (
            a
            for a in self._of("ec2transitgateway/vpcAttachment")
            if a.inputs["vpcId"] == subnet.inputs["vpcId"] and a.inputs["transitGatewayId"] == gateway_id
        )
        yield from self._from_attachment(subnet.inputs["region"], attachment.id, subnet.id[-1], address)

    def _from_attachment(self, region: str, attachment_id: str, zone: str, address: IPv4Address) -> Iterator[str]:
        table = self._transit_tables[region, attachment_id]
        routes = [
            r
            for r in self._of("ec2transitgateway/route")
            if r.inputs["transitGatewayRouteTableId"] == table and r.inputs["region"] == region
        ]
        route = _longest(routes, address)
        if route is None or route.get("blackhole"):
            yield "no route" if route is None else "blackhole"
            return
        target = self._by_id[route["transitGatewayAttachmentId"]]
        if target.kind == "VpcAttachment":
            (entry,) = (s for s in target.inputs["subnetIds"] if s.endswith(f"-{zone}"))
            yield from self._from_subnet(self._by_id[entry], address)
            return
        one, two = self._peered(target.name)
        far = two if region == one else one
        yield f"transit {region} to {far}"
        yield from self._from_attachment(far, target.id, zone, address)

    def _peered(self, name: str) -> tuple[str, str]:
        (asked,) = (p for p in self._of("ec2transitgateway/peeringAttachment") if p.name == name)
        return asked.inputs["region"], asked.inputs["peerRegion"]


def _longest(routes: Sequence[Made], address: IPv4Address) -> dict[str, Any] | None:
    matching = [r for r in routes if address in IPv4Network(r.inputs.get("destinationCidrBlock", "255.255.255.255/32"))]
    if not matching:
        return None
    lengths = [IPv4Network(r.inputs["destinationCidrBlock"]).prefixlen for r in matching]
    assert lengths.count(max(lengths)) == 1, f"two routes for the same destination: {[r.name for r in matching]}"
    return matching[lengths.index(max(lengths))].inputs
