"""What is looked for in the trail: the events that the CIS AWS Foundations Benchmark names, and those of this platform.

Each becomes a metric filter and an alarm. Source: CIS AWS Foundations Benchmark 3.0.0, section 4, "Monitoring".
"""

from dataclasses import dataclass

MAX_PATTERN_LENGTH = 1024
"""Longest filter pattern that CloudWatch Logs takes (PutMetricFilter)."""


@dataclass(frozen=True)
class TrailFilter:
    """An event in the trail that shall raise an alarm."""

    name: str
    """Part of the names of filter, metric and alarm."""
    title: str
    """What happened, for the person whom the alarm wakes."""
    pattern: str
    """Filter pattern of CloudWatch Logs."""
    control: str | None = None
    """Number in the CIS benchmark; none for the platform's own."""


def _calls(source: str | None, *events: str) -> str:
    """Return the pattern for API calls of a service, or for calls of any service where their names tell it."""
    named = " || ".join(f"($.eventName = {event})" for event in events)
    return f"{{ ($.eventSource = {source}.amazonaws.com) && ({named}) }}" if source else f"{{ {named} }}"


_UNAUTHORIZED = (
    '{ ($.errorCode = "*UnauthorizedOperation") || ($.errorCode = "AccessDenied*") && '
    '($.sourceIPAddress != "delivery.logs.amazonaws.com") && ($.eventName != "HeadBucket") }'
)
_WITHOUT_MFA = (
    '{ ($.eventName = "ConsoleLogin") && ($.additionalEventData.MFAUsed != "Yes") && '
    '($.userIdentity.type = "IAMUser") && ($.responseElements.ConsoleLogin = "Success") }'
)
_ROOT = '{ $.userIdentity.type = "Root" && $.userIdentity.invokedBy NOT EXISTS && $.eventType != "AwsServiceEvent" }'
_FAILED_LOGIN = '{ ($.eventName = ConsoleLogin) && ($.errorMessage = "Failed authentication") }'

CIS_FILTERS = (
    TrailFilter("unauthorized-calls", "An API call was refused", _UNAUTHORIZED, "4.1"),
    TrailFilter("login-without-mfa", "Console sign-in without a second factor", _WITHOUT_MFA, "4.2"),
    TrailFilter("root-use", "The root user was used", _ROOT, "4.3"),
    TrailFilter(
        "iam-changes",
        "An IAM policy was changed",
        _calls(
            "iam",
            "DeleteGroupPolicy",
            "DeleteRolePolicy",
            "DeleteUserPolicy",
            "PutGroupPolicy",
            "PutRolePolicy",
            "PutUserPolicy",
            "CreatePolicy",
            "DeletePolicy",
            "CreatePolicyVersion",
            "DeletePolicyVersion",
            "AttachRolePolicy",
            "DetachRolePolicy",
            "AttachUserPolicy",
            "DetachUserPolicy",
            "AttachGroupPolicy",
            "DetachGroupPolicy",
        ),
        "4.4",
    ),
    TrailFilter(
        "cloudtrail-changes",
        "CloudTrail was changed",
        _calls(None, "CreateTrail", "UpdateTrail", "DeleteTrail", "StartLogging", "StopLogging"),
        "4.5",
    ),
    TrailFilter("login-failures", "Console sign-in failed", _FAILED_LOGIN, "4.6"),
    TrailFilter(
        "key-loss",
        "A KMS key was disabled or is going to be deleted",
        _calls("kms", "DisableKey", "ScheduleKeyDeletion"),
        "4.7",
    ),
    TrailFilter(
        "bucket-policy-changes",
        "Access to an S3 bucket was changed",
        _calls(
            "s3",
            "PutBucketAcl",
            "PutBucketPolicy",
            "PutBucketCors",
            "PutBucketLifecycle",
            "PutBucketReplication",
            "DeleteBucketPolicy",
            "DeleteBucketCors",
            "DeleteBucketLifecycle",
            "DeleteBucketReplication",
        ),
        "4.8",
    ),
    TrailFilter(
        "config-changes",
        "AWS Config was changed",
        _calls(
            "config",
            "StopConfigurationRecorder",
            "DeleteDeliveryChannel",
            "PutDeliveryChannel",
            "PutConfigurationRecorder",
        ),
        "4.9",
    ),
    TrailFilter(
        "security-group-changes",
        "A security group was changed",
        _calls(
            None,
            "AuthorizeSecurityGroupIngress",
            "AuthorizeSecurityGroupEgress",
            "RevokeSecurityGroupIngress",
            "RevokeSecurityGroupEgress",
            "CreateSecurityGroup",
            "DeleteSecurityGroup",
            "ModifySecurityGroupRules",
        ),
        "4.10",
    ),
    TrailFilter(
        "network-acl-changes",
        "A network ACL was changed",
        _calls(
            None,
            "CreateNetworkAcl",
            "CreateNetworkAclEntry",
            "DeleteNetworkAcl",
            "DeleteNetworkAclEntry",
            "ReplaceNetworkAclEntry",
            "ReplaceNetworkAclAssociation",
        ),
        "4.11",
    ),
    TrailFilter(
        "gateway-changes",
        "A network gateway was changed",
        _calls(
            None,
            "CreateCustomerGateway",
            "DeleteCustomerGateway",
            "AttachInternetGateway",
            "CreateInternetGateway",
            "DeleteInternetGateway",
            "DetachInternetGateway",
        ),
        "4.12",
    ),
    TrailFilter(
        "route-changes",
        "A route was changed",
        _calls(
            "ec2",
            "CreateRoute",
            "CreateRouteTable",
            "ReplaceRoute",
            "ReplaceRouteTableAssociation",
            "DeleteRouteTable",
            "DeleteRoute",
            "DisassociateRouteTable",
        ),
        "4.13",
    ),
    TrailFilter(
        "vpc-changes",
        "A VPC was changed",
        _calls(
            None,
            "CreateVpc",
            "DeleteVpc",
            "ModifyVpcAttribute",
            "AcceptVpcPeeringConnection",
            "CreateVpcPeeringConnection",
            "DeleteVpcPeeringConnection",
            "RejectVpcPeeringConnection",
            "AttachClassicLinkVpc",
            "DetachClassicLinkVpc",
            "DisableVpcClassicLink",
            "EnableVpcClassicLink",
        ),
        "4.14",
    ),
    TrailFilter(
        "organization-changes",
        "The organisation was changed",
        _calls(
            "organizations",
            "AcceptHandshake",
            "AttachPolicy",
            "CancelHandshake",
            "CreateAccount",
            "CreateOrganization",
            "CreateOrganizationalUnit",
            "CreatePolicy",
            "DeclineHandshake",
            "DeleteOrganization",
            "DeleteOrganizationalUnit",
            "DeletePolicy",
            "DetachPolicy",
            "DisablePolicyType",
            "EnableAllFeatures",
            "EnablePolicyType",
            "InviteAccountToOrganization",
            "LeaveOrganization",
            "MoveAccount",
            "RemoveAccountFromOrganization",
            "UpdatePolicy",
            "UpdateOrganizationalUnit",
        ),
        "4.15",
    ),
)
"""Sections 4.1 to 4.15; 4.16, Security Hub, is no filter."""

PLATFORM_FILTERS = (
    TrailFilter(
        "detection-changes",
        "Detection was weakened",
        _calls(
            None,
            "DeleteDetector",
            "DisassociateFromAdministratorAccount",
            "DisableSecurityHub",
            "BatchDisableStandards",
            "DisableMacie",
            "DeleteAnalyzer",
            "DeleteConfigRule",
            "DeleteConfigurationRecorder",
            "DeleteRule",
            "DisableRule",
            "RemoveTargets",
            "DeleteAlarms",
            "DisableAlarmActions",
        ),
    ),
    TrailFilter(
        "bucket-protection-changes",
        "Lock, versions or public access of a bucket were changed",
        _calls(
            "s3",
            "PutBucketVersioning",
            "PutObjectLockConfiguration",
            "PutBucketObjectLockConfiguration",
            "PutBucketPublicAccessBlock",
            "DeleteBucketPublicAccessBlock",
            "PutAccountPublicAccessBlock",
            "DeleteBucketEncryption",
            "DeleteBucket",
        ),
    ),
    TrailFilter(
        "backup-changes",
        "A backup vault or its recovery points were changed",
        _calls(
            "backup",
            "DeleteBackupVault",
            "DeleteBackupVaultLockConfiguration",
            "PutBackupVaultAccessPolicy",
            "DeleteBackupVaultAccessPolicy",
            "DeleteRecoveryPoint",
            "UpdateRecoveryPointLifecycle",
            "DeleteBackupPlan",
        ),
    ),
    TrailFilter(
        "name-changes",
        "A hosted zone lost its signature or was deleted",
        _calls(
            "route53",
            "DeleteHostedZone",
            "DisableHostedZoneDNSSEC",
            "DeactivateKeySigningKey",
            "DeleteKeySigningKey",
            "DeleteQueryLoggingConfig",
        ),
    ),
    TrailFilter(
        "secret-changes",
        "A secret was deleted or its policy changed",
        _calls("secretsmanager", "DeleteSecret", "PutResourcePolicy", "DeleteResourcePolicy"),
    ),
    TrailFilter(
        "hsm-changes",
        "A hardware security module was removed or changed",
        _calls("cloudhsm", "DeleteCluster", "DeleteHsm", "DeleteBackup", "ModifyCluster"),
    ),
)
"""What the platform adds: changes that would blind detection or take evidence, copies, names or keys away."""

TRAIL_FILTERS = CIS_FILTERS + PLATFORM_FILTERS
