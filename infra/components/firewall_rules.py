"""What the network firewall lets pass: rule groups from the intent graph, tried in strict order, and the policy."""

import pulumi
import pulumi_aws as aws

from components.context import Context


class FirewallRules(pulumi.ComponentResource):
    """A region's firewall policy; what no rule passes is dropped."""

    policy_arn: pulumi.Output[str]

    def __init__(self, name: str, *, context: Context, region: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("onedallmail:network:FirewallRules", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        policy_name = context.name(region, "inspection")
        policy = aws.networkfirewall.FirewallPolicy(
            name,
            region=region,
            name=policy_name,
            description="Strict order; drops what no rule passes",
            firewall_policy={
                "stateless_default_actions": ["aws:forward_to_sfe"],
                "stateless_fragment_default_actions": ["aws:forward_to_sfe"],
                "stateful_engine_options": {"rule_order": "STRICT_ORDER", "stream_exception_policy": "DROP"},
                "stateful_default_actions": ["aws:drop_established", "aws:alert_established"],
            },
            tags=context.tags(policy_name),
            opts=child,
        )
        self.policy_arn = policy.arn
        self.register_outputs({"policyArn": self.policy_arn})
