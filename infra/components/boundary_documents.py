"""Permission boundaries as documents: the most that operators and deployments can ever be allowed.

A boundary grants nothing; what a role may do is what its own policies and its boundary both allow.
"""

from typing import Any

OPERATOR_READS = (
    "acm:Describe*",
    "acm:List*",
    "backup:Describe*",
    "backup:Get*",
    "backup:List*",
    "cloudtrail:LookupEvents",
    "cloudwatch:Describe*",
    "cloudwatch:Get*",
    "cloudwatch:List*",
    "ec2:Describe*",
    "elasticloadbalancing:Describe*",
    "guardduty:Get*",
    "guardduty:List*",
    "health:Describe*",
    "inspector2:List*",
    "logs:Describe*",
    "logs:FilterLogEvents",
    "logs:Get*",
    "logs:StartQuery",
    "logs:StopQuery",
    "network-firewall:Describe*",
    "network-firewall:List*",
    "route53:Get*",
    "route53:List*",
    "securityhub:Get*",
    "ssm:Describe*",
    "ssm:Get*",
    "ssm:List*",
    "wafv2:Get*",
    "wafv2:List*",
)
"""What an operator may look at."""

OPERATOR_ACTIONS = (
    "backup:StartBackupJob",
    "backup:StartRestoreJob",
    "ec2:RebootInstances",
    "ec2:StartInstances",
    "ec2:StopInstances",
    "securityhub:BatchUpdateFindings",
    "ssm:ResumeSession",
    "ssm:SendCommand",
    "ssm:StartAutomationExecution",
    "ssm:StartSession",
    "ssm:TerminateSession",
)
"""What an operator may do to resources of the platform (they carry its tag)."""

DEPLOYED_SERVICES = (
    "access-analyzer",
    "acm",
    "backup",
    "backup-storage",
    "budgets",
    "ce",
    "cloudhsm",
    "cloudwatch",
    "config",
    "detective",
    "ec2",
    "elasticloadbalancing",
    "events",
    "globalaccelerator",
    "guardduty",
    "inspector2",
    "logs",
    "macie2",
    "network-firewall",
    "ram",
    "route53",
    "route53resolver",
    "secretsmanager",
    "securityhub",
    "shield",
    "sns",
    "sqs",
    "ssm",
    "wafv2",
)
"""Services that a deployment may use whole; what it can do there its own policies say."""

DEPLOYED_ACTIONS = (
    "account:Get*",
    "account:PutAlternateContact",
    "cloudtrail:AddTags",
    "cloudtrail:CreateTrail",
    "cloudtrail:Describe*",
    "cloudtrail:Get*",
    "cloudtrail:List*",
    "cloudtrail:Put*",
    "cloudtrail:StartLogging",
    "cloudtrail:UpdateTrail",
    "iam:*InstanceProfile*",
    "iam:*ServiceLinkedRole*",
    "iam:AttachRolePolicy",
    "iam:CreatePolicy*",
    "iam:CreateRole",
    "iam:DeletePolicy*",
    "iam:DeleteRole",
    "iam:DeleteRolePolicy",
    "iam:DetachRolePolicy",
    "iam:Get*",
    "iam:List*",
    "iam:PassRole",
    "iam:PutRolePolicy",
    "iam:Tag*",
    "iam:Untag*",
    "iam:UpdateAccountPasswordPolicy",
    "iam:UpdateAssumeRolePolicy",
    "iam:UpdateRole*",
    "kms:Create*",
    "kms:Decrypt",
    "kms:Describe*",
    "kms:Enable*",
    "kms:GenerateDataKey*",
    "kms:Get*",
    "kms:List*",
    "kms:PutKeyPolicy",
    "kms:ReplicateKey",
    "kms:Tag*",
    "kms:Untag*",
    "kms:Update*",
    "s3:*Bucket*",
    "s3:*Configuration",
    "s3:GetAccountPublicAccessBlock",
    "s3:PutAccountPublicAccessBlock",
    "sts:GetCallerIdentity",
    "tag:Get*",
)
"""Where a service also holds people, keys or content: no users, no end of keys or trails, no objects."""


def _document(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def operator_boundary(project: str, regions: list[str]) -> dict[str, Any]:
    """Return the boundary of operators: they look, restart and open sessions, in the platform's regions."""
    return _document(
        {
            "Sid": "Look",
            "Effect": "Allow",
            "Action": list(OPERATOR_READS),
            "Resource": "*",
            "Condition": {"StringEquals": {"aws:RequestedRegion": [*regions, "us-east-1"]}},
        },
        {
            "Sid": "Operate",
            "Effect": "Allow",
            "Action": list(OPERATOR_ACTIONS),
            "Resource": "*",
            "Condition": {
                "StringEquals": {"aws:ResourceTag/Project": project, "aws:RequestedRegion": regions},
                "Bool": {"aws:MultiFactorAuthPresent": "true"},
            },
        },
        {
            "Sid": "SessionDocuments",
            "Effect": "Allow",
            "Action": ["ssm:SendCommand", "ssm:StartSession"],
            "Resource": ["arn:aws:ssm:*::document/AWS-*", "arn:aws:ssm:*:*:document/onedallmail-*"],
        },
    )


def deployment_boundary(account_id: str, boundary_name: str) -> dict[str, Any]:
    """Return the boundary of deployments: they make roles only below this boundary, and can't change it."""
    boundary = f"arn:aws:iam::{account_id}:policy/{boundary_name}"
    return _document(
        {
            "Sid": "Deploy",
            "Effect": "Allow",
            "Action": [f"{service}:*" for service in DEPLOYED_SERVICES] + list(DEPLOYED_ACTIONS),
            "Resource": "*",
        },
        {
            "Sid": "RolesBelowBoundary",
            "Effect": "Deny",
            "Action": ["iam:AttachRolePolicy", "iam:CreateRole", "iam:PutRolePolicy"],
            "NotResource": [
                f"arn:aws:iam::{account_id}:role/onedallmail-*",
                f"arn:aws:iam::{account_id}:role/aws-service-role/*",
            ],
            "Condition": {"StringNotEquals": {"iam:PermissionsBoundary": boundary}},
        },
        {
            "Sid": "BoundaryStays",
            "Effect": "Deny",
            "Action": [
                "iam:CreatePolicyVersion",
                "iam:DeletePolicy",
                "iam:DeletePolicyVersion",
                "iam:SetDefaultPolicyVersion",
            ],
            "Resource": boundary,
        },
        {
            "Sid": "BoundariesStay",
            "Effect": "Deny",
            "Action": ["iam:DeleteRolePermissionsBoundary", "iam:DeleteUserPermissionsBoundary"],
            "Resource": "*",
        },
        {
            "Sid": "PassToServices",
            "Effect": "Deny",
            "Action": "iam:PassRole",
            "NotResource": [
                f"arn:aws:iam::{account_id}:role/onedallmail-*",
                f"arn:aws:iam::{account_id}:role/aws-service-role/*",
            ],
        },
        {
            "Sid": "NoAdministrators",
            "Effect": "Deny",
            "Action": ["iam:AttachGroupPolicy", "iam:AttachRolePolicy", "iam:AttachUserPolicy"],
            "Resource": "*",
            "Condition": {
                "ArnEquals": {
                    "iam:PolicyARN": [
                        "arn:aws:iam::aws:policy/AdministratorAccess",
                        "arn:aws:iam::aws:policy/IAMFullAccess",
                        "arn:aws:iam::aws:policy/PowerUserAccess",
                    ]
                }
            },
        },
    )
