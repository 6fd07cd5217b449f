"""Examples for rules/stack_storage.py."""

from infra.policy.model import Resource
from infra.policy.rules import edge, storage
from infra.policy.rules import stack_storage as rules
from infra.policy.rules.stack_network import VPC

from .example import KEY, TAGS, example, make

BUCKET = make(storage.BUCKET, {"bucket": "data"})
EVIDENCE = make(storage.BUCKET, {"bucket": "data", "tags": {**TAGS, "DataClass": "evidence"}})
LOGS = make(storage.BUCKET, {"bucket": "data", "tags": {**TAGS, "DataClass": "logs"}})
COPY = make(storage.BUCKET, {"bucket": "copy", "tags": {**TAGS, "DataClass": "evidence"}, "region": "eu-west-1"})
NEAR = make(storage.BUCKET, {"bucket": "copy", "tags": {**TAGS, "DataClass": "evidence"}})
DELIVERED = make(rules.BUCKET_LOGGING, {"bucket": "other", "targetBucket": "data", "targetPrefix": "other/"})
NETWORK = make(VPC, {"cidrBlock": "10.10.0.0/16"})
REPLICATION = make(storage.REPLICATION, {"bucket": "data", "role": "r", "rules": [{"destination": {"bucket": "copy"}}]})
BY_DEFAULT = make(storage.EBS_DEFAULT, {"enabled": True})
DEFAULT_KEY = make(rules.EBS_DEFAULT_KEY, {"keyArn": KEY})
LOCK = make(storage.OBJECT_LOCK, {"bucket": "data"})


def encryption(algorithm: str) -> Resource:
    """Return the bucket's encryption."""
    default = {"sseAlgorithm": algorithm}
    return make(storage.ENCRYPTION, {"bucket": "data", "rules": [{"applyServerSideEncryptionByDefault": default}]})


def part(token: str, bucket: str = "data", **more: object) -> Resource:
    """Return a part of a bucket."""
    return make(token, {"bucket": bucket, **more})


BALANCER_LOGS = make(edge.BALANCER[0], {"accessLogs": {"enabled": True, "bucket": "data"}})
CONFIG = make(rules.CONFIG_DELIVERY, {"s3BucketName": "data"})
LOGGED = part(rules.BUCKET_LOGGING, targetBucket="logs", targetPrefix="data/")

EXAMPLES = (
    example(
        "bucket-has-access-block",
        good=[[BUCKET, part(storage.BUCKET_BLOCK)]],
        bad=[BUCKET, [BUCKET, part(storage.BUCKET_BLOCK, "other")]],
    ),
    example(
        "bucket-has-versioning",
        good=[[BUCKET, part(storage.VERSIONING, versioningConfiguration={"status": "Enabled"})]],
        bad=[BUCKET],
    ),
    example(
        "bucket-customer-key",
        good=[
            [BUCKET, encryption("aws:kms")],
            [BUCKET, encryption("AES256"), DELIVERED],
            [BUCKET, encryption("AES256"), BALANCER_LOGS],
        ],
        bad=[BUCKET, [BUCKET, encryption("AES256")]],
    ),
    example("bucket-has-policy", good=[[BUCKET, part(storage.POLICY, policy="{}")]], bad=[BUCKET]),
    example(
        "bucket-has-ownership",
        good=[[BUCKET, part(storage.OWNERSHIP, rule={"objectOwnership": "BucketOwnerEnforced"})]],
        bad=[BUCKET],
    ),
    example("bucket-has-access-log", good=[[BUCKET, LOGGED], [BUCKET, DELIVERED]], bad=[BUCKET]),
    example("bucket-has-lifecycle", good=[[BUCKET, part(rules.LIFECYCLE, rules=[])]], bad=[BUCKET]),
    example(
        "evidence-locked",
        good=[[EVIDENCE, LOCK], [LOGS, LOCK], [LOGS, DELIVERED], [LOGS, CONFIG], BUCKET],
        bad=[EVIDENCE, LOGS],
    ),
    example(
        "evidence-replicated",
        good=[[EVIDENCE, REPLICATION, COPY], [COPY, REPLICATION, EVIDENCE], BUCKET],
        bad=[EVIDENCE, [EVIDENCE, REPLICATION, NEAR], [EVIDENCE, REPLICATION]],
    ),
    example(
        "logs-replicated",
        good=[[LOGS, LOCK, REPLICATION, COPY], LOGS, [EVIDENCE, LOCK], [BUCKET, LOCK]],
        bad=[[LOGS, LOCK], [LOGS, LOCK, REPLICATION, NEAR], [LOGS, LOCK, REPLICATION]],
    ),
    example(
        "region-encrypts-volumes",
        good=[[NETWORK, BY_DEFAULT, DEFAULT_KEY]],
        bad=[NETWORK, [NETWORK, BY_DEFAULT], [NETWORK, DEFAULT_KEY]],
    ),
    example(
        "region-keeps-snapshots-private",
        good=[[NETWORK, make(storage.EBS_SNAPSHOTS, {"state": "block-all-sharing"})]],
        bad=[
            NETWORK,
            [NETWORK, make(storage.EBS_SNAPSHOTS, {"state": "block-all-sharing", "region": "eu-west-1"})],
        ],
    ),
)
