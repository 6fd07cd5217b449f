"""The evidence bucket: versioned, encrypted, kept by Object Lock, reachable over TLS only."""

import json
from typing import Any

import pulumi
import pulumi_aws as aws

from onedallmail.platform.naming import ControlScope, DataClass

from components.context import Context


class EvidenceStore(pulumi.ComponentResource):
    """Where evidence bundles are kept so that nobody can change or delete them before their time."""

    bucket_name: pulumi.Output[str]
    bucket_arn: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        scope,
        region: str,
        replica_region, keys, logs, retention_days,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("onedallmail:evidence:EvidenceStore", name, None, opts)
        self._child = pulumi.ResourceOptions(parent=self)
        context=scope; kms_key_arn=keys.arn(DataClass.EVIDENCE, region); self.region=region
        self._name, self._region = name, region
        bucket_name = context.name("evidence")
        bucket = aws.s3.Bucket(
            name,
            region=region,
            bucket_prefix=f"{bucket_name}-",
            object_lock_enabled=True,
            force_destroy=False,
            tags=context.tags(bucket_name, DataClass.EVIDENCE, ControlScope.EVIDENCE),
            opts=self._child,
        )
        self.bucket_name, self.bucket_arn = bucket.bucket, bucket.arn
        self._keep(retention_days)
        self._encrypt(kms_key_arn)
        self._close()
        self.register_outputs({"bucketName": self.bucket_name})

    def _keep(self, days: int) -> None:
        versioning = aws.s3.BucketVersioning(
            self._name,
            region=self._region,
            bucket=self.bucket_name,
            versioning_configuration={"status": "Enabled"},
            opts=self._child,
        )
        aws.s3.BucketObjectLockConfiguration(
            self._name,
            region=self._region,
            bucket=self.bucket_name,
            rule={"default_retention": {"mode": "COMPLIANCE", "days": days}},
            # S3 refuses a lock configuration before versioning is on; no argument refers to it.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[versioning]),
        )

    def _encrypt(self, kms_key_arn: pulumi.Output[str]) -> None:
        aws.s3.BucketServerSideEncryptionConfiguration(
            self._name,
            region=self._region,
            bucket=self.bucket_name,
            rules=[
                {
                    "apply_server_side_encryption_by_default": {
                        "sse_algorithm": "aws:kms",
                        "kms_master_key_id": kms_key_arn,
                    },
                    "bucket_key_enabled": True,
                }
            ],
            opts=self._child,
        )

    def _close(self) -> None:
        aws.s3.BucketPublicAccessBlock(
            self._name,
            region=self._region,
            bucket=self.bucket_name,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=self._child,
        )
        aws.s3.BucketPolicy(
            self._name,
            region=self._region,
            bucket=self.bucket_name,
            policy=self.bucket_arn.apply(lambda arn: json.dumps(_tls_only(arn))),
            opts=self._child,
        )


def _tls_only(bucket_arn: str) -> dict[str, Any]:
    """Return a bucket policy that refuses requests without TLS 1.3."""
    resources = [bucket_arn, f"{bucket_arn}/*"]
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "TlsOnly",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": resources,
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            },
            {
                "Sid": "Tls13Only",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": resources,
                "Condition": {"NumericLessThan": {"s3:TlsVersion": "1.3"}},
            },
        ],
    }
