"""AWS Backup: locked vaults, plans by the hour, day and month, each point with a copy in another region."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from onedallmail.platform.naming import ControlScope, DataClass
from onedallmail.platform.stack import PROJECT

from components.context import Scope
from components.keys import Keys

SELECTED = (DataClass.MAIL, DataClass.DIRECTORY, DataClass.LOGS)
"""Volumes of these classes are backed up; evidence and log buckets are locked and copied by S3 itself."""

HOURLY_DAYS, DAILY_DAYS, MONTHLY_DAYS, COLD_AFTER_DAYS = 35, 100, 400, 30
"""An intrusion is often found after weeks, so hourly points are kept for five; what did not change costs nothing."""
START_MIN, COMPLETION_MIN = 60, 480
MIN_RETENTION_DAYS, MAX_RETENTION_DAYS = HOURLY_DAYS, MONTHLY_DAYS
LOCK_GRACE_DAYS = 14
"""So long a lock can be taken back; then nobody can, AWS included (AWS Backup guide: vault lock, compliance mode)."""
BREAK_GLASS = "break-glass"
"""Ending of the role that may delete recovery points of a vault whose lock permits it; kept with the emergency keys."""

EVENTS = ("BACKUP_JOB_COMPLETED", "COPY_JOB_FAILED", "RESTORE_JOB_COMPLETED", "RECOVERY_POINT_MODIFIED")
"""Completed jobs tell their end state, whether they failed or succeeded."""
RESOURCE_TYPES = (
    "Aurora",
    "CloudFormation",
    "DocumentDB",
    "DynamoDB",
    "EBS",
    "EC2",
    "EFS",
    "FSx",
    "Neptune",
    "RDS",
    "Redshift",
    "S3",
    "SAP HANA on Amazon EC2",
    "Storage Gateway",
    "Timestream",
    "VirtualMachine",
)
BACKED_UP = ("EBS", "EC2", "S3")
MANAGED = "arn:aws:iam::aws:policy/service-role/AWSBackupServiceRolePolicyFor"


class BackupRole(pulumi.ComponentResource):
    """The role that AWS Backup works with in all regions of the stack."""

    role_arn: pulumi.Output[str]

    def __init__(self, name: str, *, scope: Scope, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("onedallmail:backup:BackupRole", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        role_name = scope.name("backup")
        role = aws.iam.Role(
            name,
            name=role_name,
            description="AWS Backup makes, copies and restores recovery points",
            assume_role_policy=scope.account_id.apply(_trust),
            tags=scope.tags(role_name, DataClass.BACKUP),
            opts=child,
        )
        attached = [
            aws.iam.RolePolicyAttachment(
                f"{name}-{kind.lower()}", role=role.name, policy_arn=f"{MANAGED}{kind}", opts=child
            )
            for kind in ("Backup", "Restores")
        ]
        # The role's ARN is of use once it may do something.
        self.role_arn = pulumi.Output.all(role.arn, *(a.id for a in attached)).apply(lambda values: str(values[0]))
        self.register_outputs({"roleArn": self.role_arn})


class BackupVault(pulumi.ComponentResource):
    """A region's vault: under the backup key, locked, closed to deletion, watched."""

    vault_name: pulumi.Output[str]
    vault_arn: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        scope: Scope,
        region: str,
        keys: Keys,
        topic_arn: pulumi.Output[str] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Events go to `topic_arn`, a topic of the same region that lets backup.amazonaws.com publish."""
        super().__init__("onedallmail:backup:BackupVault", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        vault_name = scope.name("backup")
        vault = aws.backup.Vault(
            name,
            region=region,
            name=vault_name,
            kms_key_arn=keys.arn(DataClass.BACKUP, region),
            force_destroy=False,
            tags=scope.tags(vault_name, DataClass.BACKUP, ControlScope.EVIDENCE),
            # Recovery points outlive a mistaken `destroy`.
            opts=pulumi.ResourceOptions(parent=self, protect=scope.lasting),
        )
        self.vault_name, self.vault_arn = vault.name, vault.arn
        aws.backup.VaultPolicy(
            name,
            region=region,
            backup_vault_name=vault.name,
            policy=pulumi.Output.all(vault.arn, scope.account_id).apply(lambda v: _vault_policy(v[0], v[1])),
            opts=child,
        )
        aws.backup.VaultLockConfiguration(
            name,
            region=region,
            backup_vault_name=vault.name,
            min_retention_days=MIN_RETENTION_DAYS,
            max_retention_days=MAX_RETENTION_DAYS,
            changeable_for_days=LOCK_GRACE_DAYS,
            opts=child,
        )
        if topic_arn is not None:
            aws.backup.VaultNotifications(
                name,
                region=region,
                backup_vault_name=vault.name,
                sns_topic_arn=topic_arn,
                backup_vault_events=list(EVENTS),
                opts=child,
            )
        self.register_outputs({"vaultName": self.vault_name, "vaultArn": self.vault_arn})


class BackupPlan(pulumi.ComponentResource):
    """A region's plan and what it covers: encrypted volumes of the stack by their data class.

    Volumes, not whole instances: servers are made from code, data is on volumes, and only snapshots of volumes can go
    to cold storage. The mail system's own replicas hold the recovery point of minutes; this is for what they share.
    """

    plan_id: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        scope: Scope,
        region: str,
        role_arn: pulumi.Output[str],
        vault: BackupVault,
        copy_to: BackupVault,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("onedallmail:backup:BackupPlan", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        plan_name = scope.name("backup", region)
        plan = aws.backup.Plan(
            name,
            region=region,
            name=plan_name,
            rules=_rules(scope, vault, copy_to),
            tags=scope.tags(plan_name, DataClass.BACKUP, ControlScope.EVIDENCE),
            opts=child,
        )
        aws.backup.Selection(
            name,
            region=region,
            name=plan_name[:50],
            plan_id=plan.id,
            iam_role_arn=role_arn,
            resources=["arn:aws:ec2:*:*:volume/*"],
            selection_tags=[
                {"type": "STRINGEQUALS", "key": "DataClass", "value": data_class.value} for data_class in SELECTED
            ],
            conditions=[
                {
                    "string_equals": [
                        {"key": "aws:ResourceTag/Project", "value": PROJECT},
                        {"key": "aws:ResourceTag/Stack", "value": scope.stack},
                    ]
                }
            ],
            opts=child,
        )
        self.plan_id = plan.id
        self.register_outputs({"planId": self.plan_id})


class Backup(pulumi.ComponentResource):
    """Backup of a whole stack: a vault and a plan a region, copies in the archive region, its own ones in the first."""

    role_arn: pulumi.Output[str]
    vaults: dict[str, BackupVault]

    def __init__(
        self,
        name: str,
        *,
        scope: Scope,
        regions: Sequence[str],
        archive: str,
        keys: Keys,
        topic_arns: Mapping[str, pulumi.Output[str]] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("onedallmail:backup:Backup", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        role = BackupRole(name, scope=scope, opts=child)
        self.role_arn = role.role_arn
        self.vaults = {
            region: BackupVault(
                f"{name}-{region}",
                scope=scope,
                region=region,
                keys=keys,
                topic_arn=(topic_arns or {}).get(region),
                opts=child,
            )
            for region in regions
        }
        for region in regions:
            other = archive if region != archive else next(r for r in regions if r != archive)
            aws.backup.RegionSettings(
                f"{name}-{region}",
                region=region,
                resource_type_opt_in_preference={kind: kind in BACKED_UP for kind in RESOURCE_TYPES},
                resource_type_management_preference={"DynamoDB": True, "EFS": True},
                opts=child,
            )
            BackupPlan(
                f"{name}-{region}",
                scope=scope,
                region=region,
                role_arn=self.role_arn,
                vault=self.vaults[region],
                copy_to=self.vaults[other],
                opts=child,
            )
        self.register_outputs({"roleArn": self.role_arn, "vaultArns": {r: v.vault_arn for r, v in self.vaults.items()}})


def _rules(scope: Scope, vault: BackupVault, copy_to: BackupVault) -> list[aws.backup.PlanRuleArgsDict]:
    def rule(name: str, schedule: str, lifecycle: Any) -> aws.backup.PlanRuleArgsDict:
        return {
            "rule_name": name,
            "target_vault_name": vault.vault_name,
            "schedule": schedule,
            "start_window": START_MIN,
            "completion_window": COMPLETION_MIN,
            "lifecycle": lifecycle,
            "copy_actions": [{"destination_vault_arn": copy_to.vault_arn, "lifecycle": lifecycle}],
            "recovery_point_tags": scope.tags(scope.name("backup", name), DataClass.BACKUP),
        }

    monthly = {
        "cold_storage_after": COLD_AFTER_DAYS,
        "delete_after": MONTHLY_DAYS,
        "opt_in_to_archive_for_supported_resources": True,
    }
    return [
        rule("hourly", "cron(0 * * * ? *)", {"delete_after": HOURLY_DAYS}),
        rule("daily", "cron(30 1 * * ? *)", {"delete_after": DAILY_DAYS}),
        rule("monthly", "cron(30 3 1 * ? *)", monthly),
    ]


def _trust(account: str) -> str:
    statement = {
        "Sid": "BackUp",
        "Effect": "Allow",
        "Principal": {"Service": "backup.amazonaws.com"},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"aws:SourceAccount": account}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _vault_policy(vault_arn: str, account: str) -> str:
    statement = {
        "Sid": "KeptUntilTheirTime",
        "Effect": "Deny",
        "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
        "Action": [
            "backup:DeleteBackupVault",
            "backup:DeleteRecoveryPoint",
            "backup:DisassociateRecoveryPoint",
            "backup:UpdateRecoveryPointLifecycle",
        ],
        "Resource": [vault_arn, f"arn:aws:backup:*:{account}:recovery-point:*", "arn:aws:ec2:*::snapshot/*"],
        "Condition": {"ArnNotLike": {"aws:PrincipalArn": f"arn:aws:iam::{account}:role/{PROJECT}-*-{BREAK_GLASS}"}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
