"""Route 53 Resolver in a mail network: queries logged, answers validated, names outside the allow list refused."""

import pulumi
import pulumi_aws as aws

from onedallmail.platform.naming import DataClass

from components.context import Context
from components.flow_logs import LogArchive
from components.network import MailVpc

ALLOW_PRIORITY, BLOCK_PRIORITY = 100, 900
"""Rules are tried from the lowest number; room between them for rules of an incident."""
ASSOCIATION_PRIORITY = 101
"""AWS keeps 1 to 100 for associations made by Firewall Manager."""
EVERYTHING = "*"
NAME_LENGTH = 64
"""The longest name of a resolver rule; two may have the same."""


class ResolverGuard(pulumi.ComponentResource):
    """The rules of a VPC's resolver. Servers resolve mail names themselves; agents and boot use this resolver."""

    rule_group_id: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        context: Context,
        region: str,
        network: MailVpc,
        logs: LogArchive,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("onedallmail:network:ResolverGuard", name, None, opts)
        self._name, self._context, self._region, self._network = name, context, region, network
        self._child = pulumi.ResourceOptions(parent=self)
        self._log_queries(logs)
        self._validate()
        self._keep_own_domains()
        self.rule_group_id = self._firewall()
        self.register_outputs({"ruleGroupId": self.rule_group_id})

    def _label(self, *parts: str) -> str:
        return self._context.name(self._region, *parts)

    def _log_queries(self, logs: LogArchive) -> None:
        """Log every query of the network with its answer and what the firewall made of it."""
        config = aws.route53.ResolverQueryLogConfig(
            self._name,
            region=self._region,
            name=self._label("resolver-queries"),
            destination_arn=logs.bucket_arn,
            tags=self._context.tags(self._label("resolver-queries"), DataClass.LOGS),
            # The service tries the bucket when the configuration is made; only the bucket's policy lets it.
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(logs.ready)),
        )
        aws.route53.ResolverQueryLogConfigAssociation(
            self._name,
            region=self._region,
            resolver_query_log_config_id=config.id,
            resource_id=self._network.vpc_id,
            opts=self._child,
        )

    def _validate(self) -> None:
        """Let the resolver check DNSSEC signatures (RFC 4035) before it answers."""
        aws.route53.ResolverDnsSecConfig(
            self._name, region=self._region, resource_id=self._network.vpc_id, opts=self._child
        )

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
            firewall_domain_list_id=self._domains("allowed", allowed_names(self._context)),
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
        aws.route53.ResolverFirewallRuleGroupAssociation(
            self._name,
            region=self._region,
            name=self._label("dns-firewall"),
            firewall_rule_group_id=group.id,
            vpc_id=self._network.vpc_id,
            priority=ASSOCIATION_PRIORITY,
            mutation_protection="ENABLED" if self._context.lasting else "DISABLED",
            tags=self._context.tags(self._label("dns-firewall")),
            opts=self._child,
        )
        aws.route53.ResolverFirewallConfig(
            self._name,
            region=self._region,
            resource_id=self._network.vpc_id,
            firewall_fail_open="DISABLED",
            opts=self._child,
        )
        return group.id

    def _domains(self, what: str, names: list[str]) -> pulumi.Output[str]:
        return aws.route53.ResolverFirewallDomainList(
            f"{self._name}-{what}",
            region=self._region,
            name=self._label("dns", what),
            domains=names,
            tags=self._context.tags(self._label("dns", what)),
            opts=self._child,
        ).id


def allowed_names(context: Context) -> list[str]:
    """Return the names that the resolver answers: what servers may call, and the stack's own domains."""
    domains = {"amazonaws.com", "debian.org", *context.platform.config.egress_domains, *context.platform.domains}
    return sorted(name for domain in domains for name in (domain, f"*.{domain}"))
