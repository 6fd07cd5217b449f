"""Backups as a whole: what is backed up is told, day by day."""

from collections.abc import Iterator

from ..catalogue import stack_rule
from ..model import AnyRule, Resource, Severity, Stack
from .backup import PLAN

REPORT_PLAN = "aws:backup/reportPlan:ReportPlan"
JOB_REPORTS = ("BACKUP_JOB_REPORT", "COPY_JOB_REPORT", "RESTORE_JOB_REPORT")


@stack_rule(
    "backup-reported",
    "Backups, copies and restores of a plan's region are reported",
    severity=Severity.MEDIUM,
    controls=("iso27001:A.8.13", "iso27001:A.5.28", "soc2:CC7.5", "soc2:CC4.1"),
    remediation=f"Add aws.backup.ReportPlan of {', '.join(JOB_REPORTS)} with the region among its regions",
    applies_to=(PLAN,),
)
def backup_reported(plan: Resource, stack: Stack) -> Iterator[str]:
    """Who has to show that backups work needs more than the alarms of those that failed."""
    reports = [r.props for r in stack.of(REPORT_PLAN)]
    told = {r.get("reportSetting.reportTemplate") for r in reports if plan.region in r.texts("reportSetting.regions")}
    for template in JOB_REPORTS:
        if template not in told:
            yield f"no report plan of {template} tells of {plan.region}"


RULES: tuple[AnyRule, ...] = (backup_reported,)
