"""Which events of AWS services reach the platform's security operations, as EventBridge patterns."""

from dataclasses import dataclass
from typing import Any

MEDIUM_SEVERITY = 4
"""Lowest severity of a GuardDuty finding that someone looks at (4.0 to 6.9 is medium)."""


@dataclass(frozen=True)
class EventRule:
    """A kind of event, and why it matters."""

    name: str
    description: str
    pattern: dict[str, Any]


def _api_calls(source: str, *calls: str) -> dict[str, Any]:
    """Return the pattern for API calls that CloudTrail saw, refused ones left out."""
    return {
        "source": [f"aws.{source}"],
        "detail-type": ["AWS API Call via CloudTrail"],
        "detail": {
            "eventSource": [f"{source}.amazonaws.com"],
            "eventName": list(calls),
            "errorCode": [{"exists": False}],
        },
    }


def event_rules(region: str) -> tuple[EventRule, ...]:
    """Return the rules of a region.

    Security Hub copies findings of linked regions to its home: only the region's own count, or each would come twice.
    """
    return (
        EventRule(
            "guardduty",
            "GuardDuty finding of medium or higher severity",
            {
                "source": ["aws.guardduty"],
                "detail-type": ["GuardDuty Finding"],
                "detail": {"severity": [{"numeric": [">=", MEDIUM_SEVERITY]}]},
            },
        ),
        EventRule(
            "securityhub",
            "Control of high or critical severity failed in Security Hub",
            {
                "source": ["aws.securityhub"],
                "detail-type": ["Security Hub Findings - Imported"],
                "detail": {
                    "findings": {
                        "ProductName": ["Security Hub"],
                        "Region": [region],
                        "RecordState": ["ACTIVE"],
                        "Compliance": {"Status": ["FAILED"]},
                        "Severity": {"Label": ["HIGH", "CRITICAL"]},
                        "Workflow": {"Status": ["NEW"]},
                    }
                },
            },
        ),
        EventRule(
            "inspector",
            "Vulnerability of high or critical severity on a server",
            {
                "source": ["aws.inspector2"],
                "detail-type": ["Inspector2 Finding"],
                "detail": {"severity": ["HIGH", "CRITICAL"], "status": ["ACTIVE"]},
            },
        ),
        EventRule(
            "macie",
            "Sensitive data or a bucket open to others",
            {"source": ["aws.macie"], "detail-type": ["Macie Finding"]},
        ),
        EventRule(
            "access-analyzer",
            "A resource can be reached from outside",
            {
                "source": ["aws.access-analyzer"],
                "detail-type": ["Access Analyzer Finding"],
                "detail": {"status": ["ACTIVE"]},
            },
        ),
        EventRule(
            "config",
            "A resource no longer complies with a Config rule",
            {
                "source": ["aws.config"],
                "detail-type": ["Config Rules Compliance Change"],
                "detail": {"newEvaluationResult": {"complianceType": ["NON_COMPLIANT"]}},
            },
        ),
        EventRule("keys", "A KMS key loses its use", _api_calls("kms", "DisableKey", "ScheduleKeyDeletion")),
        EventRule(
            "trail",
            "The audit trail is stopped or changed",
            _api_calls("cloudtrail", "StopLogging", "DeleteTrail", "UpdateTrail", "PutEventSelectors"),
        ),
        EventRule(
            "backup",
            "A backup, copy or restore test failed",
            {
                "source": ["aws.backup"],
                "detail-type": ["Backup Job State Change", "Copy Job State Change", "Restore Job State Change"],
                "detail": {"state": ["FAILED", "ABORTED", "EXPIRED"]},
            },
        ),
        EventRule(
            "health",
            "AWS reports an issue or abuse that concerns the account",
            {
                "source": ["aws.health"],
                "detail-type": ["AWS Health Event", "AWS Health Abuse Event"],
                "detail": {"eventTypeCategory": ["issue", "accountNotification"]},
            },
        ),
        EventRule(
            "root-login",
            "The root user signed in",
            {
                "detail-type": ["AWS Console Sign In via CloudTrail"],
                "detail": {"userIdentity": {"type": ["Root"]}},
            },
        ),
    )
