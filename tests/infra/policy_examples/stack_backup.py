"""Examples for rules/stack_backup.py."""

from infra.policy.model import Resource
from infra.policy.rules import stack_backup as rules

from .backup import plan
from .example import example, make


def reports(*regions: str) -> list[Resource]:
    """Return a report plan for each kind of job."""
    return [
        make(rules.REPORT_PLAN, {"reportSetting": {"reportTemplate": template, "regions": list(regions)}})
        for template in rules.JOB_REPORTS
    ]


EXAMPLES = (
    example(
        "backup-reported",
        good=[[plan(), *reports("eu-central-1", "eu-west-1")]],
        bad=[plan(), [plan(), *reports("eu-west-1")], [plan(), *reports("eu-central-1")[:2]]],
    ),
)
