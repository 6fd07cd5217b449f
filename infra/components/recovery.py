"""Alarms of a server: its hardware fails and it moves to other hardware; it hangs and is started again."""

import pulumi
import pulumi_aws as aws

from onedallmail.platform.servers import Server

from components.context import Context

PERIOD_S = 60
ALARMS = (
    ("hardware", "StatusCheckFailed_System", 2, "recover", "its hardware fails: EC2 moves it"),
    ("hangs", "StatusCheckFailed_Instance", 5, "reboot", "it does not answer its own checks: EC2 restarts it"),
    ("volume", "StatusCheckFailed_AttachedEBS", 5, None, "a volume of it does not answer: people look"),
)
"""Name, metric of AWS/EC2, minutes, action of EC2, meaning. A server fences itself meanwhile: its lease runs out."""


class RecoveryAlarms(pulumi.ComponentResource):
    """The alarms of one server."""

    def __init__(
        self,
        name: str,
        *,
        context: Context,
        server: Server,
        instance_id: pulumi.Output[str],
        alerts_topic: pulumi.Output[str] | None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("onedallmail:compute:RecoveryAlarms", name, None, opts)
        told = [alerts_topic] if alerts_topic is not None else []
        for kind, metric, minutes, action, meaning in ALARMS:
            actions = [f"arn:aws:automate:{server.region}:ec2:{action}"] if action else []
            if not actions and not told:
                continue  # an alarm that nobody hears is none
            title = context.name(server.name, kind)
            aws.cloudwatch.MetricAlarm(
                f"{server.name}-{kind}",
                region=server.region,
                name=title,
                alarm_description=f"{server.fqdn}: {meaning}",
                namespace="AWS/EC2",
                metric_name=metric,
                dimensions={"InstanceId": instance_id},
                statistic="Maximum",
                comparison_operator="GreaterThanOrEqualToThreshold",
                threshold=1,
                period=PERIOD_S,
                evaluation_periods=minutes,
                treat_missing_data="missing",
                alarm_actions=[*actions, *told],
                ok_actions=told,
                tags=context.tags(title),
                opts=pulumi.ResourceOptions(parent=self),
            )
        self.register_outputs({})
