"""The evidence bucket: kept by Object Lock for its time, and copied to another region with its lock."""

from collections.abc import Mapping

import pulumi

from onedallmail.platform.naming import ControlScope, DataClass

from components.buckets import Lifetime, SecureBucket
from components.context import Scope
from components.keys import Keys
from components.log_store import LogStore
from components.replication import BucketReplication


class EvidenceStore(pulumi.ComponentResource):
    """Where evidence bundles are kept so that nobody can change or delete them before their time."""

    region: str
    bucket_name: pulumi.Output[str]
    bucket_arn: pulumi.Output[str]
    replica_bucket_name: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        scope: Scope,
        region: str,
        replica_region: str,
        keys: Keys,
        logs: Mapping[str, LogStore],
        retention_days: int,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """`logs` are the log archives by region: both regions' requests are logged there."""
        super().__init__("onedallmail:evidence:EvidenceStore", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)

        def bucket(part: str, where: str, purpose: str) -> SecureBucket:
            return SecureBucket(
                part,
                scope=scope,
                region=where,
                purpose=purpose,
                data_class=DataClass.EVIDENCE,
                key_arn=keys.arn(DataClass.EVIDENCE, where),
                access_log_bucket=logs[where].access_bucket_name,
                lifetime=Lifetime(lock_days=retention_days),
                control_scope=ControlScope.EVIDENCE,
                opts=child,
            )

        kept = bucket(name, region, "evidence")
        copy = bucket(f"{name}-replica", replica_region, "evidence-replica")
        BucketReplication(
            name, scope=scope, region=region, purpose="evidence", source=kept, destination=copy, opts=child
        )
        self.region = region
        self.bucket_name, self.bucket_arn = kept.bucket_name, kept.bucket_arn
        self.replica_bucket_name = copy.bucket_name
        self.register_outputs({"bucketName": self.bucket_name, "replicaBucketName": self.replica_bucket_name})
