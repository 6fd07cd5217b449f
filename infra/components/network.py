"""A region's network: VPC, subnets by tier and zone, internet gateway, NAT gateway and route tables."""

import pulumi
import pulumi_aws as aws

from onedallmail.platform.addresses import Subnet, Tier, used_subnets
from onedallmail.platform.firewall import ANYWHERE
from onedallmail.platform.stack import RegionConfig

from components.context import Context


class MailVpc(pulumi.ComponentResource):
    """The VPC that holds a region's servers."""

    vpc_id: pulumi.Output[str]
    cidr: str
    subnet_ids: dict[tuple[Tier, str], pulumi.Output[str]]
    route_table_ids: dict[Tier, pulumi.Output[str]]

    def __init__(
        self, name: str, *, context: Context, region: RegionConfig, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("onedallmail:network:MailVpc", name, None, opts)
        self._name, self._context, self._region = name, context, region
        self._child = pulumi.ResourceOptions(parent=self)
        vpc = aws.ec2.Vpc(
            f"{name}-vpc",
            region=region.name,
            cidr_block=str(region.cidr),
            enable_dns_support=True,
            enable_dns_hostnames=True,
            tags=context.tags(context.name(region.name)),
            opts=self._child,
        )
        self.vpc_id, self.cidr = vpc.id, str(region.cidr)
        self._close_default_group()
        plan = used_subnets(region, context.platform.options)
        self.subnet_ids = {(s.tier, s.zone): self._subnet(s) for s in plan}
        tiers = [tier for tier in Tier if any(s.tier is tier for s in plan)]
        self.route_table_ids = {tier: self._route_table(tier) for tier in tiers}
        for subnet in plan:
            aws.ec2.RouteTableAssociation(
                f"{name}-{subnet.tier}-{subnet.zone}",
                region=region.name,
                subnet_id=self.subnet_ids[subnet.tier, subnet.zone],
                route_table_id=self.route_table_ids[subnet.tier],
                opts=self._child,
            )
        self._ways_out()
        self.register_outputs({"vpcId": self.vpc_id, "cidr": self.cidr})

    def _close_default_group(self) -> None:
        """Take every rule out of the VPC's default security group (CIS AWS 5.4): nothing may fall back on it."""
        aws.ec2.DefaultSecurityGroup(
            f"{self._name}-default",
            region=self._region.name,
            vpc_id=self.vpc_id,
            tags=self._context.tags(self._context.name(self._region.name, "default-closed")),
            opts=self._child,
        )

    def _subnet(self, subnet: Subnet) -> pulumi.Output[str]:
        return aws.ec2.Subnet(
            f"{self._name}-{subnet.tier}-{subnet.zone}",
            region=subnet.region,
            vpc_id=self.vpc_id,
            cidr_block=str(subnet.cidr),
            availability_zone=f"{subnet.region}{subnet.zone}",
            map_public_ip_on_launch=False,
            tags=self._context.tags(self._context.name(subnet.region, subnet.tier, subnet.zone)),
            opts=self._child,
        ).id

    def _route_table(self, tier: Tier) -> pulumi.Output[str]:
        return aws.ec2.RouteTable(
            f"{self._name}-{tier}",
            region=self._region.name,
            vpc_id=self.vpc_id,
            tags=self._context.tags(self._context.name(self._region.name, tier)),
            opts=self._child,
        ).id

    def _ways_out(self) -> None:
        region, tags = self._region.name, self._context.tags
        gateway = aws.ec2.InternetGateway(
            f"{self._name}-internet",
            region=region,
            vpc_id=self.vpc_id,
            tags=tags(self._context.name(region, "internet")),
            opts=self._child,
        )
        aws.ec2.Route(
            f"{self._name}-edge-internet",
            region=region,
            route_table_id=self.route_table_ids[Tier.EDGE],
            destination_cidr_block=str(ANYWHERE),
            gateway_id=gateway.id,
            opts=self._child,
        )
        if Tier.DATA not in self.route_table_ids:
            return
        zone = next(z for tier, z in self.subnet_ids if tier is Tier.EDGE)
        address = aws.ec2.Eip(
            f"{self._name}-nat",
            region=region,
            domain="vpc",
            tags=tags(self._context.name(region, "nat")),
            opts=self._child,
        )
        nat = aws.ec2.NatGateway(
            f"{self._name}-nat",
            region=region,
            subnet_id=self.subnet_ids[Tier.EDGE, zone],
            allocation_id=address.id,
            tags=tags(self._context.name(region, "nat")),
            # AWS makes a NAT gateway fail when its VPC has no internet gateway yet; no argument refers to that one.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[gateway]),
        )
        aws.ec2.Route(
            f"{self._name}-data-nat",
            region=region,
            route_table_id=self.route_table_ids[Tier.DATA],
            destination_cidr_block=str(ANYWHERE),
            nat_gateway_id=nat.id,
            opts=self._child,
        )
