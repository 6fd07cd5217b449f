"""The audit trail: every API call in every region, signed, encrypted, kept in the archive and readable by alarms."""

from typing import Any

import pulumi
import pulumi_aws as aws

from onedallmail.platform.naming import ControlScope, DataClass
from onedallmail.platform.stack import PROJECT

from components.context import Scope
from components.keys import Keys
from components.log_store import LogStore

TRAIL = "trail"
"""Part of the trail's name that the log archive's policy relies on."""


ALL_BUCKETS = "arn:aws:s3"
"""What CloudTrail understands as the objects of all buckets, present and future (CIS AWS Foundations 3.8, 3.9)."""


class AuditTrail(pulumi.ComponentResource):
    """A multi-Region trail with digest files, delivered to the log archive and to CloudWatch Logs."""

    trail_arn: pulumi.Output[str]
    log_group_name: pulumi.Output[str]
    log_group_arn: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        scope: Scope,
        region: str,
        keys: Keys,
        logs: LogStore,
        retention_days: int,
        management_account_id: str | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """`management_account_id` makes it the trail of an organisation, which that account owns whoever makes it."""
        super().__init__("onedallmail:detection:AuditTrail", name, None, opts)
        self._name, self._scope, self._region = name, scope, region
        self._child = pulumi.ResourceOptions(parent=self)
        self._full_name = scope.name(TRAIL)
        self._tags = scope.tags(self._full_name, DataClass.LOGS, ControlScope.EVIDENCE)
        key_arn = keys.arn(DataClass.LOGS, region)
        group = self._log_group(key_arn, retention_days)
        role, permission = self._delivery_role(group, management_account_id or scope.account_id)
        trail = aws.cloudtrail.Trail(
            name,
            region=region,
            name=self._full_name,
            s3_bucket_name=logs.bucket_name,
            kms_key_id=key_arn,
            is_multi_region_trail=True,
            is_organization_trail=management_account_id is not None,
            include_global_service_events=True,
            enable_logging=True,
            enable_log_file_validation=True,
            cloud_watch_logs_group_arn=group.arn.apply(lambda arn: f"{arn}:*"),
            cloud_watch_logs_role_arn=role.arn,
            event_selectors=[
                {
                    "include_management_events": True,
                    "read_write_type": "All",
                    "data_resources": [{"type": "AWS::S3::Object", "values": [ALL_BUCKETS]}],
                }
            ],
            insight_selectors=[{"insight_type": "ApiCallRateInsight"}, {"insight_type": "ApiErrorRateInsight"}],
            tags=self._tags,
            # CloudTrail tries a delivery when the trail is made; no argument refers to the policies that allow it.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[*logs.ready, permission], protect=scope.lasting),
        )
        self.trail_arn, self.log_group_name, self.log_group_arn = trail.arn, group.name, group.arn
        self.register_outputs({"trailArn": self.trail_arn, "logGroupName": self.log_group_name})

    def _log_group(self, key_arn: pulumi.Output[str], retention_days: int) -> aws.cloudwatch.LogGroup:
        return aws.cloudwatch.LogGroup(
            self._name,
            region=self._region,
            name=f"/{PROJECT}/{self._scope.stack}/{TRAIL}",
            retention_in_days=retention_days,
            kms_key_id=key_arn,
            tags=self._tags,
            opts=self._child,
        )

    def _delivery_role(
        self, group: aws.cloudwatch.LogGroup, owner: pulumi.Input[str]
    ) -> tuple[aws.iam.Role, aws.iam.RolePolicy]:
        """Return the role with which CloudTrail writes to the log group, and its permission."""
        role = aws.iam.Role(
            self._name,
            name=self._full_name,
            description="CloudTrail writes the audit trail to its log group",
            assume_role_policy=pulumi.Output.json_dumps(_trust(owner, self._region, self._full_name)),
            tags=self._tags,
            opts=self._child,
        )
        statement = {
            "Effect": "Allow",
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": group.arn.apply(lambda arn: f"{arn}:log-stream:*"),
        }
        permission = aws.iam.RolePolicy(
            self._name,
            name="write-trail",
            role=role.name,
            policy=pulumi.Output.json_dumps({"Version": "2012-10-17", "Statement": [statement]}),
            opts=self._child,
        )
        return role, permission


def _trust(owner: pulumi.Input[str], region: str, trail: str) -> dict[str, Any]:
    """Return the trust policy that lets CloudTrail assume the role, for one trail of one account only."""
    arn = pulumi.Output.concat(f"arn:aws:cloudtrail:{region}:", owner, f":trail/{trail}")
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "cloudtrail.amazonaws.com"},
                "Action": "sts:AssumeRole",
                "Condition": {"ArnEquals": {"aws:SourceArn": arn}, "StringEquals": {"aws:SourceAccount": owner}},
            }
        ],
    }
