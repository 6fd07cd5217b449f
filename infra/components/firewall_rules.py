"""What the network firewall lets pass: rule groups of the plan, tried in strict order, and the policy of them all."""

import pulumi
import pulumi_aws as aws

from onedallmail.platform.inspection_rules import RuleGroup, rule_groups

from components.context import Context

STRICT = "STRICT_ORDER"
"""Groups by priority, rules from the top down; the engine's own order would let any pass rule win over any drop."""

CUSTOMER_KEY = "CUSTOMER_KMS"


class FirewallRules(pulumi.ComponentResource):
    """A region's firewall policy; what no rule passes is dropped, and the drop is logged."""

    policy_arn: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        context: Context,
        region: str,
        key_arn: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("onedallmail:network:FirewallRules", name, None, opts)
        self._name, self._context, self._region, self._key_arn = name, context, region, key_arn
        self._child = pulumi.ResourceOptions(parent=self)
        groups = rule_groups(context.platform, region)
        policy_name = context.name(region, "inspection")
        policy = aws.networkfirewall.FirewallPolicy(
            name,
            region=region,
            name=policy_name,
            description="Rules of the intent graph in strict order; what none passes is dropped",
            firewall_policy={
                "stateless_default_actions": ["aws:forward_to_sfe"],
                "stateless_fragment_default_actions": ["aws:forward_to_sfe"],
                "stateful_engine_options": {"rule_order": STRICT, "stream_exception_policy": "DROP"},
                "stateful_default_actions": ["aws:drop_established", "aws:alert_established"],
                "stateful_rule_group_references": [
                    {"resource_arn": self._group(group), "priority": group.priority} for group in groups
                ],
            },
            encryption_configuration={"type": CUSTOMER_KEY, "key_id": self._key_arn},
            tags=context.tags(policy_name),
            opts=self._child,
        )
        self.policy_arn = policy.arn
        self.register_outputs({"policyArn": self.policy_arn})

    def _group(self, group: RuleGroup) -> pulumi.Output[str]:
        group_name = self._context.name(self._region, "inspection", group.name)
        source: aws.networkfirewall.RuleGroupRuleGroupRulesSourceArgsDict = (
            {"rules_string": group.text}
            if group.kind == "rules"
            else {
                "rules_source_list": {
                    "generated_rules_type": "ALLOWLIST",
                    "target_types": ["TLS_SNI"],
                    "targets": list(group.domains),
                }
            }
        )
        return aws.networkfirewall.RuleGroup(
            f"{self._name}-{group.name}",
            region=self._region,
            name=group_name,
            description=f"Rules tried as number {group.priority}",
            type="STATEFUL",
            capacity=group.capacity,
            rule_group={
                "rules_source": source,
                "rule_variables": {
                    "ip_sets": [
                        {"key": key, "ip_set": {"definitions": list(networks)}}
                        for key, networks in group.variables.items()
                    ]
                },
                "stateful_rule_options": {"rule_order": STRICT},
            },
            encryption_configuration={"type": CUSTOMER_KEY, "key_id": self._key_arn},
            tags=self._context.tags(group_name),
            opts=self._child,
        ).arn
