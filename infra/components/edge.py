"""A region's way in for mail: network load balancers that pass TCP through and name the client by PROXY protocol.

Health checks of a network load balancer fail open: with no healthy target left in any zone it sends to all of them
(Elastic Load Balancing, "Health checks for Network Load Balancer target groups"). A server that must not serve
therefore closes its own ports; the balancer's verdict alone keeps nobody out.

There are no access logs here: a network load balancer writes them for TLS listeners only. Flow logs have the packets,
the servers' own logs the sessions.
"""

from collections.abc import Mapping

import pulumi
import pulumi_aws as aws

from onedallmail.platform.addresses import ZONES, Tier
from onedallmail.platform.flows import PUBLIC_MAIL
from onedallmail.platform.ports import Port
from onedallmail.platform.short_names import short_name
from onedallmail.platform.stack import RegionConfig

from components.context import Context
from components.network import MailVpc

IDLE_TIMEOUT_S = 350
"""Network load balancer's own default, for sessions in which one side always speaks."""
IDLING_TIMEOUT_S = 1860
"""A little more than the 29 minutes after which an idle IMAP client speaks again (RFC 2177)."""
LONG_SESSIONS = (Port.IMAPS, Port.SIEVE)
DRAIN_S = 300
CHECK_INTERVAL_S = 10
FAILED_CHECKS = 3


class MailEdge(pulumi.ComponentResource):
    """A region's balancers for mail: the public one, and a private one for the accelerator where the stack has it.

    The accelerator gets a balancer of its own because it preserves client addresses only with an IPv4 balancer when
    targets are addresses, while the public one is dual stack; and because Global Accelerator advises against sending
    other traffic to its endpoints (Developer Guide, "Requirements for resources you add as accelerator endpoints").
    """

    public: "MailBalancer"
    accelerated: "MailBalancer | None"

    def __init__(
        self,
        name: str,
        *,
        context: Context,
        region: RegionConfig,
        network: MailVpc,
        group_id: pulumi.Input[str],
        targets: Mapping[str, pulumi.Input[str]],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("onedallmail:edge:MailEdge", name, None, opts)

        def balancer(kind: str, *, internal: bool) -> MailBalancer:
            return MailBalancer(
                f"{name}-{kind}",
                context=context,
                region=region,
                network=network,
                group_id=group_id,
                targets=targets,
                kind=kind,
                internal=internal,
                opts=pulumi.ResourceOptions(parent=self),
            )

        self.public = balancer("mail", internal=False)
        self.accelerated = balancer("mail-acc", internal=True) if context.platform.options.accelerator else None
        self.register_outputs({"dnsName": self.public.dns_name})


class MailBalancer(pulumi.ComponentResource):
    """One network load balancer with a listener for each public mail port; `targets` maps servers to addresses."""

    arn: pulumi.Output[str]
    dns_name: pulumi.Output[str]
    zone_id: pulumi.Output[str]
    address_arns: dict[str, pulumi.Output[str]]
    """The Elastic IP of each zone, which is what Shield Advanced protects; empty inside."""
    public_ips: dict[str, pulumi.Output[str]]

    def __init__(
        self,
        name: str,
        *,
        context: Context,
        region: RegionConfig,
        network: MailVpc,
        group_id: pulumi.Input[str],
        targets: Mapping[str, pulumi.Input[str]],
        kind: str,
        internal: bool,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("onedallmail:edge:MailBalancer", name, None, opts)
        self._name, self._context, self._region, self._kind = name, context, region.name, kind
        self._child = pulumi.ResourceOptions(parent=self)
        addresses = {} if internal else {zone: self._address(zone) for zone in ZONES}
        self.address_arns = {zone: self._shield_arn(address) for zone, address in addresses.items()}
        self.public_ips = {zone: address.public_ip for zone, address in addresses.items()}
        balancer = self._balancer(network, group_id, addresses, internal=internal)
        self.arn, self.dns_name, self.zone_id = balancer.arn, balancer.dns_name, balancer.zone_id
        for port, _ in PUBLIC_MAIL:
            group = self._target_group(port, network.vpc_id)
            self._targets(port, group.arn, targets)
            self._listener(port, group.arn)
        self.register_outputs({"arn": self.arn, "dnsName": self.dns_name})

    def _address(self, zone: str) -> aws.ec2.Eip:
        return aws.ec2.Eip(
            f"{self._name}-{zone}",
            region=self._region,
            domain="vpc",
            tags=self._context.tags(self._context.name(self._region, self._kind, zone)),
            opts=self._child,
        )

    def _shield_arn(self, address: aws.ec2.Eip) -> pulumi.Output[str]:
        """Return the ARN by which Shield knows an Elastic IP (API, CreateProtection): not the one that EC2 gives it."""
        return pulumi.Output.format(
            "arn:aws:ec2:{0}:{1}:eip-allocation/{2}", self._region, self._context.account_id, address.id
        )

    def _balancer(
        self, network: MailVpc, group_id: pulumi.Input[str], addresses: Mapping[str, aws.ec2.Eip], *, internal: bool
    ) -> aws.lb.LoadBalancer:
        context = self._context
        dual = context.platform.options.ipv6 and not internal
        return aws.lb.LoadBalancer(
            self._name,
            region=self._region,
            name=short_name(context.stack, self._kind),
            load_balancer_type="network",
            internal=internal,
            ip_address_type="dualstack" if dual else "ipv4",
            security_groups=[group_id],
            enforce_security_group_inbound_rules_on_private_link_traffic="on",
            subnet_mappings=[
                aws.lb.LoadBalancerSubnetMappingArgs(
                    subnet_id=network.subnet_ids[Tier.EDGE, zone],
                    allocation_id=addresses[zone].id if addresses else None,
                )
                for zone in ZONES
            ],
            # Servers need not stand in every zone. Two connections of one client can't collide behind it: a target
            # sees the balancer's address and port, and learns the client's from the PROXY protocol.
            enable_cross_zone_load_balancing=True,
            enable_zonal_shift=True,
            enable_deletion_protection=context.lasting,
            tags=context.tags(context.name(self._region, self._kind)),
            opts=self._child,
        )

    def _target_group(self, port: Port, vpc_id: pulumi.Output[str]) -> aws.lb.TargetGroup:
        return aws.lb.TargetGroup(
            f"{self._name}-{port.service}",
            region=self._region,
            # A prefix of at most six characters: a group that is replaced stands beside its successor for a while.
            name_prefix=f"m{port.value}-",
            vpc_id=vpc_id,
            target_type="ip",
            ip_address_type="ipv4",
            port=port.value,
            protocol="TCP",
            proxy_protocol_v2=True,
            preserve_client_ip="false",
            connection_termination=True,
            deregistration_delay=DRAIN_S,
            stickiness={"enabled": False, "type": "source_ip"},
            health_check={
                "protocol": "TCP",
                "port": "traffic-port",
                "interval": CHECK_INTERVAL_S,
                "healthy_threshold": FAILED_CHECKS,
                "unhealthy_threshold": FAILED_CHECKS,
            },
            tags=self._context.tags(self._context.name(self._region, self._kind, port.service)),
            opts=self._child,
        )

    def _targets(self, port: Port, group_arn: pulumi.Output[str], targets: Mapping[str, pulumi.Input[str]]) -> None:
        for server, address in targets.items():
            aws.lb.TargetGroupAttachment(
                f"{self._name}-{port.service}-{server}",
                region=self._region,
                target_group_arn=group_arn,
                target_id=address,
                port=port.value,
                opts=self._child,
            )

    def _listener(self, port: Port, group_arn: pulumi.Output[str]) -> None:
        aws.lb.Listener(
            f"{self._name}-{port.service}",
            region=self._region,
            load_balancer_arn=self.arn,
            port=port.value,
            protocol="TCP",
            tcp_idle_timeout_seconds=IDLING_TIMEOUT_S if port in LONG_SESSIONS else IDLE_TIMEOUT_S,
            default_actions=[{"type": "forward", "target_group_arn": group_arn}],
            tags=self._context.tags(self._context.name(self._region, self._kind, port.service)),
            opts=self._child,
        )
