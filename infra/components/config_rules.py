"""Config rules: what AWS checks again whenever a resource changes. Managed rules only, each as data."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws

from onedallmail.platform.naming import ControlScope, DataClass

from components.context import Scope

REQUIRED_TAGS = ("Project", "Stack", "Owner", "DataClass", "ControlScope", "ManagedBy")
"""Keys that every resource of the platform carries; the rule takes six at most."""

TAGGED_TYPES = ("AWS::EC2::Instance", "AWS::EC2::Volume", "AWS::EC2::VPC", "AWS::S3::Bucket")


@dataclass(frozen=True)
class ManagedRule:
    """A managed rule: its identifier names it, too (in lower case with hyphens)."""

    identifier: str
    why: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    resource_types: tuple[str, ...] = ()
    """Limits the rule to these types; empty where the rule knows its own."""

    @property
    def name(self) -> str:
        """Name of the rule and of its resource."""
        return self.identifier.lower().replace("_", "-")


REGIONAL_RULES = (
    ManagedRule(
        "REQUIRED_TAGS",
        "Resources say whose they are and how to treat their data",
        {f"tag{i}Key": key for i, key in enumerate(REQUIRED_TAGS, start=1)},
        TAGGED_TYPES,
    ),
    ManagedRule("ENCRYPTED_VOLUMES", "Volumes are encrypted"),
    ManagedRule("EC2_EBS_ENCRYPTION_BY_DEFAULT", "New volumes are encrypted without being told"),
    ManagedRule("EBS_SNAPSHOT_PUBLIC_RESTORABLE_CHECK", "No snapshot can be restored by others"),
    ManagedRule("EC2_IMDSV2_CHECK", "Instances answer metadata requests with a session only"),
    ManagedRule("EC2_INSTANCE_MANAGED_BY_SSM", "Servers are reached through Session Manager"),
    ManagedRule("EC2_MANAGEDINSTANCE_PATCH_COMPLIANCE_STATUS_CHECK", "Servers are patched by plan"),
    ManagedRule("INCOMING_SSH_DISABLED", "No SSH from outside"),
    ManagedRule("VPC_DEFAULT_SECURITY_GROUP_CLOSED", "Default security groups allow nothing"),
    ManagedRule("VPC_FLOW_LOGS_ENABLED", "Networks have flow logs"),
    ManagedRule("SUBNET_AUTO_ASSIGN_PUBLIC_IP_DISABLED", "Subnets give no public addresses"),
    ManagedRule("S3_BUCKET_SSL_REQUESTS_ONLY", "Buckets are reached over TLS only"),
    ManagedRule("S3_BUCKET_VERSIONING_ENABLED", "Buckets keep versions"),
    ManagedRule("S3_BUCKET_LEVEL_PUBLIC_ACCESS_PROHIBITED", "Buckets are closed to the public"),
    ManagedRule("S3_BUCKET_SERVER_SIDE_ENCRYPTION_ENABLED", "Buckets encrypt what they store"),
    ManagedRule("S3_BUCKET_LOGGING_ENABLED", "Access to buckets is logged"),
    ManagedRule("KMS_CMK_NOT_SCHEDULED_FOR_DELETION", "No key is going to be deleted"),
    ManagedRule("CMK_BACKING_KEY_ROTATION_ENABLED", "Keys rotate"),
    ManagedRule("CLOUDWATCH_LOG_GROUP_ENCRYPTED", "Log groups are encrypted"),
    ManagedRule("CW_LOGGROUP_RETENTION_PERIOD_CHECK", "Log groups keep a year and more", {"MinRetentionTime": "365"}),
    ManagedRule("CLOUD_TRAIL_ENABLED", "There is an audit trail"),
    ManagedRule("GUARDDUTY_ENABLED_CENTRALIZED", "GuardDuty is on"),
    ManagedRule("SECURITYHUB_ENABLED", "Security Hub is on"),
    ManagedRule("SECRETSMANAGER_USING_CMK", "Secrets are encrypted with the platform's keys"),
    ManagedRule("BACKUP_RECOVERY_POINT_ENCRYPTED", "Recovery points are encrypted"),
    ManagedRule("ELB_LOGGING_ENABLED", "Load balancers log"),
    ManagedRule("ALB_HTTP_DROP_INVALID_HEADER_ENABLED", "Invalid headers are dropped"),
)
"""Rules of each region with a recorder."""

GLOBAL_RULES = (
    ManagedRule("MULTI_REGION_CLOUD_TRAIL_ENABLED", "The trail sees every region"),
    ManagedRule("CLOUD_TRAIL_LOG_FILE_VALIDATION_ENABLED", "Changed log files are noticed"),
    ManagedRule("CLOUD_TRAIL_ENCRYPTION_ENABLED", "The trail is encrypted"),
    ManagedRule("ROOT_ACCOUNT_MFA_ENABLED", "The root user needs a second factor"),
    ManagedRule("IAM_ROOT_ACCESS_KEY_CHECK", "The root user has no access key"),
    ManagedRule("MFA_ENABLED_FOR_IAM_CONSOLE_ACCESS", "Console users need a second factor"),
    ManagedRule("ACCESS_KEYS_ROTATED", "Access keys are replaced", {"maxAccessKeyAge": "90"}),
    ManagedRule(
        "IAM_PASSWORD_POLICY",
        "Passwords are long and do not come again",
        {
            "RequireUppercaseCharacters": "true",
            "RequireLowercaseCharacters": "true",
            "RequireSymbols": "true",
            "RequireNumbers": "true",
            "MinimumPasswordLength": "14",
            "PasswordReusePrevention": "24",
            "MaxPasswordAge": "90",
        },
    ),
    ManagedRule("IAM_POLICY_NO_STATEMENTS_WITH_ADMIN_ACCESS", "No policy allows everything"),
    ManagedRule("IAM_USER_NO_POLICIES_CHECK", "Users have no policies of their own"),
)
"""Rules about what an account has once: in the home region, where global resources are recorded."""


class ConfigRules(pulumi.ComponentResource):
    """The rules of a region, evaluated from what its recorder sees."""

    def __init__(
        self,
        name: str,
        *,
        scope: Scope,
        region: str,
        home: bool,
        recorder: pulumi.Resource,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("onedallmail:detection:ConfigRules", name, None, opts)
        for rule in REGIONAL_RULES + (GLOBAL_RULES if home else ()):
            full_name = scope.name(rule.name)
            aws.cfg.Rule(
                f"{name}-{rule.name}",
                region=region,
                name=full_name,
                description=rule.why,
                source={"owner": "AWS", "source_identifier": rule.identifier},
                input_parameters=json.dumps(dict(rule.parameters)) if rule.parameters else None,
                scope={"compliance_resource_types": list(rule.resource_types)} if rule.resource_types else None,
                tags=scope.tags(full_name, DataClass.NONE, ControlScope.EVIDENCE),
                # Config refuses rules where nothing records; no argument refers to the recorder.
                opts=pulumi.ResourceOptions(parent=self, depends_on=[recorder]),
            )
        self.register_outputs({})
