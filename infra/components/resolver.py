"""Route 53 Resolver in the networks of a region: queries logged, answers validated, names not allowed refused."""

import pulumi
import pulumi_aws as aws

from onedallmail.platform.egress import REGIONAL_SERVICES, allowed_domains
from onedallmail.platform.model import Platform
from onedallmail.platform.naming import DataClass

from components.context import Context
from components.flow_logs import LogArchive
from components.inspection import InspectionVpc
from components.network import MailVpc

ALLOW_PRIORITY, BLOCK_PRIORITY = 100, 900
"""Rules are tried from the lowest number; room between them for rules of an incident."""
ASSOCIATION_PRIORITY = 101
"""AWS keeps 1 to 100 for associations made by Firewall Manager."""
EVERYTHING = "*"
NAME_LENGTH = 64
"""The longest name of a resolver rule; two may have the same."""


class ResolverGuard(pulumi.ComponentResource):
    """The rules of the resolver in a region's networks.

    Servers resolve mail names themselves; boot and agents use this one. Nothing in an inspection network looks up
    names, so that any look-up from there is a finding.
    """

    rule_group_id: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        context: Context,
        region: str,
        network: MailVpc,
        logs: LogArchive,
        inspection: InspectionVpc | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("onedallmail:network:ResolverGuard", name, None, opts)
        self._name, self._context, self._region, self._network = name, context, region, network
        self._child = pulumi.ResourceOptions(parent=self)
        self._vpc_ids = {name: network.vpc_id}
        if inspection is not None:
            self._vpc_ids[f"{name}-inspection"] = inspection.vpc_id
        self._log_queries(logs)
        self._validate()
        self._keep_own_domains()
        self.rule_group_id = self._firewall()
        self.register_outputs({"ruleGroupId": self.rule_group_id})

    def _label(self, *parts: str) -> str:
        return self._context.name(self._region, *parts)

    def _log_queries(self, logs: LogArchive) -> None:
        """Log every query of the networks with its answer and what the firewall made of it."""
        config = aws.route53.ResolverQueryLogConfig(
            self._name,
            region=self._region,
            name=self._label("resolver-queries"),
            destination_arn=logs.bucket_arn,
            tags=self._context.tags(self._label("resolver-queries"), DataClass.LOGS),
            # The service tries the bucket when the configuration is made; only the bucket's policy lets it.
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(logs.ready)),
        )
        for name, vpc_id in self._vpc_ids.items():
            aws.route53.ResolverQueryLogConfigAssociation(
                name,
                region=self._region,
                resolver_query_log_config_id=config.id,
                resource_id=vpc_id,
                opts=self._child,
            )

    def _validate(self) -> None:
        """Let the resolver check DNSSEC signatures (RFC 4035) before it answers."""
        for name, vpc_id in self._vpc_ids.items():
            aws.route53.ResolverDnsSecConfig(name, region=self._region, resource_id=vpc_id, opts=self._child)

    def _keep_own_domains(self) -> None:
        """Resolve the stack's own domains here, whatever rule for a parent domain another account shares with this one.

        The most specific rule wins; without these, a forwarding rule for `example` could lead queries for
        `mail.example` to a resolver of its own.
        """
        for domain in self._context.platform.domains:
            label = self._label(domain.replace(".", "-"))[:NAME_LENGTH]
            rule = aws.route53.ResolverRule(
                f"{self._name}-{domain}",
                region=self._region,
                name=label,
                domain_name=domain,
                rule_type="SYSTEM",
                tags=self._context.tags(self._label(domain)),
                opts=self._child,
            )
            aws.route53.ResolverRuleAssociation(
                f"{self._name}-{domain}",
                region=self._region,
                name=label,
                resolver_rule_id=rule.id,
                vpc_id=self._network.vpc_id,
                opts=self._child,
            )

    def _firewall(self) -> pulumi.Output[str]:
        """Register the DNS firewall: it answers names on the allow list; no others, and none when it fails."""
        group = aws.route53.ResolverFirewallRuleGroup(
            self._name,
            region=self._region,
            name=self._label("dns-firewall"),
            tags=self._context.tags(self._label("dns-firewall")),
            opts=self._child,
        )
        aws.route53.ResolverFirewallRule(
            f"{self._name}-allow",
            region=self._region,
            name="allow-platform-names",
            action="ALLOW",
            priority=ALLOW_PRIORITY,
            firewall_rule_group_id=group.id,
            firewall_domain_list_id=self._domains("allowed", allowed_names(self._context.platform, self._region)),
            # A mirror's name leads by CNAME to its content network; the first name is the one that was allowed.
            firewall_domain_redirection_action="TRUST_REDIRECTION_DOMAIN",
            opts=self._child,
        )
        aws.route53.ResolverFirewallRule(
            f"{self._name}-block",
            region=self._region,
            name="block-everything-else",
            action="BLOCK",
            block_response="NXDOMAIN",
            priority=BLOCK_PRIORITY,
            firewall_rule_group_id=group.id,
            firewall_domain_list_id=self._domains("everything", [EVERYTHING]),
            opts=self._child,
        )
        for name, vpc_id in self._vpc_ids.items():
            self._apply(name, vpc_id, group)
        return group.id

    def _apply(self, name: str, vpc_id: pulumi.Output[str], group: aws.route53.ResolverFirewallRuleGroup) -> None:
        """Put a VPC's look-ups under the firewall, and refuse them while it does not answer."""
        aws.route53.ResolverFirewallRuleGroupAssociation(
            name,
            region=self._region,
            name=self._label("dns-firewall"),
            firewall_rule_group_id=group.id,
            vpc_id=vpc_id,
            priority=ASSOCIATION_PRIORITY,
            mutation_protection="ENABLED" if self._context.lasting else "DISABLED",
            tags=self._context.tags(self._label("dns-firewall")),
            opts=self._child,
        )
        aws.route53.ResolverFirewallConfig(
            name, region=self._region, resource_id=vpc_id, firewall_fail_open="DISABLED", opts=self._child
        )

    def _domains(self, what: str, names: list[str]) -> pulumi.Output[str]:
        return aws.route53.ResolverFirewallDomainList(
            f"{self._name}-{what}",
            region=self._region,
            name=self._label("dns", what),
            domains=names,
            tags=self._context.tags(self._label("dns", what)),
            opts=self._child,
        ).id


def allowed_names(platform: Platform, region: str) -> list[str]:
    """Return the names that the resolver answers: what servers may call, endpoints, and the stack's own domains."""
    names = {*allowed_domains(platform, region), *(f".{domain}" for domain in platform.domains)}
    names |= {f"{service}.{region}.amazonaws.com" for service in REGIONAL_SERVICES}
    return sorted({form for name in names for form in _forms(name)})


def _forms(name: str) -> tuple[str, ...]:
    """Return a name as DNS Firewall lists it; one that begins with a dot stands for itself and all below."""
    return (name[1:], f"*{name}") if name.startswith(".") else (name,)
