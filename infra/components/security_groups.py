"""Security groups, of each role in each region or of a service of AWS; rules come from the intent graph."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from ipaddress import IPv4Network, IPv6Network

import pulumi
import pulumi_aws as aws

from onedallmail.platform.firewall import Direction, Rule, party_rules, security_group_rules
from onedallmail.platform.flows import Party
from onedallmail.platform.roles import ServerRole

from components.context import Context
from components.network import MailVpc

RULES_PER_GROUP = 60
"""Rules a direction that AWS lets a group hold (Amazon VPC quotas, "Inbound or outbound rules per security group").
An interface takes five groups, of which each rule may be in any."""


class RoleSecurityGroup(pulumi.ComponentResource):
    """The security groups of the servers that share a role in a region: one, or as many as AWS's quota asks for.

    A server is a member of all of them; which rule stands in which group means nothing.
    """

    group_ids: tuple[pulumi.Output[str], ...]

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
        groups = _Groups(name=name, context=context, region=region, whose=role, network=network, parent=self)
        self.group_ids = groups.fill(security_group_rules(context.platform, members))
        self.register_outputs({"groupIds": list(self.group_ids)})


class PartySecurityGroup(pulumi.ComponentResource):
    """The security group of a region's load balancer, of its endpoints or of the HSM."""

    group_id: pulumi.Output[str]

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
        groups = _Groups(name=name, context=context, region=region, whose=party, network=network, parent=self)
        (self.group_id,) = groups.fill(party_rules(context.platform, party, region))
        self.register_outputs({"groupId": self.group_id})


@dataclass(frozen=True, kw_only=True)
class _Groups:
    """Makes the groups of one role or party; the first bears the name alone, the next ones a number."""

    name: str
    context: Context
    region: str
    whose: str
    network: MailVpc
    parent: pulumi.Resource

    def fill(self, rules: Iterable[Rule]) -> tuple[pulumi.Output[str], ...]:
        """Register the rules in as few groups as hold them, and return the groups' ids: at least one."""
        held = list(rules)
        packs = [pack([r for r in held if r.direction is direction], RULES_PER_GROUP) for direction in Direction]
        group_ids = tuple(self._group(number) for number in range(max(1, *map(len, packs))))
        for packed in packs:
            for group_id, group_rules in zip(group_ids, packed, strict=False):
                for rule in group_rules:
                    self._rule(group_id, rule)
        return group_ids

    def _group(self, number: int) -> pulumi.Output[str]:
        suffix = [str(number + 1)] if number else []
        group_name = self.context.name(self.region, self.whose, *suffix)
        return aws.ec2.SecurityGroup(
            "-".join((self.name, *suffix)),
            region=self.region,
            name=group_name,
            description=f"Flows of the role {self.whose}",
            vpc_id=self.network.vpc_id,
            tags=self.context.tags(group_name),
            opts=pulumi.ResourceOptions(parent=self.parent),
        ).id

    def _rule(self, group_id: pulumi.Output[str], rule: Rule) -> None:
        kind = aws.vpc.SecurityGroupIngressRule if rule.direction is Direction.IN else aws.vpc.SecurityGroupEgressRule
        for peer in rule.peers:
            kind(
                f"{self.name}-{rule.direction}-{rule.flow.name}-{peer}",
                region=self.region,
                security_group_id=group_id,
                ip_protocol=rule.flow.protocol.value,
                from_port=rule.flow.port.value,
                to_port=rule.flow.port.value,
                cidr_ipv4=str(peer) if isinstance(peer, IPv4Network) else None,
                cidr_ipv6=str(peer) if isinstance(peer, IPv6Network) else None,
                description=rule.flow.name,
                opts=pulumi.ResourceOptions(parent=self.parent),
            )


def pack(rules: Iterable[Rule], size: int) -> list[list[Rule]]:
    """Return the rules in packs of at most `size` entries, in order; a flow with more peers is cut in parts."""
    packs: list[list[Rule]] = []
    room = 0
    for rule in rules:
        for first in range(0, len(rule.peers), size):
            part = replace(rule, peers=rule.peers[first : first + size])
            if len(part.peers) > room:
                packs.append([])
                room = size
            packs[-1].append(part)
            room -= len(part.peers)
    return packs
