"""A region's web application firewall in front of its application load balancer, with its log."""

from typing import Any

import pulumi
import pulumi_aws as aws

from onedallmail.platform.naming import DataClass

from components.context import Context
from components.waf_rules import web_rules

REDACTED_HEADERS = ("authorization", "cookie")


class WebAcl(pulumi.ComponentResource):
    """The rules, what they stand in front of, and the log of what they found."""

    arn: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        context: Context,
        region: str,
        balancer_arn: pulumi.Input[str],
        log_key_arn: pulumi.Input[str] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("onedallmail:edge:WebAcl", name, None, opts)
        self._name, self._context, self._region = name, context, region
        self._child = pulumi.ResourceOptions(parent=self)
        acl_name = context.name(region, "web")
        acl = aws.wafv2.WebAcl(
            name,
            region=region,
            name=acl_name.replace(".", "-"),
            description="Requests to web mail, autoconfiguration and MTA-STS",
            scope="REGIONAL",
            default_action={"allow": {}},
            rules=web_rules(context.platform.config.blocked_countries),
            visibility_config={
                "cloudwatch_metrics_enabled": True,
                "metric_name": "web",
                "sampled_requests_enabled": True,
            },
            tags=context.tags(acl_name),
            opts=self._child,
        )
        self.arn = acl.arn
        aws.wafv2.WebAclAssociation(
            name, region=region, resource_arn=balancer_arn, web_acl_arn=acl.arn, opts=self._child
        )
        self._log(log_key_arn)
        self.register_outputs({"arn": self.arn})

    def _log(self, key_arn: pulumi.Input[str] | None) -> None:
        context = self._context
        # AWS WAF writes to groups of this prefix only.
        group_name = f"aws-waf-logs-{context.name(self._region)}"
        group = aws.cloudwatch.LogGroup(
            self._name,
            region=self._region,
            name=group_name,
            retention_in_days=context.platform.config.log_retention_days,
            kms_key_id=key_arn,
            tags=context.tags(group_name, DataClass.LOGS),
            opts=self._child,
        )
        policy = aws.cloudwatch.LogResourcePolicy(
            self._name,
            region=self._region,
            policy_name=context.name("waf"),
            policy_document=pulumi.Output.json_dumps(_delivery(group.arn, context.account_id, self._region)),
            opts=self._child,
        )
        aws.wafv2.WebAclLoggingConfiguration(
            self._name,
            region=self._region,
            resource_arn=self.arn,
            log_destination_configs=[group.arn],
            redacted_fields=[{"single_header": {"name": header}} for header in REDACTED_HEADERS],
            # Log delivery needs the group's policy, to which no argument refers.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
        )


def _delivery(group_arn: pulumi.Output[str], account_id: pulumi.Output[str], region: str) -> dict[str, Any]:
    """Return the policy by which log delivery writes to a group (CloudWatch Logs, "Logs sent to CloudWatch Logs")."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "WafWritesRequests",
                "Effect": "Allow",
                "Principal": {"Service": "delivery.logs.amazonaws.com"},
                "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
                "Resource": [group_arn.apply(lambda arn: f"{arn}:*")],
                "Condition": {
                    "StringEquals": {"aws:SourceAccount": account_id},
                    "ArnLike": {"aws:SourceArn": account_id.apply(lambda a: f"arn:aws:logs:{region}:{a}:*")},
                },
            }
        ],
    }
