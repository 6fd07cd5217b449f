"""Buckets and volumes as a whole: no bucket lacks a part of its protection, no region an encryption by default."""

from collections.abc import Iterator

from onedallmail.platform.naming import DataClass

from ..catalogue import stack_rule
from ..model import AnyRule, Level, Resource, Severity, Stack
from . import storage
from .edge import BALANCER
from .stack_network import VPC

BUCKET_LOGGING = "aws:s3/bucketLogging:BucketLogging"
CONFIG_DELIVERY = "aws:cfg/deliveryChannel:DeliveryChannel"
LIFECYCLE = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
EBS_DEFAULT_KEY = "aws:ebs/defaultKmsKey:DefaultKmsKey"


def takes_logs(bucket: Resource, stack: Stack) -> bool:
    """Tell whether S3 or a balancer delivers access logs to a bucket.

    Those deliveries do not work with a default encryption under a customer key (Amazon S3, server access logging).
    """
    return bool(
        stack.naming(bucket, BUCKET_LOGGING, by="targetBucket")
        or stack.naming(bucket, *BALANCER, by="accessLogs.bucket")
    )


@stack_rule(
    "bucket-has-access-block",
    "Every bucket blocks public access",
    severity=Severity.CRITICAL,
    controls=("iso27001:A.8.3", "iso27001:A.8.12", "soc2:CC6.1", "cis-aws:3.0/2.1.4"),
    remediation="Add aws.s3.BucketPublicAccessBlock for the bucket",
    applies_to=(storage.BUCKET,),
)
def bucket_has_access_block(bucket: Resource, stack: Stack) -> Iterator[str]:
    """Source: CIS AWS 3.0, 2.1.4."""
    if not stack.naming(bucket, storage.BUCKET_BLOCK, by="bucket"):
        yield "has no block of public access"


@stack_rule(
    "bucket-has-versioning",
    "Every bucket keeps versions",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.13", "iso27001:A.5.33", "soc2:CC7.5"),
    remediation="Add aws.s3.BucketVersioning for the bucket",
    applies_to=(storage.BUCKET,),
)
def bucket_has_versioning(bucket: Resource, stack: Stack) -> Iterator[str]:
    """What is overwritten or deleted by mistake comes back."""
    if not stack.naming(bucket, storage.VERSIONING, by="bucket"):
        yield "keeps no versions"


@stack_rule(
    "bucket-customer-key",
    "Every bucket encrypts under a customer managed key",
    severity=Severity.CRITICAL,
    controls=("iso27001:A.8.24", "soc2:CC6.1"),
    remediation="Add aws.s3.BucketServerSideEncryptionConfiguration with aws:kms and the key of the data class",
    applies_to=(storage.BUCKET,),
)
def bucket_customer_key(bucket: Resource, stack: Stack) -> Iterator[str]:
    """A bucket that takes access logs of S3 or of a balancer may use AES256: AWS delivers no others."""
    found = stack.naming(bucket, storage.ENCRYPTION, by="bucket")
    if not found:
        yield "says nothing of its encryption"
    for encryption in found:
        for rule in encryption.props.each("rules"):
            algorithm = rule.get("applyServerSideEncryptionByDefault.sseAlgorithm")
            if algorithm == "AES256" and not takes_logs(bucket, stack):
                yield "encrypts under S3's own key, though no access logs are delivered to it"


@stack_rule(
    "bucket-has-policy",
    "Every bucket has a policy",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.24", "iso27001:A.8.3", "soc2:CC6.7", "cis-aws:3.0/2.1.1"),
    remediation="Add aws.s3.BucketPolicy that refuses requests without TLS 1.3",
    applies_to=(storage.BUCKET,),
)
def bucket_has_policy(bucket: Resource, stack: Stack) -> Iterator[str]:
    """What the policy has to say is checked with the policy. Source: CIS AWS 3.0, 2.1.1."""
    if not stack.naming(bucket, storage.POLICY, by="bucket"):
        yield "takes plain HTTP: it has no policy"


@stack_rule(
    "bucket-has-ownership",
    "Every bucket has access lists switched off",
    severity=Severity.MEDIUM,
    controls=("iso27001:A.8.3", "soc2:CC6.1"),
    remediation="Add aws.s3.BucketOwnershipControls with BucketOwnerEnforced",
    applies_to=(storage.BUCKET,),
)
def bucket_has_ownership(bucket: Resource, stack: Stack) -> Iterator[str]:
    """New buckets have it by default; the stack says so, that a change is seen as drift."""
    if not stack.naming(bucket, storage.OWNERSHIP, by="bucket"):
        yield "leaves the ownership of objects to the default"


@stack_rule(
    "bucket-has-access-log",
    "Access to every bucket is logged",
    severity=Severity.MEDIUM,
    controls=("iso27001:A.8.15", "soc2:CC7.2", "cis-aws:3.0/3.4"),
    remediation="Add aws.s3.BucketLogging with the log bucket of the region",
    applies_to=(storage.BUCKET,),
)
def bucket_has_access_log(bucket: Resource, stack: Stack) -> Iterator[str]:
    """A bucket that takes such logs itself would log for ever."""
    if not (stack.naming(bucket, BUCKET_LOGGING, by="bucket") or takes_logs(bucket, stack)):
        yield "its accesses are not logged"


@stack_rule(
    "bucket-has-lifecycle",
    "Every bucket clears away what is no longer needed",
    severity=Severity.LOW,
    level=Level.ADVISORY,
    controls=("iso27001:A.8.10", "iso27001:A.8.6", "soc2:CC6.5"),
    remediation="Add aws.s3.BucketLifecycleConfiguration",
    applies_to=(storage.BUCKET,),
)
def bucket_has_lifecycle(bucket: Resource, stack: Stack) -> Iterator[str]:
    """Old versions and broken uploads are data as well."""
    if not stack.naming(bucket, LIFECYCLE, by="bucket"):
        yield "keeps everything for ever"


@stack_rule(
    "evidence-locked",
    "Buckets of evidence and of logs have Object Lock",
    severity=Severity.CRITICAL,
    controls=("iso27001:A.5.28", "iso27001:A.5.33", "iso27001:A.8.15", "soc2:CC7.3"),
    remediation="Make the bucket with object_lock_enabled and add aws.s3.BucketObjectLockConfiguration",
    applies_to=(storage.BUCKET,),
)
def evidence_locked(bucket: Resource, stack: Stack) -> Iterator[str]:
    """S3 and Config deliver nothing to a bucket with a default retention, so those that take it are exempt."""
    kept = bucket.props.get("tags.DataClass") in (DataClass.EVIDENCE.value, DataClass.LOGS.value)
    exempt = takes_logs(bucket, stack) or stack.naming(bucket, CONFIG_DELIVERY, by="s3BucketName")
    if kept and not exempt and not stack.naming(bucket, storage.OBJECT_LOCK, by="bucket"):
        yield "what it holds can be deleted before its time"


@stack_rule(
    "evidence-replicated",
    "Evidence has a copy in another region",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.14", "iso27001:A.5.28", "iso27001:A.8.13", "soc2:CC7.5", "soc2:CC9.1"),
    remediation="Add aws.s3.BucketReplicationConfig to a locked bucket of another region",
    applies_to=(storage.BUCKET,),
)
def evidence_replicated(bucket: Resource, stack: Stack) -> Iterator[str]:
    """The copy itself needs none."""
    if bucket.props.get("tags.DataClass") == DataClass.EVIDENCE.value and not _is_copy(bucket, stack):
        yield from _copied_elsewhere(bucket, stack)


@stack_rule(
    "logs-replicated",
    "Locked logs have a copy in another region",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.15", "iso27001:A.8.14", "iso27001:A.5.28", "soc2:CC7.3", "soc2:CC9.1"),
    remediation="Add aws.s3.BucketReplicationConfig to a locked log bucket of another region",
    applies_to=(storage.BUCKET,),
)
def logs_replicated(bucket: Resource, stack: Stack) -> Iterator[str]:
    """A bucket that takes others' copies needs one too: S3 copies no copies, and it has logs of its own."""
    locked = stack.naming(bucket, storage.OBJECT_LOCK, by="bucket")
    if bucket.props.get("tags.DataClass") == DataClass.LOGS.value and locked:
        yield from _copied_elsewhere(bucket, stack)


def _copied_elsewhere(bucket: Resource, stack: Stack) -> Iterator[str]:
    targets = [t for r in stack.naming(bucket, storage.REPLICATION, by="bucket") for t in _targets(r, stack)]
    if not targets:
        yield "has no copy"
    elif all(target.region == bucket.region for target in targets):
        yield f"its copy lies in {bucket.region} as well"


def _targets(replication: Resource, stack: Stack) -> Iterator[Resource]:
    urns = replication.refers.get("rules", frozenset())
    for rule in replication.props.each("rules"):
        named = rule.known("destination.bucket")
        for bucket in stack.of(storage.BUCKET):
            if named in bucket.identities or bucket.urn in urns:
                yield bucket


def _is_copy(bucket: Resource, stack: Stack) -> bool:
    return any(bucket is target for r in stack.of(storage.REPLICATION) for target in _targets(r, stack))


@stack_rule(
    "region-encrypts-volumes",
    "Every region with a network encrypts new volumes under our key",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.24", "soc2:CC6.1", "cis-aws:3.0/2.2.1"),
    remediation="Add aws.ebs.EncryptionByDefault and aws.ebs.DefaultKmsKey for the region",
    applies_to=(VPC,),
)
def region_encrypts_volumes(vpc: Resource, stack: Stack) -> Iterator[str]:
    """Source: CIS AWS 3.0, 2.2.1."""
    if not stack.in_region(vpc.region, storage.EBS_DEFAULT):
        yield f"{vpc.region} does not encrypt new volumes by default"
    if not stack.in_region(vpc.region, EBS_DEFAULT_KEY):
        yield f"{vpc.region} encrypts new volumes under AWS's own key"


@stack_rule(
    "region-keeps-snapshots-private",
    "Every region with a network blocks public snapshots",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.12", "soc2:CC6.1"),
    remediation="Add aws.ebs.SnapshotBlockPublicAccess for the region",
    applies_to=(VPC,),
)
def region_keeps_snapshots_private(vpc: Resource, stack: Stack) -> Iterator[str]:
    """A snapshot holds a whole disk of mail."""
    if not stack.in_region(vpc.region, storage.EBS_SNAPSHOTS):
        yield f"{vpc.region} lets snapshots be made public"


RULES: tuple[AnyRule, ...] = (
    bucket_has_access_block,
    bucket_has_versioning,
    bucket_customer_key,
    bucket_has_policy,
    bucket_has_ownership,
    bucket_has_access_log,
    bucket_has_lifecycle,
    evidence_locked,
    evidence_replicated,
    logs_replicated,
    region_encrypts_volumes,
    region_keeps_snapshots_private,
)
