"""Security groups: one a role and region, or one for a service of AWS; rules come from the intent graph."""

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network

import pulumi
import pulumi_aws as aws

from onedallmail.platform.firewall import Direction, Network, Rule, party_rules, security_group_rules
from onedallmail.platform.flows import Party
from onedallmail.platform.roles import ServerRole

from components.context import Context
from components.network import MailVpc


class _GeneratedGroup(pulumi.ComponentResource):
    """A security group whose rules are given; what they do not name is refused."""

    group_id: pulumi.Output[str]

    def _fill(
        self, name: str, *, context: Context, network: MailVpc, region: str, whose: str, rules: Sequence[Rule]
    ) -> None:
        group_name = context.name(region, whose)
        group = aws.ec2.SecurityGroup(
            name,
            region=region,
            name=group_name,
            description=f"Flows of the role {whose}",
            vpc_id=network.vpc_id,
            tags=context.tags(group_name),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.group_id = group.id
        for rule in rules:
            for peer in rule.peers:
                self._rule(name, region, rule, peer)
        self.register_outputs({"groupId": self.group_id})

    def _rule(self, name: str, region: str, rule: Rule, peer: Network) -> None:
        kind = aws.vpc.SecurityGroupIngressRule if rule.direction is Direction.IN else aws.vpc.SecurityGroupEgressRule
        kind(
            f"{name}-{rule.direction}-{rule.flow.name}-{peer}",
            region=region,
            security_group_id=self.group_id,
            ip_protocol=rule.flow.protocol.value,
            from_port=rule.flow.port.value,
            to_port=rule.flow.port.value,
            cidr_ipv4=str(peer) if isinstance(peer, IPv4Network) else None,
            cidr_ipv6=str(peer) if isinstance(peer, IPv6Network) else None,
            description=rule.flow.name,
            opts=pulumi.ResourceOptions(parent=self),
        )


class RoleSecurityGroup(_GeneratedGroup):
    """The security group of the servers that share a role in a region."""

    def __init__(
        self,
        name: str,
        *,
        context: Context,
        region: str,
        role: ServerRole,
        network: MailVpc,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("onedallmail:network:RoleSecurityGroup", name, None, opts)
        members = [s for s in context.platform.servers if s.role is role and s.region == region]
        rules = security_group_rules(context.platform, members)
        self._fill(name, context=context, network=network, region=region, whose=role, rules=rules)


class PartySecurityGroup(_GeneratedGroup):
    """The security group of a region's load balancer, of its endpoints or of the HSM."""

    def __init__(
        self,
        name: str,
        *,
        context: Context,
        region: str,
        party: Party,
        network: MailVpc,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("onedallmail:network:PartySecurityGroup", name, None, opts)
        rules = party_rules(context.platform, party, region)
        self._fill(name, context=context, network=network, region=region, whose=party, rules=rules)
