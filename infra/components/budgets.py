"""Money as an alarm: a monthly budget, and anomalies in what services cost."""

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from components.context import Scope

ACTUAL_PERCENT = (80, 100)
FORECAST_PERCENT = 100


class MonthlyBudget(pulumi.ComponentResource):
    """Tells by mail, and to a topic if there is one, when the month's costs near or pass the budget."""

    def __init__(
        self,
        name: str,
        *,
        scope: Scope,
        amount_usd: int,
        emails: Sequence[str],
        topic_arn: pulumi.Output[str] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("onedallmail:guardrails:MonthlyBudget", name, None, opts)
        full_name = scope.name("monthly")
        stages = [("ACTUAL", percent) for percent in ACTUAL_PERCENT] + [("FORECASTED", FORECAST_PERCENT)]
        aws.budgets.Budget(
            name,
            name=full_name,
            budget_type="COST",
            limit_amount=str(amount_usd),
            limit_unit="USD",
            time_unit="MONTHLY",
            notifications=[
                aws.budgets.BudgetNotificationArgs(
                    comparison_operator="GREATER_THAN",
                    notification_type=kind,
                    threshold=percent,
                    threshold_type="PERCENTAGE",
                    subscriber_email_addresses=list(emails),
                    subscriber_sns_topic_arns=[topic_arn] if topic_arn is not None else None,
                )
                for kind, percent in stages
            ],
            tags=scope.tags(full_name),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})


class CostAnomalies(pulumi.ComponentResource):
    """Reports each day what costs more than a service's usual course explains."""

    def __init__(
        self,
        name: str,
        *,
        scope: Scope,
        threshold_usd: int,
        emails: Sequence[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("onedallmail:guardrails:CostAnomalies", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        full_name = scope.name("cost-anomalies")
        monitor = aws.costexplorer.AnomalyMonitor(
            name,
            name=full_name,
            monitor_type="DIMENSIONAL",
            monitor_dimension="SERVICE",
            tags=scope.tags(full_name),
            opts=child,
        )
        aws.costexplorer.AnomalySubscription(
            name,
            name=full_name,
            frequency="DAILY",
            monitor_arn_lists=[monitor.arn],
            subscribers=[{"type": "EMAIL", "address": email} for email in emails],
            threshold_expression={
                "dimension": {
                    "key": "ANOMALY_TOTAL_IMPACT_ABSOLUTE",
                    "match_options": ["GREATER_THAN_OR_EQUAL"],
                    "values": [str(threshold_usd)],
                }
            },
            tags=scope.tags(full_name),
            opts=child,
        )
        self.register_outputs({})
