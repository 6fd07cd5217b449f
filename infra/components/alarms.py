"""Alarms on events in the trail: those that the CIS AWS Foundations Benchmark names, and the platform's own."""

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from onedallmail.platform.naming import ControlScope, DataClass

from components.cis_filters import TRAIL_FILTERS, TrailFilter
from components.context import Scope

NAMESPACE = "Onedallmail/Trail"
PERIOD_S = 300


class CisAlarms(pulumi.ComponentResource):
    """A metric filter on the trail's log group and an alarm for each filter."""

    alarm_arns: pulumi.Output[Sequence[str]]

    def __init__(
        self,
        name: str,
        *,
        scope: Scope,
        region: str,
        log_group_name: pulumi.Input[str],
        topic_arn: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("onedallmail:detection:CisAlarms", name, None, opts)
        self._scope, self._region, self._topic_arn = scope, region, topic_arn
        self._child = pulumi.ResourceOptions(parent=self)
        alarms = [self._alarm(f"{name}-{f.name}", f, log_group_name) for f in TRAIL_FILTERS]
        self.alarm_arns = pulumi.Output.all(*(alarm.arn for alarm in alarms))
        self.register_outputs({"alarmArns": self.alarm_arns})

    def _alarm(self, name: str, event: TrailFilter, log_group_name: pulumi.Input[str]) -> aws.cloudwatch.MetricAlarm:
        full_name = self._scope.name("trail", event.name)
        aws.cloudwatch.LogMetricFilter(
            name,
            region=self._region,
            name=full_name,
            log_group_name=log_group_name,
            pattern=event.pattern,
            metric_transformation={"name": full_name, "namespace": NAMESPACE, "value": "1"},
            opts=self._child,
        )
        source = f"CIS AWS Foundations {event.control}" if event.control else "platform"
        return aws.cloudwatch.MetricAlarm(
            name,
            region=self._region,
            name=full_name,
            alarm_description=f"{event.title} ({source})",
            namespace=NAMESPACE,
            metric_name=full_name,
            statistic="Sum",
            period=PERIOD_S,
            evaluation_periods=1,
            comparison_operator="GreaterThanOrEqualToThreshold",
            threshold=1,
            treat_missing_data="notBreaching",
            alarm_actions=[self._topic_arn],
            tags=self._scope.tags(full_name, DataClass.LOGS, ControlScope.EVIDENCE),
            opts=self._child,
        )
