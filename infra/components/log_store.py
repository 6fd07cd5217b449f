"""Where a region's logs end up: a locked bucket under the key of logs, and one for access logs under S3's own keys."""

from collections.abc import Sequence

import pulumi

from onedallmail.platform.naming import ControlScope, DataClass

from components.bucket_policies import ACCELERATOR_REGION, Statement, access_logs, deliveries
from components.buckets import Lifetime, SecureBucket
from components.context import Scope
from components.keys import Keys

LAB_LOCK_DAYS = 1
ARCHIVE_AFTER_DAYS = 90
"""After a quarter logs are read for investigations only."""


class LogStore(pulumi.ComponentResource):
    """The region's log archive.

    `bucket` takes flow, firewall and resolver logs, trails and findings. `access_bucket` takes what application load
    balancers and S3 write about requests: both accept no bucket under a customer's key, and S3 none with a lock. It
    logs no requests to itself, which would never end; the trail's data events have them.
    """

    bucket: SecureBucket
    access_bucket: SecureBucket
    bucket_name: pulumi.Output[str]
    bucket_arn: pulumi.Output[str]
    access_bucket_name: pulumi.Output[str]
    access_bucket_arn: pulumi.Output[str]
    ready: Sequence[pulumi.Resource]

    def __init__(
        self,
        name: str,
        *,
        scope: Scope,
        region: str,
        keys: Keys,
        retention_days: int,
        accounts: Sequence[str] = (),
        organization_id: str | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """`accounts` deliver here besides this one; `organization_id` is that of a trail for all accounts."""
        super().__init__("onedallmail:storage:LogStore", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)

        def access(arn: pulumi.Output[str]) -> pulumi.Output[list[Statement]]:
            return pulumi.Output.all(arn, scope.account_id).apply(lambda v: access_logs(v[0], v[1], accounts=accounts))

        def delivery(arn: pulumi.Output[str]) -> pulumi.Output[list[Statement]]:
            return pulumi.Output.all(arn, scope.account_id).apply(
                lambda v: deliveries(
                    v[0],
                    v[1],
                    regions=(region, ACCELERATOR_REGION),
                    accounts=accounts,
                    organization=organization_id,
                )
            )

        self.access_bucket = SecureBucket(
            f"{name}-access",
            scope=scope,
            region=region,
            purpose="access",
            data_class=DataClass.LOGS,
            key_arn=None,
            lifetime=Lifetime(archive_after_days=ARCHIVE_AFTER_DAYS, expire_after_days=retention_days),
            statements=[access],
            control_scope=ControlScope.EVIDENCE,
            opts=child,
        )
        self.bucket = SecureBucket(
            f"{name}-logs",
            scope=scope,
            region=region,
            purpose="logs",
            data_class=DataClass.LOGS,
            key_arn=keys.arn(DataClass.LOGS, region),
            access_log_bucket=self.access_bucket.delivery_name,
            lifetime=Lifetime(
                lock_days=retention_days if scope.lasting else LAB_LOCK_DAYS,
                archive_after_days=ARCHIVE_AFTER_DAYS,
                expire_after_days=retention_days,
            ),
            statements=[delivery],
            control_scope=ControlScope.EVIDENCE,
            opts=child,
        )
        self.bucket_name, self.bucket_arn = self.bucket.delivery_name, self.bucket.bucket_arn
        self.access_bucket_name = self.access_bucket.delivery_name
        self.access_bucket_arn = self.access_bucket.bucket_arn
        self.ready = [*self.bucket.ready, *self.access_bucket.ready]
        self.register_outputs({"bucketName": self.bucket_name, "accessBucketName": self.access_bucket_name})
