"""Examples for rules/storage.py."""

from typing import Any

from infra.policy.model import Resource
from infra.policy.rules import storage as rules

from .example import KEY, PLAIN_HTTP, allow, deny, example, make, policy

ALL_BLOCKED = dict.fromkeys(rules.BLOCKS, True)
BY_KEY = {"applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": KEY}}
NO_KEY = {"applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms"}}
OLD_TLS = {"NumericLessThan": {"s3:TlsVersion": "1.3"}}
TLS_ONLY = policy(deny("s3:*", PLAIN_HTTP), deny("s3:*", OLD_TLS))
DELIVERY = {"Principal": {"Service": "cloudtrail.amazonaws.com"}}
REPLICATED = {
    "id": "all",
    "status": "Enabled",
    "sourceSelectionCriteria": {"sseKmsEncryptedObjects": {"status": "Enabled"}},
    "destination": {"bucket": "arn:aws:s3:::copy", "encryptionConfiguration": {"replicaKmsKeyId": KEY}},
}


def bucket_policy(document: str) -> Resource:
    """Return a bucket policy."""
    return make(rules.POLICY, {"bucket": "b", "policy": document})


def lock(**retention: object) -> Resource:
    """Return an Object Lock configuration."""
    return make(rules.OBJECT_LOCK, {"bucket": "b", "rule": {"defaultRetention": retention}})


def replication(**changes: Any) -> Resource:
    """Return a replication with one rule."""
    return make(rules.REPLICATION, {"bucket": "b", "role": "r", "rules": [{**REPLICATED, **changes}]})


EXAMPLES = (
    example(
        "bucket-private",
        good=[make(rules.BUCKET, {"bucketPrefix": "b-"}), make(rules.BUCKET, {"acl": "private"})],
        bad=[make(rules.BUCKET, {"acl": "public-read"}), make(rules.BUCKET, {"website": {"indexDocument": "i.html"}})],
    ),
    example(
        "bucket-not-emptied",
        good=make(rules.BUCKET, {"forceDestroy": False}),
        bad=make(rules.BUCKET, {"forceDestroy": True}),
    ),
    example(
        "public-access-blocked",
        good=[make(rules.BUCKET_BLOCK, {"bucket": "b", **ALL_BLOCKED}), make(rules.ACCOUNT_BLOCK, ALL_BLOCKED)],
        bad=[
            make(rules.BUCKET_BLOCK, {"bucket": "b", **ALL_BLOCKED, "blockPublicAcls": False}),
            make(rules.ACCOUNT_BLOCK, ALL_BLOCKED, restrictPublicBuckets=None),
        ],
    ),
    example(
        "bucket-encryption-named",
        good=[
            make(rules.ENCRYPTION, {"bucket": "b", "rules": [BY_KEY]}),
            make(
                rules.ENCRYPTION,
                {"bucket": "b", "rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}}]},
            ),
        ],
        bad=[
            make(rules.ENCRYPTION, {"bucket": "b", "rules": [NO_KEY]}),
            make(rules.ENCRYPTION, {"bucket": "b", "rules": []}),
        ],
    ),
    example(
        "versioning-on",
        good=make(rules.VERSIONING, {"bucket": "b", "versioningConfiguration": {"status": "Enabled"}}),
        bad=make(rules.VERSIONING, {"bucket": "b", "versioningConfiguration": {"status": "Suspended"}}),
    ),
    example(
        "bucket-owner-enforced",
        good=make(rules.OWNERSHIP, {"bucket": "b", "rule": {"objectOwnership": "BucketOwnerEnforced"}}),
        bad=make(rules.OWNERSHIP, {"bucket": "b", "rule": {"objectOwnership": "ObjectWriter"}}),
    ),
    example(
        "bucket-policy-tls",
        good=bucket_policy(TLS_ONLY),
        bad=[
            bucket_policy(policy(deny("s3:*", OLD_TLS))),
            bucket_policy(policy(deny("s3:GetObject", PLAIN_HTTP))),
            bucket_policy(policy({**deny("s3:*", PLAIN_HTTP), "Principal": {"AWS": "arn:aws:iam::1:root"}})),
        ],
    ),
    example(
        "bucket-policy-tls13",
        good=bucket_policy(TLS_ONLY),
        bad=[
            bucket_policy(policy(deny("s3:*", PLAIN_HTTP))),
            bucket_policy(policy(deny("s3:*", {"NumericLessThan": {"s3:TlsVersion": "1.2"}}))),
        ],
    ),
    example(
        "bucket-policy-not-public",
        good=[
            bucket_policy(TLS_ONLY),
            bucket_policy(policy(allow("s3:PutObject", **DELIVERY))),
            bucket_policy(
                policy(
                    allow("s3:Get*", Principal="*", Condition={"StringEquals": {"aws:PrincipalOrgID": "o-1"}}),
                )
            ),
        ],
        bad=[
            bucket_policy(policy(allow("s3:GetObject", Principal="*"))),
            bucket_policy(policy(allow("s3:GetObject", Principal={"AWS": ["*"]}))),
            bucket_policy(
                policy(allow("s3:Get*", Principal="*", Condition={"StringLike": {"aws:PrincipalArn": "*"}})),
            ),
        ],
    ),
    example(
        "object-lock-compliance",
        good=lock(mode="COMPLIANCE", days=365),
        bad=[lock(mode="GOVERNANCE", days=365), make(rules.OBJECT_LOCK, {"bucket": "b"})],
    ),
    example(
        "object-lock-period",
        good=[lock(mode="COMPLIANCE", days=400), lock(mode="COMPLIANCE", years=1)],
        bad=[lock(mode="COMPLIANCE", days=30), make(rules.OBJECT_LOCK, {"bucket": "b"})],
    ),
    example(
        "replication-encrypted",
        good=replication(),
        bad=[
            replication(status="Disabled"),
            replication(sourceSelectionCriteria={}),
            replication(destination={"bucket": "arn:aws:s3:::copy"}),
        ],
    ),
    example(
        "volume-encrypted",
        good=make(rules.VOLUME, {"availabilityZone": "eu-central-1a", "encrypted": True, "kmsKeyId": KEY}),
        bad=[
            make(rules.VOLUME, {"availabilityZone": "eu-central-1a", "encrypted": False, "kmsKeyId": KEY}),
            make(rules.VOLUME, {"availabilityZone": "eu-central-1a", "encrypted": True}),
        ],
    ),
    example(
        "volumes-encrypted-by-default",
        good=make(rules.EBS_DEFAULT, {"enabled": True}),
        bad=make(rules.EBS_DEFAULT, {"enabled": False}),
    ),
    example(
        "snapshots-not-shared",
        good=make(rules.EBS_SNAPSHOTS, {"state": "block-all-sharing"}),
        bad=make(rules.EBS_SNAPSHOTS, {"state": "block-new-sharing"}),
    ),
)
