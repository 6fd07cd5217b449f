"""Service control policies as documents: what nobody in a member account may do, whatever their own policies say.

Pure: regions in, JSON out. AWS limits: 5,120 characters a policy, five policies a target, FullAWSAccess among them.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from onedallmail.platform.regions import GLOBAL_REGION

MAX_POLICY_CHARACTERS = 5120
"""Source: AWS Organizations User Guide, "Quotas for AWS Organizations"."""

MAX_ATTACHED = 4
"""Policies of our own at one target: five are allowed, and AWS attaches FullAWSAccess as the first."""

BREAK_GLASS = "arn:aws:iam::*:role/onedallmail-break-glass"
"""Role for emergencies; each use of it raises an alarm."""

DEPLOYMENT = "arn:aws:iam::*:role/onedallmail-deployment"
"""Role with which the stacks are deployed."""

RESPONDER = "arn:aws:iam::*:role/onedallmail-incident-responder"
"""Role that investigates a quarantined account."""

ACCOUNT_ACCESS = "arn:aws:iam::*:role/OrganizationAccountAccessRole"
"""Role that AWS Organizations makes in a new account: with it the roles above are made."""

BUCKETS = "arn:aws:s3:::onedallmail-*"
LOG_GROUPS = "arn:aws:logs:*:*:log-group:/onedallmail/*"

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


class GuardrailError(ValueError):
    """A policy can't be used as it is; the message says by how much it is over a limit."""


@dataclass(frozen=True)
class Guardrail:
    """A service control policy."""

    name: str
    description: str
    statements: tuple[dict[str, Any], ...]

    @property
    def content(self) -> str:
        """The policy as compact JSON.

        Raises:
            GuardrailError: it is longer than AWS Organizations takes.
        """
        text = json.dumps({"Version": "2012-10-17", "Statement": list(self.statements)}, separators=(",", ":"))
        if len(text) > MAX_POLICY_CHARACTERS:
            msg = (
                f"service control policy '{self.name}' has {len(text)} characters, "
                f"{len(text) - MAX_POLICY_CHARACTERS} too many for AWS Organizations: split it, or name fewer regions"
            )
            raise GuardrailError(msg)
        return text


def _deny(
    sid: str,
    actions: Sequence[str],
    *,
    resources: Sequence[str] = ("*",),
    condition: dict[str, Any] | None = None,
    but: Sequence[str] = (),
) -> dict[str, Any]:
    """Return a statement that denies actions to all but some roles."""
    where = dict(condition or {})
    if but:
        where["ArnNotLike"] = {**where.get("ArnNotLike", {}), "aws:PrincipalArn": list(but)}
    statement = {"Sid": sid, "Effect": "Deny", "Action": list(actions), "Resource": list(resources)}
    return {**statement, "Condition": where} if where else statement


def protect_detection() -> Guardrail:
    """Return the policy that keeps accounts in the organisation and detection on."""
    return Guardrail(
        "protect-detection",
        "Nobody leaves the organisation or weakens what watches it",
        (
            _deny("Stay", ["organizations:LeaveOrganization", "account:CloseAccount"]),
            _deny(
                "Trail",
                [
                    "cloudtrail:DeleteTrail",
                    "cloudtrail:StopLogging",
                    "cloudtrail:UpdateTrail",
                    "cloudtrail:PutEventSelectors",
                    "cloudtrail:PutInsightSelectors",
                    "cloudtrail:DeleteEventDataStore",
                    "cloudtrail:RemoveTags",
                ],
                but=[DEPLOYMENT],
            ),
            _deny(
                "Config",
                [
                    "config:DeleteAggregationAuthorization",
                    "config:DeleteConfigRule",
                    "config:DeleteConfigurationAggregator",
                    "config:DeleteConfigurationRecorder",
                    "config:DeleteDeliveryChannel",
                    "config:DeleteRetentionConfiguration",
                    "config:PutConfigurationRecorder",
                    "config:PutDeliveryChannel",
                    "config:StopConfigurationRecorder",
                ],
                but=[DEPLOYMENT],
            ),
            _deny(
                "Findings",
                [
                    "access-analyzer:DeleteAnalyzer",
                    "access-analyzer:CreateArchiveRule",
                    "access-analyzer:UpdateArchiveRule",
                    "detective:DeleteGraph",
                    "detective:DisassociateMembership",
                    "guardduty:CreateFilter",
                    "guardduty:CreateIPSet",
                    "guardduty:DeleteDetector",
                    "guardduty:DeleteMembers",
                    "guardduty:DeletePublishingDestination",
                    "guardduty:DisassociateFromAdministratorAccount",
                    "guardduty:DisassociateFromMasterAccount",
                    "guardduty:DisassociateMembers",
                    "guardduty:StopMonitoringMembers",
                    "guardduty:UpdateDetector",
                    "guardduty:UpdateIPSet",
                    "inspector2:Disable",
                    "inspector2:DisassociateMember",
                    "macie2:DisableMacie",
                    "macie2:DisassociateFromAdministratorAccount",
                    "macie2:UpdateMacieSession",
                    "securityhub:BatchDisableStandards",
                    "securityhub:DeleteFindingAggregator",
                    "securityhub:DeleteMembers",
                    "securityhub:DisableSecurityHub",
                    "securityhub:DisassociateFromAdministratorAccount",
                    "securityhub:UpdateStandardsControl",
                ],
                but=[DEPLOYMENT],
            ),
            _deny(
                "Alarms",
                [
                    "cloudwatch:DeleteAlarms",
                    "cloudwatch:DisableAlarmActions",
                    "events:DeleteRule",
                    "events:DisableRule",
                    "events:RemoveTargets",
                    "logs:DeleteMetricFilter",
                ],
                resources=[
                    "arn:aws:cloudwatch:*:*:alarm:onedallmail-*",
                    "arn:aws:events:*:*:rule/onedallmail-*",
                    LOG_GROUPS,
                ],
                but=[DEPLOYMENT],
            ),
            _deny(
                "Exempt",
                [
                    "iam:AttachRolePolicy",
                    "iam:DeleteRole",
                    "iam:DeleteRolePermissionsBoundary",
                    "iam:PutRolePermissionsBoundary",
                    "iam:PutRolePolicy",
                    "iam:UpdateAssumeRolePolicy",
                ],
                resources=[BREAK_GLASS, DEPLOYMENT, RESPONDER],
                but=[BREAK_GLASS, ACCOUNT_ACCESS],
            ),
        ),
    )


def protect_evidence() -> Guardrail:
    """Return the policy that keeps logs, evidence, keys and backups from being deleted or changed."""
    return Guardrail(
        "protect-evidence",
        "Logs, evidence, keys and backups outlive whoever wants them gone",
        (
            _deny(
                "Lock",
                ["s3:DeleteBucket", "s3:PutBucketObjectLockConfiguration"],
                resources=[BUCKETS],
                but=[BREAK_GLASS, DEPLOYMENT],
            ),
            _deny(
                "Holds",
                ["s3:BypassGovernanceRetention", "s3:PutObjectLegalHold"],
                resources=[f"{BUCKETS}/*"],
                but=[BREAK_GLASS, RESPONDER],
            ),
            _deny("Versions", ["s3:DeleteObjectVersion"], resources=[f"{BUCKETS}/*"], but=[BREAK_GLASS]),
            _deny(
                "Buckets",
                [
                    "s3:DeleteBucketPolicy",
                    "s3:PutBucketAcl",
                    "s3:PutBucketLogging",
                    "s3:PutBucketOwnershipControls",
                    "s3:PutBucketPolicy",
                    "s3:PutBucketPublicAccessBlock",
                    "s3:PutBucketVersioning",
                    "s3:PutEncryptionConfiguration",
                    "s3:PutLifecycleConfiguration",
                    "s3:PutReplicationConfiguration",
                ],
                resources=[BUCKETS],
                but=[DEPLOYMENT],
            ),
            _deny(
                "Groups",
                [
                    "logs:DeleteLogGroup",
                    "logs:DeleteLogStream",
                    "logs:DeleteRetentionPolicy",
                    "logs:DisassociateKmsKey",
                    "logs:PutRetentionPolicy",
                ],
                resources=[LOG_GROUPS, f"{LOG_GROUPS}:*"],
                but=[DEPLOYMENT],
            ),
            _deny(
                "Keys",
                [
                    "kms:DeleteCustomKeyStore",
                    "kms:DeleteImportedKeyMaterial",
                    "kms:DisableKey",
                    "kms:DisableKeyRotation",
                    "kms:DisconnectCustomKeyStore",
                    "kms:ScheduleKeyDeletion",
                    "cloudhsm:DeleteBackup",
                    "cloudhsm:DeleteCluster",
                ],
                but=[BREAK_GLASS],
            ),
            _deny(
                "Grants",
                ["kms:CreateGrant"],
                condition={"Bool": {"kms:GrantIsForAWSResource": "false"}},
                but=[BREAK_GLASS, DEPLOYMENT],
            ),
            _deny("KeyPolicies", ["kms:PutKeyPolicy"], but=[BREAK_GLASS, DEPLOYMENT]),
            _deny(
                "Vaults",
                [
                    "backup:DeleteBackupVault",
                    "backup:DeleteBackupVaultAccessPolicy",
                    "backup:DeleteBackupPlan",
                    "backup:DisassociateRecoveryPoint",
                    "backup:PutBackupVaultAccessPolicy",
                    "backup:PutBackupVaultLockConfiguration",
                    "backup:UpdateRecoveryPointLifecycle",
                    "backup:UpdateRegionSettings",
                ],
                but=[BREAK_GLASS, DEPLOYMENT],
            ),
            _deny(
                "Points",
                ["backup:DeleteRecoveryPoint", "backup:DeleteBackupVaultLockConfiguration"],
                but=[BREAK_GLASS],
            ),
            _deny(
                "Traces",
                [
                    "ec2:DeleteFlowLogs",
                    "network-firewall:DeleteFirewall",
                    "network-firewall:UpdateLoggingConfiguration",
                    "route53:DeleteQueryLoggingConfig",
                    "route53resolver:DeleteResolverQueryLogConfig",
                    "route53resolver:DisassociateResolverQueryLogConfig",
                    "wafv2:DeleteLoggingConfiguration",
                ],
                but=[DEPLOYMENT],
            ),
            _deny(
                "Names",
                [
                    "route53:DeactivateKeySigningKey",
                    "route53:DeleteHostedZone",
                    "route53:DeleteKeySigningKey",
                    "route53:DisableHostedZoneDNSSEC",
                ],
                but=[BREAK_GLASS, DEPLOYMENT],
            ),
        ),
    )


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
        _deny(
            "Root",
            ["*"],
            condition={
                "ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:root"},
                # Sessions that the management account opens for one task carry this key (centralized root access).
                "BoolIfExists": {"aws:AssumedRoot": "false"},
            },
        ),
        _deny("OptIn", ["account:DisableRegion", "account:EnableRegion"], but=[DEPLOYMENT]),
    ]
    return Guardrail("limit-regions", "Only the platform's regions, and never the root user", tuple(statements))


def require_encryption() -> Guardrail:
    """Return the policy that refuses what is unencrypted, public, or open to stolen instance credentials."""
    return Guardrail(
        "require-encryption",
        "Nothing unencrypted, nothing public, instance metadata with a session only",
        (
            _deny(
                "Volumes",
                ["ec2:CreateVolume", "ec2:RunInstances"],
                resources=["arn:aws:ec2:*:*:volume/*"],
                condition={"Bool": {"ec2:Encrypted": "false"}},
            ),
            _deny(
                "Defaults",
                [
                    "ec2:DisableEbsEncryptionByDefault",
                    "ec2:DisableImageBlockPublicAccess",
                    "ec2:DisableSnapshotBlockPublicAccess",
                    "ec2:EnableSerialConsoleAccess",
                    "ec2:ModifyEbsDefaultKmsKeyId",
                    "ec2:ModifyInstanceMetadataDefaults",
                    "ec2:ResetEbsDefaultKmsKeyId",
                    "iam:DeleteAccountPasswordPolicy",
                    "iam:UpdateAccountPasswordPolicy",
                    "s3:PutAccountPublicAccessBlock",
                    "ssm:UpdateServiceSetting",
                ],
                but=[DEPLOYMENT],
            ),
            _deny(
                "Objects",
                ["s3:PutObject"],
                condition={
                    "Null": {"s3:x-amz-server-side-encryption": "false"},
                    "StringNotEquals": {"s3:x-amz-server-side-encryption": ["aws:kms", "aws:kms:dsse"]},
                },
            ),
            _deny("ObjectsOverTls", ["s3:*"], condition={"Bool": {"aws:SecureTransport": "false"}}),
            _deny(
                "PublicAcls",
                ["s3:CreateBucket", "s3:PutBucketAcl", "s3:PutObject", "s3:PutObjectAcl"],
                condition={
                    "StringEquals": {"s3:x-amz-acl": ["authenticated-read", "public-read", "public-read-write"]}
                },
            ),
            _deny(
                "PublicImages",
                ["ec2:ModifyImageAttribute", "ec2:ModifySnapshotAttribute"],
                condition={"StringEquals": {"ec2:Add/group": "all"}},
            ),
            _deny(
                "Shares",
                ["ram:CreateResourceShare"],
                condition={"Bool": {"ram:RequestedAllowsExternalPrincipals": "true"}},
            ),
            _deny(
                "Metadata",
                ["ec2:RunInstances"],
                resources=["arn:aws:ec2:*:*:instance/*"],
                condition={"StringNotEquals": {"ec2:MetadataHttpTokens": "required"}},
            ),
            _deny(
                "MetadataHops",
                ["ec2:RunInstances"],
                resources=["arn:aws:ec2:*:*:instance/*"],
                condition={"NumericGreaterThan": {"ec2:MetadataHttpPutResponseHopLimit": "1"}},
            ),
            _deny("MetadataChanges", ["ec2:ModifyInstanceMetadataOptions"], but=[DEPLOYMENT]),
            _deny("OldCredentials", ["*"], condition={"NumericLessThan": {"ec2:RoleDelivery": "2.0"}}),
            _deny(
                "Users",
                ["iam:CreateAccessKey", "iam:CreateLoginProfile", "iam:CreateUser"],
                but=[BREAK_GLASS],
            ),
        ),
    )


def quarantine() -> Guardrail:
    """Return the policy that stops an account: only those who investigate it may act in it."""
    return Guardrail(
        "quarantine",
        "An account under investigation: nothing but the responders' own work",
        (_deny("Stop", ["*"], but=[BREAK_GLASS, RESPONDER]),),
    )


def guardrails(regions: Sequence[str]) -> tuple[Guardrail, ...]:
    """Return the policies for the organisation's root.

    Raises:
        GuardrailError: more than can be attached to one target.
    """
    found = (protect_detection(), protect_evidence(), limit_regions(regions), require_encryption())
    if len(found) > MAX_ATTACHED:
        msg = f"{len(found)} policies for the root: AWS Organizations attaches {MAX_ATTACHED} besides FullAWSAccess"
        raise GuardrailError(msg)
    return found
