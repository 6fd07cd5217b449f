"""Buckets and volumes: private, encrypted under our own keys, and kept for as long as promised."""

from collections.abc import Iterator

from ..catalogue import resource_rule
from ..documents import allowed, refuses_old_tls, refuses_plain_transport
from ..model import AnyRule, Resource, Severity
from ..values import is_true

BUCKET = "aws:s3/bucket:Bucket"
BUCKET_BLOCK = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
ACCOUNT_BLOCK = "aws:s3/accountPublicAccessBlock:AccountPublicAccessBlock"
ENCRYPTION = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
VERSIONING = "aws:s3/bucketVersioning:BucketVersioning"
OWNERSHIP = "aws:s3/bucketOwnershipControls:BucketOwnershipControls"
POLICY = "aws:s3/bucketPolicy:BucketPolicy"
OBJECT_LOCK = "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration"
REPLICATION = "aws:s3/bucketReplicationConfig:BucketReplicationConfig"
VOLUME = "aws:ebs/volume:Volume"
EBS_DEFAULT = "aws:ebs/encryptionByDefault:EncryptionByDefault"
EBS_SNAPSHOTS = "aws:ebs/snapshotBlockPublicAccess:SnapshotBlockPublicAccess"
BLOCKS = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
SHORTEST_LOCK_DAYS = 365
OBSOLETE = ("acl", "grants", "policy", "website")
INLINE_ELSEWHERE = "set it through the resource of its own, which the other rules check"


@resource_rule(
    "bucket-private",
    "No bucket is opened by an access list, a grant or a website",
    severity=Severity.CRITICAL,
    controls=("iso27001:A.8.3", "iso27001:A.8.12", "soc2:CC6.1", "cis-aws:3.0/2.1.4"),
    remediation="Drop the argument; access is given by IAM and the bucket's policy",
    applies_to=(BUCKET,),
)
def bucket_private(bucket: Resource) -> Iterator[str]:
    """Access lists predate policies and are off with owner-enforced ownership."""
    for name in OBSOLETE:
        value = bucket.props.get(name)
        if value and value != "private":
            yield f"sets {name} on the bucket itself: {INLINE_ELSEWHERE}"


@resource_rule(
    "bucket-not-emptied",
    "No bucket is emptied by the deletion of its resource",
    severity=Severity.HIGH,
    controls=("iso27001:A.5.33", "iso27001:A.8.13", "soc2:CC6.5", "soc2:CC7.5"),
    remediation="Set force_destroy to false",
    applies_to=(BUCKET,),
)
def bucket_not_emptied(bucket: Resource) -> Iterator[str]:
    """A bucket with content must stop a destroy."""
    if is_true(bucket.props.get("forceDestroy")):
        yield "loses all its objects with the resource"


@resource_rule(
    "public-access-blocked",
    "Public access to buckets is blocked in all four ways",
    severity=Severity.CRITICAL,
    controls=("iso27001:A.8.3", "iso27001:A.8.12", "soc2:CC6.1", "soc2:CC6.6", "cis-aws:3.0/2.1.4"),
    remediation="Set all four settings of the block to true",
    applies_to=(BUCKET_BLOCK, ACCOUNT_BLOCK),
)
def public_access_blocked(block: Resource) -> Iterator[str]:
    """Source: CIS AWS 3.0, 2.1.4; for the account as well as for each bucket."""
    for name in BLOCKS:
        if not is_true(block.props.get(name)):
            yield f"{name} is off"


@resource_rule(
    "bucket-encryption-named",
    "A bucket's default encryption is under a KMS key that is named",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.24", "soc2:CC6.1"),
    remediation="Use aws:kms with the key of the data class; AES256 is for targets of S3 and load balancer logs only",
    applies_to=(ENCRYPTION,),
)
def bucket_encryption_named(encryption: Resource) -> Iterator[str]:
    """Whether AES256 is justified at this bucket, the whole-stack rule bucket-customer-key decides."""
    found = list(encryption.props.each("rules"))
    if not found:
        yield "has no rule"
    for rule in found:
        algorithm = rule.get("applyServerSideEncryptionByDefault.sseAlgorithm")
        if algorithm in ("aws:kms", "aws:kms:dsse"):
            if not rule.get("applyServerSideEncryptionByDefault.kmsMasterKeyId"):
                yield "leaves the key to AWS"
        elif algorithm != "AES256":
            yield f"encrypts by {algorithm}"


@resource_rule(
    "versioning-on",
    "Versioning of a bucket is on",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.13", "iso27001:A.5.33", "soc2:CC7.5"),
    remediation="Set the versioning status to Enabled",
    applies_to=(VERSIONING,),
)
def versioning_on(versioning: Resource) -> Iterator[str]:
    """An overwritten object must be recoverable."""
    if (status := versioning.props.get("versioningConfiguration.status")) != "Enabled":
        yield f"its status is {status}"


@resource_rule(
    "bucket-owner-enforced",
    "Every object belongs to the bucket's owner; access lists are off",
    severity=Severity.MEDIUM,
    controls=("iso27001:A.8.3", "soc2:CC6.1"),
    remediation="Set object_ownership to BucketOwnerEnforced",
    applies_to=(OWNERSHIP,),
)
def bucket_owner_enforced(controls: Resource) -> Iterator[str]:
    """Source: Amazon S3, controlling ownership of objects."""
    if (ownership := controls.props.get("rule.objectOwnership")) != "BucketOwnerEnforced":
        yield f"ownership is {ownership}"


@resource_rule(
    "bucket-policy-tls",
    "A bucket refuses requests without TLS",
    severity=Severity.CRITICAL,
    controls=("iso27001:A.8.24", "iso27001:A.5.14", "soc2:CC6.7", "cis-aws:3.0/2.1.1"),
    remediation="Deny s3:* to * where aws:SecureTransport is false",
    applies_to=(POLICY,),
)
def bucket_policy_tls(policy: Resource) -> Iterator[str]:
    """Source: CIS AWS 3.0, 2.1.1."""
    if not refuses_plain_transport(policy.props.document("policy"), "s3"):
        yield "no statement refuses plain HTTP to everybody"


@resource_rule(
    "bucket-policy-tls13",
    "A bucket refuses TLS below 1.3",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.24", "iso27001:A.5.14", "soc2:CC6.7"),
    remediation="Deny s3:* to * where s3:TlsVersion is numerically less than 1.3",
    applies_to=(POLICY,),
)
def bucket_policy_tls13(policy: Resource) -> Iterator[str]:
    """AWS's own log deliveries carry no such key and are not hindered."""
    if not refuses_old_tls(policy.props.document("policy"), "s3", "s3:TlsVersion", "1.3"):
        yield "no statement refuses older TLS to everybody"


@resource_rule(
    "bucket-policy-not-public",
    "No bucket policy lets everybody in",
    severity=Severity.CRITICAL,
    controls=("iso27001:A.8.3", "iso27001:A.8.12", "soc2:CC6.1", "cis-aws:3.0/2.1.4"),
    remediation="Name the principals, or bind the statement by aws:SourceAccount, aws:PrincipalOrgID or a VPC endpoint",
    applies_to=(POLICY,),
)
def bucket_policy_not_public(policy: Resource) -> Iterator[str]:
    """A public statement is a leak, whatever the block of public access would still hold back."""
    for statement in allowed(policy.props.document("policy")):
        if statement.open_to_all:
            yield f"statement {statement.sid or '(no Sid)'} allows everybody {', '.join(statement.actions)}"


@resource_rule(
    "object-lock-compliance",
    "Object Lock is in COMPLIANCE mode",
    severity=Severity.CRITICAL,
    controls=("iso27001:A.5.28", "iso27001:A.5.33", "iso27001:A.8.15", "soc2:CC7.3"),
    remediation="Set the default retention's mode to COMPLIANCE",
    applies_to=(OBJECT_LOCK,),
)
def object_lock_compliance(lock: Resource) -> Iterator[str]:
    """GOVERNANCE can be lifted by whoever holds one permission; evidence must not be."""
    if (mode := lock.props.get("rule.defaultRetention.mode")) != "COMPLIANCE":
        yield f"its mode is {mode}"


@resource_rule(
    "object-lock-period",
    "Object Lock keeps objects for a year or longer",
    severity=Severity.HIGH,
    controls=("iso27001:A.5.33", "iso27001:A.8.15", "soc2:CC7.3"),
    remediation=f"Keep for {SHORTEST_LOCK_DAYS} days or more; audits look back a year",
    applies_to=(OBJECT_LOCK,),
)
def object_lock_period(lock: Resource) -> Iterator[str]:
    """A SOC 2 report covers a year."""
    retention = lock.props
    days = int(retention.get("rule.defaultRetention.days") or 0)
    days += SHORTEST_LOCK_DAYS * int(retention.get("rule.defaultRetention.years") or 0)
    if days < SHORTEST_LOCK_DAYS:
        yield f"keeps for {days} days"


@resource_rule(
    "replication-encrypted",
    "Replicas are encrypted under a key of their own region",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.24", "iso27001:A.8.14", "soc2:CC6.1"),
    remediation="Select KMS-encrypted objects and name replica_kms_key_id in the destination",
    applies_to=(REPLICATION,),
)
def replication_encrypted(replication: Resource) -> Iterator[str]:
    """Without the selection, encrypted objects are silently left out."""
    for rule in replication.props.each("rules"):
        if rule.get("status") != "Enabled":
            yield f"rule {rule.get('id')} is not enabled"
        if rule.get("sourceSelectionCriteria.sseKmsEncryptedObjects.status") != "Enabled":
            yield f"rule {rule.get('id')} leaves encrypted objects out"
        if not rule.get("destination.encryptionConfiguration.replicaKmsKeyId"):
            yield f"rule {rule.get('id')} names no key for the replicas"


@resource_rule(
    "volume-encrypted",
    "A volume is encrypted under a customer managed key",
    severity=Severity.CRITICAL,
    controls=("iso27001:A.8.24", "soc2:CC6.1", "cis-aws:3.0/2.2.1"),
    remediation="Set encrypted and kms_key_id",
    applies_to=(VOLUME,),
)
def volume_encrypted(volume: Resource) -> Iterator[str]:
    """Volumes of instances are checked with the instances."""
    if not is_true(volume.props.get("encrypted")):
        yield "is not encrypted"
    if not volume.props.get("kmsKeyId"):
        yield "names no key"


@resource_rule(
    "volumes-encrypted-by-default",
    "New volumes of a region are encrypted by default",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.24", "soc2:CC6.1", "cis-aws:3.0/2.2.1"),
    remediation="Set enabled to true",
    applies_to=(EBS_DEFAULT,),
)
def volumes_encrypted_by_default(default: Resource) -> Iterator[str]:
    """Source: CIS AWS 3.0, 2.2.1. The provider's default is on."""
    if default.props.get("enabled") is False:
        yield "is off"


@resource_rule(
    "snapshots-not-shared",
    "No volume snapshot can be made public",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.12", "soc2:CC6.1"),
    remediation="Set the state to block-all-sharing",
    applies_to=(EBS_SNAPSHOTS,),
)
def snapshots_not_shared(block: Resource) -> Iterator[str]:
    """block-new-sharing would leave what is public already."""
    if (state := block.props.get("state")) != "block-all-sharing":
        yield f"its state is {state}"


RULES: tuple[AnyRule, ...] = (
    bucket_private,
    bucket_not_emptied,
    public_access_blocked,
    bucket_encryption_named,
    versioning_on,
    bucket_owner_enforced,
    bucket_policy_tls,
    bucket_policy_tls13,
    bucket_policy_not_public,
    object_lock_compliance,
    object_lock_period,
    replication_encrypted,
    volume_encrypted,
    volumes_encrypted_by_default,
    snapshots_not_shared,
)
