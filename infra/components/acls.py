"""Network ACLs, the stateless second line: one a tier of a mail network, and one of an inspection network."""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from onedallmail.platform.acl import ANY_CLIENT, AclRule, acl_rules, acl_tiers
from onedallmail.platform.addresses import Tier
from onedallmail.platform.firewall import ANYWHERE, Network

from components.context import Context

OUT, ANSWERS, TOO_BIG, MAIL = 100, 200, 290, 300
"""Numbers of an inspection ACL's rules: what leaves, answers of the internet, its word that a packet is too big
(RFC 1191), what mail networks send."""

REMOTE_DESKTOP = 3389
ANSWERED = (
    ("tcp", ANY_CLIENT[0], REMOTE_DESKTOP - 1),
    ("tcp", REMOTE_DESKTOP + 1, ANY_CLIENT[1]),
    ("udp", *ANY_CLIENT),
)
"""Ports from which a NAT gateway calls. The one of remote administration is left out (CIS AWS 5.1): a call from it, one
in 64 000, gets no answer and is made again."""


class NetworkAcls(pulumi.ComponentResource):
    """The ACLs of a region's tiers, with rules from the intent graph; none where the stack has no whole network."""

    acl_ids: dict[Tier, pulumi.Output[str]]

    def __init__(
        self,
        name: str,
        *,
        context: Context,
        region: str,
        vpc_id: pulumi.Output[str],
        subnet_ids: Mapping[tuple[Tier, str], pulumi.Output[str]],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("onedallmail:network:NetworkAcls", name, None, opts)
        self._name, self._region = name, region
        self._child = pulumi.ResourceOptions(parent=self)
        self.acl_ids = {}
        for tier in acl_tiers(context.platform, region):
            label = context.name(region, tier)
            self.acl_ids[tier] = aws.ec2.NetworkAcl(
                f"{name}-{tier}",
                region=region,
                vpc_id=vpc_id,
                subnet_ids=[id_ for (held, _), id_ in subnet_ids.items() if held is tier],
                tags=context.tags(label),
                opts=self._child,
            ).id
            for rule in acl_rules(context.platform, region, tier):
                self._rule(tier, rule)
        self.register_outputs({})

    def _rule(self, tier: Tier, rule: AclRule) -> None:
        direction = "out" if rule.egress else "in"
        aws.ec2.NetworkAclRule(
            f"{self._name}-{tier}-{direction}-{rule.number}",
            region=self._region,
            network_acl_id=self.acl_ids[tier],
            rule_number=rule.number,
            egress=rule.egress,
            protocol=rule.protocol.value,
            rule_action="allow" if rule.allow else "deny",
            cidr_block=_of_version(rule.cidr, 4),
            ipv6_cidr_block=_of_version(rule.cidr, 6),
            from_port=rule.first_port,
            to_port=rule.last_port,
            opts=self._child,
        )


class InspectionAcl(pulumi.ComponentResource):
    """The ACL of an inspection network: mail networks may send anything to its firewall, the internet only answers."""

    def __init__(
        self,
        name: str,
        *,
        context: Context,
        region: str,
        vpc_id: pulumi.Output[str],
        subnet_ids: Sequence[pulumi.Output[str]],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("onedallmail:network:InspectionAcl", name, None, opts)
        self._name, self._region = name, region
        self._acl_id = aws.ec2.NetworkAcl(
            name,
            region=region,
            vpc_id=vpc_id,
            subnet_ids=subnet_ids,
            tags=context.tags(context.name(region, "inspection")),
            opts=pulumi.ResourceOptions(parent=self),
        ).id
        anywhere = str(ANYWHERE)
        self._allow("out", OUT, egress=True, protocol="-1", cidr_block=anywhere)
        for number, (protocol, first, last) in enumerate(ANSWERED):
            name = f"{protocol}-{first}"
            self._allow(name, ANSWERS + number, protocol=protocol, cidr_block=anywhere, from_port=first, to_port=last)
        self._allow("too-big", TOO_BIG, protocol="icmp", cidr_block=anywhere, icmp_type=3, icmp_code=4)
        for number, network in enumerate(context.platform.regions.values()):
            self._allow(str(network), MAIL + number, protocol="-1", cidr_block=str(network))
        self.register_outputs({})

    def _allow(self, what: str, number: int, **match: Any) -> None:
        aws.ec2.NetworkAclRule(
            f"{self._name}-{what}",
            region=self._region,
            network_acl_id=self._acl_id,
            rule_number=number,
            rule_action="allow",
            opts=pulumi.ResourceOptions(parent=self),
            **match,
        )


def _of_version(network: Network, version: int) -> str | None:
    return str(network) if network.version == version else None
