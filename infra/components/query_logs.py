"""Logs of the queries that Route 53 answers, in us-east-1, the only place to which it writes them."""

from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_aws as aws

from onedallmail.platform.naming import DataClass
from onedallmail.platform.regions import GLOBAL_REGION

from components.context import Context


class QueryLogs(pulumi.ComponentResource):
    """A log group for each zone, and the one policy that lets Route 53 write to them."""

    def __init__(
        self,
        name: str,
        *,
        context: Context,
        zone_ids: Mapping[str, pulumi.Output[str]],
        key_arn: pulumi.Input[str] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("onedallmail:dns:QueryLogs", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        groups = {
            domain: aws.cloudwatch.LogGroup(
                f"{name}-{domain}",
                region=GLOBAL_REGION,
                name=f"/aws/route53/{domain}",
                retention_in_days=context.platform.config.log_retention_days,
                kms_key_id=key_arn,
                tags=context.tags(context.name("queries", domain), DataClass.LOGS),
                opts=child,
            )
            for domain in zone_ids
        }
        policy = aws.cloudwatch.LogResourcePolicy(
            name,
            region=GLOBAL_REGION,
            policy_name=context.name("route53-queries"),
            policy_document=pulumi.Output.json_dumps(
                _route53_may_write([g.arn for g in groups.values()], zone_ids, context.account_id)
            ),
            opts=child,
        )
        for domain, group in groups.items():
            aws.route53.QueryLog(
                f"{name}-{domain}",
                zone_id=zone_ids[domain],
                cloudwatch_log_group_arn=group.arn.apply(lambda arn: f"{arn}:*"),
                # Route 53 refuses a log group to which it may not write yet; no argument refers to the policy.
                opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
            )
        self.register_outputs({})


def _route53_may_write(
    group_arns: list[pulumi.Output[str]], zone_ids: Mapping[str, pulumi.Output[str]], account_id: pulumi.Output[str]
) -> dict[str, Any]:
    zones = [zone_id.apply(lambda z: f"arn:aws:route53:::hostedzone/{z}") for zone_id in zone_ids.values()]
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "Route53WritesQueries",
                "Effect": "Allow",
                "Principal": {"Service": "route53.amazonaws.com"},
                "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
                "Resource": [arn.apply(lambda a: f"{a}:*") for arn in group_arns],
                "Condition": {
                    "StringEquals": {"aws:SourceAccount": account_id},
                    "ArnEquals": {"aws:SourceArn": zones},
                },
            }
        ],
    }
