"""A region's inspection network: a firewall in each zone between transit gateway and internet, and the NAT behind it.

A packet enters by a transit subnet, passes the firewall of its zone, and leaves by the NAT of its zone or back through
the transit gateway; answers come the same way, so that the same firewall sees both directions.
"""

from collections.abc import Sequence
from functools import partial
from ipaddress import IPv4Network
from typing import Any

import pulumi
import pulumi_aws as aws

from onedallmail.platform.addresses import (
    ZONES,
    InspectionSubnet,
    InspectionTier,
    inspection_network,
    inspection_subnets,
)
from onedallmail.platform.firewall import ANYWHERE
from onedallmail.platform.regions import zone_name
from onedallmail.platform.routes import Side

from components.acls import InspectionAcl
from components.context import Context
from components.firewall_rules import CUSTOMER_KEY, FirewallRules
from components.flow_logs import LogArchive, vpc_flow_log
from components.network import Egress
from components.transit import TransitHub

Key = tuple[InspectionTier, str]


class InspectionVpc(pulumi.ComponentResource):
    """VPC with AWS Network Firewall; `egress` has each zone's fixed address on the internet.

    `key_arn` is of the key in this region under which the firewall's rules lie.
    """

    vpc_id: pulumi.Output[str]
    cidr: str
    firewall_arn: pulumi.Output[str]
    egress: dict[str, Egress]

    def __init__(
        self,
        name: str,
        *,
        context: Context,
        region: str,
        hub: TransitHub,
        logs: LogArchive,
        key_arn: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("onedallmail:network:InspectionVpc", name, None, opts)
        self._name, self._context, self._region = name, context, region
        self._child = pulumi.ResourceOptions(parent=self)
        platform = context.platform
        self._mail = tuple(platform.regions.values())
        self.cidr = str(inspection_network(platform.config, region))
        vpc = self._vpc()
        self.vpc_id = vpc.id
        plan = inspection_subnets(platform.config, region)
        self._subnet_ids = {key: self._subnet(subnet) for key, subnet in plan.items()}
        self._table_ids = {key: self._table(key) for key in plan}
        self.egress = self._ways_out()
        rules = FirewallRules(name, context=context, region=region, key_arn=key_arn, opts=self._child)
        firewall = self._firewall(rules, logs, key_arn)
        self.firewall_arn = firewall.arn
        self._through_firewall(firewall, rules)
        self._attach(hub)
        self._close_defaults(vpc)
        subnets = list(self._subnet_ids.values())
        InspectionAcl(name, context=context, region=region, vpc_id=vpc.id, subnet_ids=subnets, opts=self._child)
        vpc_flow_log(name, context=context, region=region, vpc_id=vpc.id, logs=logs, parent=self)
        self.register_outputs({"vpcId": self.vpc_id, "cidr": self.cidr, "firewallArn": self.firewall_arn})

    def _tags(self, *parts: str) -> dict[str, str]:
        return self._context.tags(self._context.name(self._region, "inspection", *parts))

    def _vpc(self) -> aws.ec2.Vpc:
        return aws.ec2.Vpc(
            f"{self._name}-vpc",
            region=self._region,
            cidr_block=self.cidr,
            enable_dns_support=True,
            enable_dns_hostnames=False,
            tags=self._tags(),
            opts=self._child,
        )

    def _subnet(self, subnet: InspectionSubnet) -> pulumi.Output[str]:
        return aws.ec2.Subnet(
            f"{self._name}-{subnet.tier}-{subnet.zone}",
            region=self._region,
            vpc_id=self.vpc_id,
            cidr_block=str(subnet.cidr),
            availability_zone=zone_name(self._region, subnet.zone),
            map_public_ip_on_launch=False,
            tags=self._tags(subnet.tier, subnet.zone),
            opts=self._child,
        ).id

    def _table(self, key: Key) -> pulumi.Output[str]:
        label = "-".join(key)
        table = aws.ec2.RouteTable(
            f"{self._name}-{label}",
            region=self._region,
            vpc_id=self.vpc_id,
            tags=self._tags(*key),
            opts=self._child,
        )
        aws.ec2.RouteTableAssociation(
            f"{self._name}-{label}",
            region=self._region,
            subnet_id=self._subnet_ids[key],
            route_table_id=table.id,
            opts=self._child,
        )
        return table.id

    def _route(
        self,
        key: Key,
        destination: IPv4Network,
        opts: pulumi.ResourceOptions | None = None,
        **target: pulumi.Input[str],
    ) -> None:
        aws.ec2.Route(
            f"{self._name}-{'-'.join(key)}-{destination}",
            region=self._region,
            route_table_id=self._table_ids[key],
            destination_cidr_block=str(destination),
            opts=opts or self._child,
            **target,
        )

    def _ways_out(self) -> dict[str, Egress]:
        """Register internet gateway and a NAT gateway a zone; what a firewall passes leaves by the NAT of its zone."""
        gateway = aws.ec2.InternetGateway(
            f"{self._name}-internet",
            region=self._region,
            vpc_id=self.vpc_id,
            tags=self._tags("internet"),
            opts=self._child,
        )
        found = {}
        for zone in ZONES:
            address = aws.ec2.Eip(
                f"{self._name}-nat-{zone}",
                region=self._region,
                domain="vpc",
                tags=self._tags("nat", zone),
                # An address given back is gone, and with it the reputation that other mail systems hang on it.
                opts=pulumi.ResourceOptions(parent=self, protect=self._context.lasting),
            )
            nat = aws.ec2.NatGateway(
                f"{self._name}-nat-{zone}",
                region=self._region,
                subnet_id=self._subnet_ids[InspectionTier.NAT, zone],
                allocation_id=address.id,
                tags=self._tags("nat", zone),
                # AWS makes a NAT gateway fail when its VPC has no internet gateway yet; no argument refers to that one.
                opts=pulumi.ResourceOptions(parent=self, depends_on=[gateway]),
            )
            self._route((InspectionTier.NAT, zone), ANYWHERE, gateway_id=gateway.id)
            self._route((InspectionTier.FIREWALL, zone), ANYWHERE, nat_gateway_id=nat.id)
            found[zone] = Egress(allocation_id=address.id, public_ip=address.public_ip)
        return found

    def _firewall(
        self, rules: FirewallRules, logs: LogArchive, key_arn: pulumi.Input[str]
    ) -> aws.networkfirewall.Firewall:
        """Register the firewall with an endpoint a zone; alerts and flows go to the log archive."""
        lasting = self._context.lasting
        firewall = aws.networkfirewall.Firewall(
            self._name,
            region=self._region,
            name=self._context.name(self._region, "inspection"),
            description="Between the mail networks of all regions and the internet",
            vpc_id=self.vpc_id,
            firewall_policy_arn=rules.policy_arn,
            subnet_mappings=[{"subnet_id": self._subnet_ids[InspectionTier.FIREWALL, zone]} for zone in ZONES],
            delete_protection=lasting,
            subnet_change_protection=lasting,
            firewall_policy_change_protection=lasting,
            encryption_configuration={"type": CUSTOMER_KEY, "key_id": key_arn},
            tags=self._tags(),
            opts=self._child,
        )
        aws.networkfirewall.LoggingConfiguration(
            self._name,
            region=self._region,
            firewall_arn=firewall.arn,
            logging_configuration={
                "log_destination_configs": [
                    {
                        "log_destination": {"bucketName": logs.bucket_name},
                        "log_destination_type": "S3",
                        "log_type": kind,
                    }
                    for kind in ("ALERT", "FLOW")
                ]
            },
            # The service tries the bucket at once; only the bucket's policy lets it.
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(logs.ready)),
        )
        return firewall

    def _through_firewall(self, firewall: aws.networkfirewall.Firewall, rules: FirewallRules) -> None:
        """Lead every packet from the transit gateway, and every answer from the NAT, to the firewall of its zone."""
        # Packets come once the rules are there, and stop coming before the rules go.
        after = pulumi.ResourceOptions(parent=self, depends_on=[rules])
        for zone in ZONES:
            endpoint = firewall.firewall_statuses.apply(partial(endpoint_of, zone=zone_name(self._region, zone)))
            self._route((InspectionTier.TRANSIT, zone), ANYWHERE, after, vpc_endpoint_id=endpoint)
            for network in self._mail:
                self._route((InspectionTier.NAT, zone), network, after, vpc_endpoint_id=endpoint)

    def _attach(self, hub: TransitHub) -> None:
        """Attach to the transit gateway: the mail side's packets come here, and go back to all mail networks."""
        subnets = {zone: self._subnet_ids[InspectionTier.TRANSIT, zone] for zone in ZONES}
        attachment = hub.attach(Side.INSPECTION, vpc_id=self.vpc_id, subnet_ids=subnets, parent=self)
        for network in (ANYWHERE, *self._mail):
            hub.lead(Side.MAIL, network, attachment.id, parent=self)
        for zone in ZONES:
            for network in self._mail:
                # The attachment's own field: AWS refuses a route to a gateway that the VPC is not attached to yet.
                self._route((InspectionTier.FIREWALL, zone), network, transit_gateway_id=attachment.transit_gateway_id)

    def _close_defaults(self, vpc: aws.ec2.Vpc) -> None:
        """Empty what a VPC comes with, so that nothing falls back on it (CIS AWS 5.4)."""
        aws.ec2.DefaultSecurityGroup(
            f"{self._name}-default",
            region=self._region,
            vpc_id=vpc.id,
            tags=self._tags("default-closed"),
            opts=self._child,
        )
        aws.ec2.DefaultRouteTable(
            f"{self._name}-default",
            region=self._region,
            default_route_table_id=vpc.default_route_table_id,
            routes=[],
            tags=self._tags("default-closed"),
            opts=self._child,
        )
        aws.ec2.DefaultNetworkAcl(
            f"{self._name}-default",
            region=self._region,
            default_network_acl_id=vpc.default_network_acl_id,
            tags=self._tags("default-closed"),
            opts=self._child,
        )


def endpoint_of(statuses: Sequence[Any] | None, zone: str) -> str:
    """Return the id of the firewall's endpoint in an availability zone.

    Raises:
        ValueError: the firewall has none there, so packets of the zone would have no way.
    """
    for status in statuses or ():
        for state in status.sync_states or ():
            if state.availability_zone == zone:
                return str(state.attachments[0].endpoint_id)
    msg = f"the firewall has no endpoint in {zone}: see its status in AWS, then run again"
    raise ValueError(msg)
