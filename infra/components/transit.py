"""Transit gateways: one a region, peered with all others, every packet between networks sent through inspection."""

from collections.abc import Mapping
from ipaddress import IPv4Network
from itertools import combinations

import pulumi
import pulumi_aws as aws

from onedallmail.platform.addresses import Tier
from onedallmail.platform.firewall import ANYWHERE
from onedallmail.platform.regions import REGION_NUMBERS
from onedallmail.platform.routes import UNUSED, Side

from components.context import Context
from components.network import MailVpc

FIRST_ASN = 4_200_000_000
"""Private 32-bit ASNs begin here (RFC 6996); each region adds its own number."""


class TransitHub(pulumi.ComponentResource):
    """A region's transit gateway with its two route tables; the mail network is attached and sends packets here."""

    region: str
    tgw_id: pulumi.Output[str]
    table_ids: dict[Side, pulumi.Output[str]]

    def __init__(
        self,
        name: str,
        *,
        context: Context,
        region: str,
        network: MailVpc,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("onedallmail:network:TransitHub", name, None, opts)
        self.region = region
        self._name, self._context = name, context
        self._child = pulumi.ResourceOptions(parent=self)
        gateway_name = context.name(region, "transit")
        self.tgw_id = aws.ec2transitgateway.TransitGateway(
            name,
            region=region,
            description=gateway_name,
            amazon_side_asn=FIRST_ASN + REGION_NUMBERS[region],
            auto_accept_shared_attachments="disable",
            default_route_table_association="disable",
            default_route_table_propagation="disable",
            multicast_support="disable",
            vpn_ecmp_support="disable",
            dns_support="enable",
            tags=context.tags(gateway_name),
            opts=self._child,
        ).id
        self.table_ids = {side: self._table(side) for side in Side}
        self._unused()
        self._attach_mail(network)
        self.register_outputs({"tgwId": self.tgw_id})

    def attach(
        self,
        side: Side,
        *,
        vpc_id: pulumi.Input[str],
        subnet_ids: Mapping[str, pulumi.Output[str]],
        parent: pulumi.Resource,
    ) -> aws.ec2transitgateway.VpcAttachment:
        """Register the attachment of a VPC that looks up its side's table.

        Appliance mode keeps both directions of a flow in one zone, so that the same firewall sees both.
        """
        child = pulumi.ResourceOptions(parent=parent)
        attachment = aws.ec2transitgateway.VpcAttachment(
            f"{self._name}-{side}",
            region=self.region,
            transit_gateway_id=self.tgw_id,
            vpc_id=vpc_id,
            subnet_ids=[subnet_ids[zone] for zone in sorted(subnet_ids)],
            appliance_mode_support="enable" if side is Side.INSPECTION else "disable",
            dns_support="enable",
            ipv6_support="disable",
            transit_gateway_default_route_table_association=False,
            transit_gateway_default_route_table_propagation=False,
            tags=self._context.tags(self._context.name(self.region, "transit", side)),
            opts=child,
        )
        self.associate(side, str(side), attachment.id, parent=parent)
        return attachment

    def associate(self, side: Side, what: str, attachment_id: pulumi.Input[str], *, parent: pulumi.Resource) -> None:
        """Let an attachment's packets be led by a side's table."""
        aws.ec2transitgateway.RouteTableAssociation(
            f"{self._name}-{what}",
            region=self.region,
            transit_gateway_attachment_id=attachment_id,
            transit_gateway_route_table_id=self.table_ids[side],
            opts=pulumi.ResourceOptions(parent=parent),
        )

    def lead(
        self, side: Side, destination: IPv4Network, attachment_id: pulumi.Input[str], *, parent: pulumi.Resource
    ) -> None:
        """Send packets that look up a side's table and have this destination to an attachment."""
        aws.ec2transitgateway.Route(
            f"{self._name}-{side}-{destination}",
            region=self.region,
            destination_cidr_block=str(destination),
            transit_gateway_attachment_id=attachment_id,
            transit_gateway_route_table_id=self.table_ids[side],
            opts=pulumi.ResourceOptions(parent=parent),
        )

    def _table(self, side: Side) -> pulumi.Output[str]:
        return aws.ec2transitgateway.RouteTable(
            f"{self._name}-{side}",
            region=self.region,
            transit_gateway_id=self.tgw_id,
            tags=self._context.tags(self._context.name(self.region, "transit", side)),
            opts=self._child,
        ).id

    def _unused(self) -> None:
        """Drop what is addressed to private space that is no mail network, in both tables."""
        mail = self._context.platform.regions.values()
        for side in Side:
            for network in (n for n in UNUSED if n not in mail):
                aws.ec2transitgateway.Route(
                    f"{self._name}-{side}-{network}",
                    region=self.region,
                    destination_cidr_block=str(network),
                    blackhole=True,
                    transit_gateway_route_table_id=self.table_ids[side],
                    opts=self._child,
                )

    def _attach_mail(self, network: MailVpc) -> None:
        """Attach the mail network: its private tiers send everything here, tiers with a way out only what crosses."""
        attachment = self.attach(
            Side.MAIL, vpc_id=network.vpc_id, subnet_ids=network.subnets(Tier.TRANSIT), parent=self
        )
        here = self._context.platform.regions[self.region]
        self.lead(Side.INSPECTION, here, attachment.id, parent=self)
        others = [cidr for name, cidr in self._context.platform.regions.items() if name != self.region]
        for table, table_id in network.crossing_tables.items():
            for destination in [ANYWHERE] if table in network.private_tables else others:
                aws.ec2.Route(
                    f"{self._name}-{table.label}-{destination}",
                    region=self.region,
                    route_table_id=table_id,
                    destination_cidr_block=str(destination),
                    # The attachment's own field: AWS refuses a route to a gateway that the VPC is not attached to yet.
                    transit_gateway_id=attachment.transit_gateway_id,
                    opts=self._child,
                )


class TransitMesh(pulumi.ComponentResource):
    """Peering between the transit gateways of all regions.

    A packet from one region to another passes the firewalls of both: what leaves inspection here crosses the peering,
    and what arrives from a peering looks up the mail side's table, which leads to inspection there.
    """

    def __init__(
        self,
        name: str,
        *,
        context: Context,
        hubs: Mapping[str, TransitHub],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("onedallmail:network:TransitMesh", name, None, opts)
        self._context, self._hubs = context, hubs
        for one, two in combinations(hubs, 2):
            peering_id = self._connect(one, two)
            for here, there in ((one, two), (two, one)):
                hub = hubs[here]
                hub.associate(Side.MAIL, f"peer-{there}", peering_id, parent=self)
                hub.lead(Side.INSPECTION, context.platform.regions[there], peering_id, parent=self)
        self.register_outputs({})

    def _connect(self, one: str, two: str) -> pulumi.Output[str]:
        """Register a peering of two gateways and its acceptance; both ends know it by the same id."""
        child = pulumi.ResourceOptions(parent=self)
        tags = self._context.tags(self._context.name("transit", one, two))
        asked = aws.ec2transitgateway.PeeringAttachment(
            f"{one}-{two}",
            region=one,
            transit_gateway_id=self._hubs[one].tgw_id,
            peer_transit_gateway_id=self._hubs[two].tgw_id,
            peer_region=two,
            tags=tags,
            opts=child,
        )
        return aws.ec2transitgateway.PeeringAttachmentAccepter(
            f"{one}-{two}", region=two, transit_gateway_attachment_id=asked.id, tags=tags, opts=child
        ).id
