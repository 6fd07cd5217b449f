"""Buckets as the platform keeps all data: versioned, encrypted, private, TLS only, logged, locked where it counts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from onedallmail.platform.naming import ControlScope, DataClass

from components.bucket_policies import SERVER_ACCESS_PREFIX, Statement, own_key_only, tls_only
from components.context import Scope

Statements = Callable[[pulumi.Output[str]], Any]
"""Makes a bucket's own statements from its ARN: a list, or an output of one."""

NAME_PREFIX_LENGTH = 37
"""Longest prefix that leaves room for the suffix which makes a bucket's name unique (63 characters in all)."""
UPLOAD_DAYS = 7
"""An upload that is not finished by then is given up."""
REPLACED_DAYS = 30
"""How long a version that was overwritten or deleted can be had back."""


@dataclass(frozen=True)
class Lifetime:
    """How long a bucket keeps what is in it, in days."""

    lock_days: int | None = None
    """Object Lock: nobody changes or deletes a version before; the lock itself can't be shortened (COMPLIANCE)."""
    archive_after_days: int | None = None
    """Moves objects to Glacier Instant Retrieval: same access, cheaper to keep, dearer to read."""
    expire_after_days: int | None = None
    """Objects end; no earlier than their lock."""


KEPT = Lifetime()


class SecureBucket(pulumi.ComponentResource):
    """One bucket; `ready` is what must exist before something is delivered to it."""

    bucket_name: pulumi.Output[str]
    bucket_arn: pulumi.Output[str]
    key_arn: pulumi.Output[str] | None
    delivery_name: pulumi.Output[str]
    """The bucket's name, known once its policy lets deliveries in: who uses it needs no `depends_on`."""
    versioning: aws.s3.BucketVersioning
    ready: Sequence[pulumi.Resource]

    def __init__(
        self,
        name: str,
        *,
        scope: Scope,
        region: str,
        purpose: str,
        data_class: DataClass,
        key_arn: pulumi.Output[str] | None,
        access_log_bucket: pulumi.Output[str] | None = None,
        lifetime: Lifetime = KEPT,
        statements: Sequence[Statements] = (),
        control_scope: ControlScope = ControlScope.PLATFORM,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Without `key_arn` objects are under keys that S3 keeps: some deliveries accept no other bucket."""
        super().__init__("onedallmail:storage:SecureBucket", name, None, opts)
        self._name, self._region = name, region
        self._child = pulumi.ResourceOptions(parent=self)
        self.key_arn = key_arn
        bucket_name = scope.name(purpose)
        bucket = aws.s3.Bucket(
            name,
            region=region,
            bucket_prefix=f"{bucket_name.lower()[: NAME_PREFIX_LENGTH - 1]}-",
            object_lock_enabled=lifetime.lock_days is not None,
            force_destroy=not scope.lasting and lifetime.lock_days is None,
            tags=scope.tags(bucket_name, data_class, control_scope),
            # Content outlives a mistaken `destroy`; a lab is removed and made again.
            opts=pulumi.ResourceOptions(parent=self, protect=scope.lasting),
        )
        self.bucket_name, self.bucket_arn = bucket.bucket, bucket.arn
        self._keep(lifetime)
        self._encrypt()
        self._close(statements)
        self._watch(purpose, access_log_bucket)
        self.register_outputs({"bucketName": self.bucket_name, "bucketArn": self.bucket_arn})

    def _keep(self, lifetime: Lifetime) -> None:
        self.versioning = aws.s3.BucketVersioning(
            self._name,
            region=self._region,
            bucket=self.bucket_name,
            versioning_configuration={"status": "Enabled"},
            opts=self._child,
        )
        # S3 refuses a lock before versioning is on, and rules for old versions need it; no argument refers to it.
        versioned = pulumi.ResourceOptions(parent=self, depends_on=[self.versioning])
        if lifetime.lock_days is not None:
            aws.s3.BucketObjectLockConfiguration(
                self._name,
                region=self._region,
                bucket=self.bucket_name,
                rule={"default_retention": {"mode": "COMPLIANCE", "days": lifetime.lock_days}},
                opts=versioned,
            )
        aws.s3.BucketLifecycleConfiguration(
            self._name, region=self._region, bucket=self.bucket_name, rules=_rules(lifetime), opts=versioned
        )

    def _encrypt(self) -> None:
        default: Any = {"sse_algorithm": "AES256"}
        if self.key_arn is not None:
            default = {"sse_algorithm": "aws:kms", "kms_master_key_id": self.key_arn}
        aws.s3.BucketServerSideEncryptionConfiguration(
            self._name,
            region=self._region,
            bucket=self.bucket_name,
            rules=[
                {
                    "apply_server_side_encryption_by_default": default,
                    "bucket_key_enabled": self.key_arn is not None,
                }
            ],
            opts=self._child,
        )

    def _close(self, statements: Sequence[Statements]) -> None:
        where: dict[str, Any] = {"region": self._region, "bucket": self.bucket_name}
        block = aws.s3.BucketPublicAccessBlock(
            self._name,
            **where,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=self._child,
        )
        aws.s3.BucketOwnershipControls(
            self._name, **where, rule={"object_ownership": "BucketOwnerEnforced"}, opts=self._child
        )
        policy = aws.s3.BucketPolicy(
            self._name,
            **where,
            policy=self._policy(statements),
            # S3 refuses two changes of a bucket's access at once ("conflicting conditional operation").
            opts=pulumi.ResourceOptions(parent=self, depends_on=[block]),
        )
        self.delivery_name = pulumi.Output.all(self.bucket_name, policy.id).apply(lambda known: str(known[0]))
        self.ready = [policy]

    def _policy(self, statements: Sequence[Statements]) -> pulumi.Output[str]:
        own = [self.bucket_arn.apply(tls_only)]
        if self.key_arn is not None:
            own.append(
                pulumi.Output.all(self.bucket_arn, self.key_arn).apply(lambda arns: [own_key_only(arns[0], arns[1])])
            )
        parts = pulumi.Output.all(*(make(self.bucket_arn) for make in statements), *own)
        return pulumi.Output.json_dumps({"Version": "2012-10-17", "Statement": parts.apply(_joined)})

    def _watch(self, purpose: str, access_log_bucket: pulumi.Output[str] | None) -> None:
        aws.s3.BucketNotification(
            self._name, region=self._region, bucket=self.bucket_name, eventbridge=True, opts=self._child
        )
        if access_log_bucket is not None:
            aws.s3.BucketLogging(
                self._name,
                region=self._region,
                bucket=self.bucket_name,
                target_bucket=access_log_bucket,
                target_prefix=f"{SERVER_ACCESS_PREFIX}/{purpose}/",
                target_object_key_format={"partitioned_prefix": {"partition_date_source": "EventTime"}},
                opts=self._child,
            )


def _joined(parts: Sequence[Sequence[Statement]]) -> list[Statement]:
    return [statement for part in parts for statement in part]


def _rules(lifetime: Lifetime) -> list[aws.s3.BucketLifecycleConfigurationRuleArgsDict]:
    rules: list[aws.s3.BucketLifecycleConfigurationRuleArgsDict] = [
        {
            "id": "unfinished-uploads",
            "status": "Enabled",
            "filter": {"prefix": ""},
            "abort_incomplete_multipart_upload": {"days_after_initiation": UPLOAD_DAYS},
        },
        {
            "id": "replaced-versions",
            "status": "Enabled",
            "filter": {"prefix": ""},
            "noncurrent_version_expiration": {"noncurrent_days": max(REPLACED_DAYS, lifetime.lock_days or 0)},
        },
    ]
    if lifetime.archive_after_days is not None:
        move: aws.s3.BucketLifecycleConfigurationRuleTransitionArgsDict = {
            "days": lifetime.archive_after_days,
            "storage_class": "GLACIER_IR",
        }
        rules.append({"id": "archive", "status": "Enabled", "filter": {"prefix": ""}, "transitions": [move]})
    if lifetime.expire_after_days is not None:
        days = max(lifetime.expire_after_days, lifetime.lock_days or 0)
        rules.append({"id": "end", "status": "Enabled", "filter": {"prefix": ""}, "expiration": {"days": days}})
    return rules
