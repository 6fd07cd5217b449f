"""A region's mail network: VPC, subnets by tier and zone, route tables, gateways, and what keeps them closed."""

from dataclasses import dataclass
from ipaddress import IPv6Network

import pulumi
import pulumi_aws as aws

from onedallmail.platform.addresses import Subnet, Tier, subnet_ipv6, used_subnets
from onedallmail.platform.firewall import ANYWHERE, ANYWHERE_V6
from onedallmail.platform.regions import zone_name
from onedallmail.platform.routes import PRIVATE_TIERS, crossing_tiers
from onedallmail.platform.stack import RegionConfig

from components.acls import NetworkAcls
from components.context import Context
from components.flow_logs import LogArchive, vpc_flow_log
from components.subnets import Table, nat_zones, table_of, tables_of

AMAZON_TIME = "169.254.169.123"
"""Amazon Time Sync Service, link-local (EC2 User Guide, "Set the time reference")."""


@dataclass(frozen=True)
class Egress:
    """The fixed address from which a zone's private servers are seen on the internet."""

    allocation_id: pulumi.Output[str]
    public_ip: pulumi.Output[str]


class MailVpc(pulumi.ComponentResource):
    """The VPC that holds a region's servers; `egress` is empty where packets leave through an inspection network."""

    vpc_id: pulumi.Output[str]
    cidr: str
    ipv6_cidr: pulumi.Output[str] | None
    subnet_ids: dict[tuple[Tier, str], pulumi.Output[str]]
    route_table_ids: dict[Table, pulumi.Output[str]]
    egress: dict[str, Egress]
    quarantine_group_id: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        context: Context,
        region: RegionConfig,
        logs: LogArchive,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("onedallmail:network:MailVpc", name, None, opts)
        self._name, self._context, self._region = name, context, region
        self._child = pulumi.ResourceOptions(parent=self)
        platform = context.platform
        vpc = self._vpc()
        self.vpc_id, self.cidr = vpc.id, str(region.cidr)
        self.ipv6_cidr = vpc.ipv6_cidr_block if platform.options.ipv6 else None
        plan = used_subnets(region, platform.options)
        self.subnet_ids = {(s.tier, s.zone): self._subnet(s) for s in plan}
        self.route_table_ids = {table: self._route_table(table) for table in tables_of(plan, platform)}
        for subnet in plan:
            aws.ec2.RouteTableAssociation(
                f"{name}-{subnet.tier}-{subnet.zone}",
                region=region.name,
                subnet_id=self.subnet_ids[subnet.tier, subnet.zone],
                route_table_id=self.route_table_ids[table_of(subnet, platform)],
                opts=self._child,
            )
        gateway = self._internet()
        self.egress = {zone: self._nat(zone, gateway) for zone in nat_zones(platform, region)}
        self._close_defaults(vpc)
        if platform.network_acls:
            NetworkAcls(
                name, context=context, region=region.name, vpc_id=vpc.id, subnet_ids=self.subnet_ids, opts=self._child
            )
        self.quarantine_group_id = self._quarantine_group()
        vpc_flow_log(name, context=context, region=region.name, vpc_id=vpc.id, logs=logs, parent=self)
        self.register_outputs({"vpcId": self.vpc_id, "cidr": self.cidr, "quarantineGroupId": self.quarantine_group_id})

    @property
    def crossing_tables(self) -> dict[Table, pulumi.Output[str]]:
        """Return the tables of tiers that speak with other regions."""
        tiers = crossing_tiers(self._context.platform, self._region.name)
        return {table: id_ for table, id_ in self.route_table_ids.items() if table.tier in tiers}

    @property
    def private_tables(self) -> dict[Table, pulumi.Output[str]]:
        """Return the tables of tiers that call out through NAT."""
        return {table: id_ for table, id_ in self.route_table_ids.items() if table.tier in PRIVATE_TIERS}

    def subnets(self, tier: Tier) -> dict[str, pulumi.Output[str]]:
        """Return a tier's subnets by zone; none where the stack does not have the tier."""
        return {zone: id_ for (held, zone), id_ in self.subnet_ids.items() if held is tier}

    def unzoned(self, zone: str | None, old: str) -> list[pulumi.Alias | str] | None:
        """Return the alias of what bore no zone in its name while a region had one NAT gateway: the first zone's."""
        first = next(iter(nat_zones(self._context.platform, self._region)), None)
        return [pulumi.Alias(name=old)] if zone is not None and zone == first else None

    def _tags(self, *parts: str) -> dict[str, str]:
        return self._context.tags(self._context.name(self._region.name, *parts))

    def _vpc(self) -> aws.ec2.Vpc:
        return aws.ec2.Vpc(
            f"{self._name}-vpc",
            region=self._region.name,
            cidr_block=str(self._region.cidr),
            assign_generated_ipv6_cidr_block=True if self._context.platform.options.ipv6 else None,
            enable_dns_support=True,
            enable_dns_hostnames=True,
            tags=self._tags(),
            opts=self._child,
        )

    def _subnet(self, subnet: Subnet) -> pulumi.Output[str]:
        """Register a subnet; only the edge is dual stack, behind it IPv4 alone has a way in or out."""
        dual = self.ipv6_cidr is not None and subnet.tier is Tier.EDGE
        return aws.ec2.Subnet(
            f"{self._name}-{subnet.tier}-{subnet.zone}",
            region=subnet.region,
            vpc_id=self.vpc_id,
            cidr_block=str(subnet.cidr),
            ipv6_cidr_block=_slot(self.ipv6_cidr, subnet.ipv6_slot) if self.ipv6_cidr is not None and dual else None,
            availability_zone=zone_name(subnet.region, subnet.zone),
            map_public_ip_on_launch=False,
            tags=self._tags(subnet.tier, subnet.zone),
            opts=self._child,
        ).id

    def _route_table(self, table: Table) -> pulumi.Output[str]:
        return aws.ec2.RouteTable(
            f"{self._name}-{table.label}",
            region=self._region.name,
            vpc_id=self.vpc_id,
            tags=self._tags(table.label),
            opts=pulumi.ResourceOptions(parent=self, aliases=self.unzoned(table.zone, f"{self._name}-{table.tier}")),
        ).id

    def _internet(self) -> aws.ec2.InternetGateway:
        region = self._region.name
        gateway = aws.ec2.InternetGateway(
            f"{self._name}-internet",
            region=region,
            vpc_id=self.vpc_id,
            tags=self._tags("internet"),
            opts=self._child,
        )
        aws.ec2.Route(
            f"{self._name}-edge-internet",
            region=region,
            route_table_id=self.route_table_ids[Table(Tier.EDGE)],
            destination_cidr_block=str(ANYWHERE),
            gateway_id=gateway.id,
            opts=self._child,
        )
        if self.ipv6_cidr is not None:
            aws.ec2.Route(
                f"{self._name}-edge-internet-ipv6",
                region=region,
                route_table_id=self.route_table_ids[Table(Tier.EDGE)],
                destination_ipv6_cidr_block=str(ANYWHERE_V6),
                gateway_id=gateway.id,
                opts=self._child,
            )
        return gateway

    def _nat(self, zone: str, gateway: aws.ec2.InternetGateway) -> Egress:
        """Register the NAT gateway of a zone with its address, and send the zone's private tiers there."""
        region, was = self._region.name, self.unzoned(zone, f"{self._name}-nat")
        address = aws.ec2.Eip(
            f"{self._name}-nat-{zone}",
            region=region,
            domain="vpc",
            tags=self._tags("nat", zone),
            # An address given back is gone, and with it the reputation that other mail systems hang on it.
            opts=pulumi.ResourceOptions(parent=self, aliases=was, protect=self._context.lasting),
        )
        nat = aws.ec2.NatGateway(
            f"{self._name}-nat-{zone}",
            region=region,
            subnet_id=self.subnet_ids[Tier.EDGE, zone],
            allocation_id=address.id,
            tags=self._tags("nat", zone),
            # AWS makes a NAT gateway fail when its VPC has no internet gateway yet; no argument refers to that one.
            opts=pulumi.ResourceOptions(parent=self, aliases=was, depends_on=[gateway]),
        )
        for table, table_id in self.private_tables.items():
            if table.zone == zone:
                aws.ec2.Route(
                    f"{self._name}-{table.label}-nat",
                    region=region,
                    route_table_id=table_id,
                    destination_cidr_block=str(ANYWHERE),
                    nat_gateway_id=nat.id,
                    opts=pulumi.ResourceOptions(
                        parent=self, aliases=self.unzoned(zone, f"{self._name}-{table.tier}-nat")
                    ),
                )
        return Egress(allocation_id=address.id, public_ip=address.public_ip)

    def _close_defaults(self, vpc: aws.ec2.Vpc) -> None:
        """Empty what a VPC comes with, so that nothing falls back on it (CIS AWS 5.4; CIS AWS 5.2 for the ACL)."""
        region = self._region.name
        aws.ec2.DefaultSecurityGroup(
            f"{self._name}-default",
            region=region,
            vpc_id=vpc.id,
            tags=self._tags("default-closed"),
            opts=self._child,
        )
        if not self._context.platform.network_acls:
            return
        aws.ec2.DefaultRouteTable(
            f"{self._name}-default",
            region=region,
            default_route_table_id=vpc.default_route_table_id,
            routes=[],
            tags=self._tags("default-closed"),
            opts=self._child,
        )
        aws.ec2.DefaultNetworkAcl(
            f"{self._name}-default",
            region=region,
            default_network_acl_id=vpc.default_network_acl_id,
            tags=self._tags("default-closed"),
            opts=self._child,
        )
        options = aws.ec2.VpcDhcpOptions(
            f"{self._name}-dhcp",
            region=region,
            domain_name=self._context.platform.domain,
            domain_name_servers=["AmazonProvidedDNS"],
            ntp_servers=[AMAZON_TIME],
            tags=self._tags("dhcp"),
            opts=self._child,
        )
        aws.ec2.VpcDhcpOptionsAssociation(
            f"{self._name}-dhcp", region=region, vpc_id=vpc.id, dhcp_options_id=options.id, opts=self._child
        )

    def _quarantine_group(self) -> pulumi.Output[str]:
        """Register the group into which an incident's instance is moved: no rule, so no packet either way."""
        group_name = self._context.name(self._region.name, "quarantine")
        return aws.ec2.SecurityGroup(
            f"{self._name}-quarantine",
            region=self._region.name,
            name=group_name,
            description="No rules: an instance moved here hears nobody and reaches nobody",
            vpc_id=self.vpc_id,
            tags=self._context.tags(group_name),
            opts=self._child,
        ).id


def _slot(network: pulumi.Output[str], slot: int) -> pulumi.Output[str]:
    return network.apply(lambda cidr: str(subnet_ipv6(IPv6Network(cidr), slot)))
