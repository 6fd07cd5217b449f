"""Security groups: one a role and region, its rules generated from the intent graph."""

import pulumi
import pulumi_aws as aws

from onedallmail.platform.firewall import Direction, Rule, security_group_rules
from onedallmail.platform.roles import ServerRole

from components.context import Context
from components.network import MailVpc


class RoleSecurityGroup(pulumi.ComponentResource):
    """The security group of the servers that share a role in a region."""

    group_id: pulumi.Output[str]

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
        group_name = context.name(region, role)
        group = aws.ec2.SecurityGroup(
            name,
            region=region,
            name=group_name,
            description=f"Flows of the role {role}",
            vpc_id=network.vpc_id,
            tags=context.tags(group_name),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.group_id = group.id
        members = [s for s in context.platform.servers if s.role is role and s.region == region]
        for rule in security_group_rules(context.platform, members):
            for peer in rule.peers:
                self._rule(name, region, rule, str(peer))
        self.register_outputs({"groupId": self.group_id})

    def _rule(self, name: str, region: str, rule: Rule, peer: str) -> None:
        kind = aws.vpc.SecurityGroupIngressRule if rule.direction is Direction.IN else aws.vpc.SecurityGroupEgressRule
        kind(
            f"{name}-{rule.direction}-{rule.flow.name}-{peer}",
            region=region,
            security_group_id=self.group_id,
            ip_protocol=rule.flow.protocol.value,
            from_port=rule.flow.port.value,
            to_port=rule.flow.port.value,
            cidr_ipv4=peer,
            description=rule.flow.name,
            opts=pulumi.ResourceOptions(parent=self),
        )
