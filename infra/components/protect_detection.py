"""The guardrail that keeps accounts in the organisation, and keeps on what watches them."""

from components.guardrail import ACCOUNT_ACCESS, BREAK_GLASS, DEPLOYMENT, LOG_GROUPS, RESPONDER, Guardrail, deny


def protect_detection() -> Guardrail:
    """Return the policy that keeps accounts in the organisation and detection on."""
    return Guardrail(
        "protect-detection",
        "Nobody leaves the organisation or weakens what watches it",
        (
            deny("Stay", ["organizations:LeaveOrganization", "account:CloseAccount"]),
            deny(
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
            deny(
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
            deny(
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
            deny(
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
            deny(
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
