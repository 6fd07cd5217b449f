"""Reports of AWS Backup: each day which backups, copies and restores were made, and which failed, in a bucket."""

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from onedallmail.platform.naming import ControlScope, DataClass

from components.bucket_policies import Statement
from components.buckets import Lifetime, SecureBucket
from components.context import Scope
from components.keys import Keys
from components.log_store import LogStore

SERVICE = "reports.backup.amazonaws.com"
ROLE = "AWSServiceRoleForBackupReports"
REPORTS = {"backup": "BACKUP_JOB_REPORT", "copy": "COPY_JOB_REPORT", "restore": "RESTORE_JOB_REPORT"}
FORMATS = ("CSV", "JSON")
"""For people and for programs."""


class BackupReports(pulumi.ComponentResource):
    """The service's role, the bucket that it writes to, and a report plan for each kind of job in all regions."""

    bucket_name: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        scope: Scope,
        region: str,
        regions: Sequence[str],
        keys: Keys,
        logs: LogStore,
        retention_days: int,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """`region` has the reports; they tell of `regions`."""
        super().__init__("onedallmail:backup:BackupReports", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        role = aws.iam.ServiceLinkedRole(
            name,
            aws_service_name=SERVICE,
            description="AWS Backup writes reports of its jobs",
            tags=scope.tags(ROLE, DataClass.BACKUP, ControlScope.EVIDENCE),
            opts=child,
        )
        bucket = SecureBucket(
            name,
            scope=scope,
            region=region,
            purpose="backup-reports",
            data_class=DataClass.BACKUP,
            key_arn=keys.arn(DataClass.BACKUP, region),
            access_log_bucket=logs.access_bucket_name,
            lifetime=Lifetime(expire_after_days=retention_days),
            statements=[lambda arn: pulumi.Output.all(arn, role.arn).apply(lambda v: [_delivery(v[0], v[1])])],
            control_scope=ControlScope.EVIDENCE,
            opts=child,
        )
        for job, template in REPORTS.items():
            # AWS Backup takes letters, digits and underscores here.
            plan_name = scope.name("backup", job).replace("-", "_").replace(".", "_")
            aws.backup.ReportPlan(
                f"{name}-{job}",
                region=region,
                name=plan_name,
                description=f"Each day the {job} jobs of all regions",
                report_delivery_channel={
                    "s3_bucket_name": bucket.delivery_name,
                    "s3_key_prefix": job,
                    "formats": list(FORMATS),
                },
                report_setting={"report_template": template, "regions": sorted(regions)},
                tags=scope.tags(plan_name, DataClass.BACKUP, ControlScope.EVIDENCE),
                opts=child,
            )
        self.bucket_name = bucket.bucket_name
        self.register_outputs({"bucketName": self.bucket_name})


def _delivery(bucket_arn: str, role_arn: str) -> Statement:
    """Return the statement by which the role writes (AWS Backup guide, "Creating report plans")."""
    return {
        "Sid": "ReportsWrite",
        "Effect": "Allow",
        "Principal": {"AWS": role_arn},
        "Action": "s3:PutObject",
        "Resource": f"{bucket_arn}/*",
        "Condition": {"StringEquals": {"s3:x-amz-acl": "bucket-owner-full-control"}},
    }
