"""Patching of a region: what is approved, and a window for each zone, so that never two zones restart together."""

import pulumi
import pulumi_aws as aws

from onedallmail.platform.addresses import ZONES

from components.context import Context

SYSTEM = "DEBIAN"
PRIORITIES = ("required", "important", "standard", "optional", "extra")
WINDOW_HOURS, CUTOFF_HOURS = 3, 1
FIRST_HOUR = 1
DAYS = ("TUE", "WED", "THU")
"""By zone: a zone's servers are patched on a day of their own, before the weekend."""


class Patching(pulumi.ComponentResource):
    """Baseline, groups and maintenance windows of one region."""

    def __init__(
        self,
        name: str,
        *,
        context: Context,
        region: str,
        hour: int,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Patch from `hour` (UTC) on; regions take different ones, so that they do not restart together either."""
        super().__init__("onedallmail:compute:Patching", name, None, opts)
        self._name, self._context, self._region = name, context, region
        self._child = pulumi.ResourceOptions(parent=self)
        self._baseline()
        members = [s for s in context.platform.servers if s.region == region]
        for zone, day in zip(ZONES, DAYS, strict=True):
            names = sorted(s.fqdn for s in members if s.zone.endswith(zone))
            if names:
                self._window(zone, f"cron(0 {FIRST_HOUR + hour % 20} ? * {day} *)", names)
        self.register_outputs({})

    def _baseline(self) -> None:
        title = self._context.name(self._region, "debian")
        baseline = aws.ssm.PatchBaseline(
            self._name,
            region=self._region,
            name=title,
            description="Debian: security updates at once, others after a week",
            operating_system=SYSTEM,
            approved_patches_compliance_level="CRITICAL",
            approval_rules=[
                {
                    "approve_after_days": days,
                    "compliance_level": level,
                    "patch_filters": [
                        {"key": "PRODUCT", "values": ["*"]},
                        {"key": "SECTION", "values": ["*"]},
                        {"key": "PRIORITY", "values": [*priorities]},
                    ],
                }
                for days, level, priorities in (
                    (0, "CRITICAL", PRIORITIES[:3]),
                    (7, "MEDIUM", PRIORITIES[3:]),
                )
            ],
            tags=self._context.tags(title),
            opts=self._child,
        )
        aws.ssm.DefaultPatchBaseline(
            self._name,
            region=self._region,
            baseline_id=baseline.id,
            operating_system=SYSTEM,
            opts=self._child,
        )

    def _window(self, zone: str, schedule: str, servers: list[str]) -> None:
        title = self._context.name(self._region, "patch", zone)
        window = aws.ssm.MaintenanceWindow(
            f"{self._name}-{zone}",
            region=self._region,
            name=title,
            description=f"Patches of zone {zone}",
            schedule=schedule,
            schedule_timezone="UTC",
            duration=WINDOW_HOURS,
            cutoff=CUTOFF_HOURS,
            allow_unassociated_targets=False,
            tags=self._context.tags(title),
            opts=self._child,
        )
        target = aws.ssm.MaintenanceWindowTarget(
            f"{self._name}-{zone}",
            region=self._region,
            window_id=window.id,
            name=title,
            resource_type="INSTANCE",
            targets=[{"key": "tag:Name", "values": servers}],
            opts=self._child,
        )
        aws.ssm.MaintenanceWindowTask(
            f"{self._name}-{zone}",
            region=self._region,
            window_id=window.id,
            name=title,
            task_type="RUN_COMMAND",
            task_arn="AWS-RunPatchBaseline",
            priority=1,
            # One server at a time; the first that fails ends the night for the others.
            max_concurrency="1",
            max_errors="0",
            targets=[{"key": "WindowTargetIds", "values": [target.id]}],
            task_invocation_parameters={
                "run_command_parameters": {
                    "document_version": "$DEFAULT",
                    "timeout_seconds": 3600,
                    "parameters": [
                        {"name": "Operation", "values": ["Install"]},
                        {"name": "RebootOption", "values": ["RebootIfNeeded"]},
                    ],
                }
            },
            opts=self._child,
        )
