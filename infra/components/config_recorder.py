"""AWS Config: what every resource looked like when; one archive for the account, a recorder in each region."""

from collections.abc import Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from onedallmail.platform.naming import ControlScope, DataClass

from components.buckets import SecureBucket
from components.context import Scope
from components.keys import Keys
from components.log_store import LogStore

RETENTION_DAYS = 2557
"""Seven years, the longest that Config keeps configuration items."""

SERVICE = "config.amazonaws.com"
ROLE = "AWSServiceRoleForConfig"


class ConfigArchive(pulumi.ComponentResource):
    """The account's bucket for snapshots and history, and the service's own role.

    The bucket has no Object Lock: Config delivers to none that has it ("AWS::Config::DeliveryChannel", note). What must
    not be lost is copied from `bucket` to a locked one.
    """

    bucket: SecureBucket
    role_arn: pulumi.Output[str]
    bucket_name: pulumi.Output[str]
    key_arn: pulumi.Output[str]
    ready: Sequence[pulumi.Resource]

    def __init__(
        self,
        name: str,
        *,
        scope: Scope,
        region: str,
        keys: Keys,
        logs: LogStore,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("onedallmail:detection:ConfigArchive", name, None, opts)
        self.key_arn = keys.arn(DataClass.LOGS, region)
        role = aws.iam.ServiceLinkedRole(
            name,
            aws_service_name=SERVICE,
            description="AWS Config reads the configuration of all resources",
            tags=scope.tags(ROLE, DataClass.LOGS, ControlScope.EVIDENCE),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.bucket = SecureBucket(
            name,
            scope=scope,
            region=region,
            purpose="config",
            data_class=DataClass.NONE,
            key_arn=self.key_arn,
            access_log_bucket=logs.access_bucket_name,
            statements=[_deliveries(scope)],
            control_scope=ControlScope.EVIDENCE,
            opts=pulumi.ResourceOptions(parent=self),
        )
        # The name of a service's role is AWS's choice, and known before it is made.
        self.role_arn = pulumi.Output.concat(
            "arn:aws:iam::", scope.account_id, f":role/aws-service-role/{SERVICE}/{ROLE}"
        )
        self.bucket_name, self.ready = self.bucket.delivery_name, [role, *self.bucket.ready]
        self.register_outputs({"roleArn": self.role_arn, "bucketName": self.bucket_name})


class ConfigRecorder(pulumi.ComponentResource):
    """Recorder and delivery channel of a region, turned on."""

    recorder_name: pulumi.Output[str]
    running: pulumi.Resource

    def __init__(
        self,
        name: str,
        *,
        scope: Scope,
        region: str,
        home: bool,
        archive: ConfigArchive,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("onedallmail:detection:ConfigRecorder", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        recorder = aws.cfg.Recorder(
            name,
            region=region,
            name=scope.name("config"),
            role_arn=archive.role_arn,
            recording_group={"all_supported": True, "include_global_resource_types": home},
            recording_mode={"recording_frequency": "CONTINUOUS"},
            # The role is named, not referred to.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[*archive.ready]),
        )
        channel = aws.cfg.DeliveryChannel(
            name,
            region=region,
            name=scope.name("config"),
            s3_bucket_name=archive.bucket_name,
            s3_kms_key_arn=archive.key_arn,
            snapshot_delivery_properties={"delivery_frequency": "TwentyFour_Hours"},
            # Config refuses a channel before its recorder; no argument refers to it.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[recorder]),
        )
        aws.cfg.RetentionConfiguration(name, region=region, retention_period_in_days=RETENTION_DAYS, opts=child)
        self.running = aws.cfg.RecorderStatus(
            name,
            region=region,
            name=recorder.name,
            is_enabled=True,
            # A recorder starts only when there is a channel; no argument refers to it.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[channel]),
        )
        self.recorder_name = recorder.name
        self.register_outputs({"recorderName": self.recorder_name})


def _deliveries(scope: Scope) -> Any:
    """Return the statements that let Config write to a bucket, for this account only."""

    def statements(bucket_arn: pulumi.Output[str]) -> list[Any]:
        own = {"StringEquals": {"aws:SourceAccount": scope.account_id}}
        prefix = pulumi.Output.concat(bucket_arn, "/AWSLogs/", scope.account_id, "/Config/*")
        principal = {"Service": SERVICE}
        return [
            {
                "Sid": "ConfigLooks",
                "Effect": "Allow",
                "Principal": principal,
                "Action": ["s3:GetBucketAcl", "s3:ListBucket"],
                "Resource": bucket_arn,
                "Condition": own,
            },
            {
                "Sid": "ConfigWrites",
                "Effect": "Allow",
                "Principal": principal,
                "Action": "s3:PutObject",
                "Resource": prefix,
                "Condition": own,
            },
        ]

    return statements
