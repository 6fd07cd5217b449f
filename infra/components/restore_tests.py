"""Restores from a vault once a week, because a backup is one only after it has been restored."""

import pulumi
import pulumi_aws as aws

from onedallmail.platform.naming import ControlScope, DataClass

from components.backup import BackupVault
from components.context import Scope
from components.keys import Keys

WEEKLY = "cron(0 5 ? * SUN *)"
START_WINDOW_H, VALIDATION_WINDOW_H = 8, 4
SELECTION_WINDOW_DAYS = 7
"""Points that old at most are tested; restored volumes are deleted when the time to look at them is over."""


class RestoreTests(pulumi.ComponentResource):
    """The weekly restore of a random recent point of each volume that a region's vault holds, copies included."""

    plan_arn: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        scope: Scope,
        region: str,
        vault: BackupVault,
        role_arn: pulumi.Output[str],
        keys: Keys,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("onedallmail:backup:RestoreTests", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        title = scope.name("restore_tests")
        plan = aws.backup.RestoreTestingPlan(
            name,
            region=region,
            name=_plain(title),
            schedule_expression=WEEKLY,
            start_window_hours=START_WINDOW_H,
            recovery_point_selection={
                "algorithm": "RANDOM_WITHIN_WINDOW",
                "include_vaults": [vault.vault_arn],
                "recovery_point_types": ["SNAPSHOT"],
                "selection_window_days": SELECTION_WINDOW_DAYS,
            },
            tags=scope.tags(title, DataClass.BACKUP, ControlScope.EVIDENCE),
            opts=child,
        )
        aws.backup.RestoreTestingSelection(
            name,
            region=region,
            name="volumes",
            restore_testing_plan_name=plan.name,
            iam_role_arn=role_arn,
            protected_resource_type="EBS",
            protected_resource_arns=["*"],
            restore_metadata_overrides={"encrypted": "true", "kmsKeyId": keys.arn(DataClass.BACKUP, region)},
            validation_window_hours=VALIDATION_WINDOW_H,
            opts=child,
        )
        self.plan_arn = plan.arn
        self.register_outputs({"planArn": self.plan_arn})


def _plain(title: str) -> str:
    """Return a name of letters, digits and underscores, as restore testing wants it."""
    return "".join(c if c.isalnum() else "_" for c in title)[:50]
