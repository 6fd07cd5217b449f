"""The guardrail that closes every region but the platform's, and the root user."""

from collections.abc import Sequence

from onedallmail.platform.regions import GLOBAL_REGION

from components.guardrail import DEPLOYMENT, Guardrail, deny

GLOBAL_SERVICES = (
    "account:*",
    "aws-portal:*",
    "billing:*",
    "budgets:*",
    "ce:*",
    "consolidatedbilling:*",
    "cur:*",
    "freetier:*",
    "globalaccelerator:*",
    "health:*",
    "iam:*",
    "invoicing:*",
    "networkmanager:*",
    "organizations:*",
    "payments:*",
    "pricing:*",
    "route53:*",
    "route53domains:*",
    "s3:GetAccountPublicAccessBlock",
    "s3:ListAllMyBuckets",
    "s3:PutAccountPublicAccessBlock",
    "shield:*",
    "sts:*",
    "support:*",
    "tax:*",
    "trustedadvisor:*",
)
"""Services whose requests carry no region of the caller's choice."""

GLOBAL_REGION_SERVICES = (
    "acm:*",
    "cloudtrail:*",
    "cloudwatch:*",
    "ec2:DescribeRegions",
    "events:*",
    "kms:*",
    "logs:*",
    "s3:*",
    "sns:*",
    "sqs:*",
    "tag:*",
)
"""What a platform keeps in us-east-1 even if it has no servers there: DNSSEC key, query logs, health check alarms."""


def limit_regions(regions: Sequence[str]) -> Guardrail:
    """Return the policy that closes all regions but these, and the root user.

    us-east-1 stays open for what only exists there, whether it is listed or not.
    """
    statements = [
        {
            "Sid": "Regions",
            "Effect": "Deny",
            "NotAction": list(GLOBAL_SERVICES),
            "Resource": "*",
            "Condition": {"StringNotEquals": {"aws:RequestedRegion": sorted({*regions, GLOBAL_REGION})}},
        }
    ]
    if GLOBAL_REGION not in regions:
        statements.append(
            {
                "Sid": "GlobalRegion",
                "Effect": "Deny",
                "NotAction": sorted((*GLOBAL_SERVICES, *GLOBAL_REGION_SERVICES)),
                "Resource": "*",
                "Condition": {"StringEquals": {"aws:RequestedRegion": GLOBAL_REGION}},
            }
        )
    statements += [
        deny(
            "Root",
            ["*"],
            condition={
                "ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:root"},
                # Sessions that the management account opens for one task carry this key (centralized root access).
                "BoolIfExists": {"aws:AssumedRoot": "false"},
            },
        ),
        deny("OptIn", ["account:DisableRegion", "account:EnableRegion"], but=[DEPLOYMENT]),
    ]
    return Guardrail("limit-regions", "Only the platform's regions, and never the root user", tuple(statements))
