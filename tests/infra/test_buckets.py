"""Buckets: each is versioned, encrypted, private, TLS only, watched; locks and copies where they count."""

import json

import pytest

from onedallmail.cloud.iam import Request, denies

from .storage_stack import ACCOUNT, of_kind

PARTS = (
    "BucketVersioning",
    "BucketServerSideEncryptionConfiguration",
    "BucketPublicAccessBlock",
    "BucketOwnershipControls",
    "BucketPolicy",
    "BucketLifecycleConfiguration",
    "BucketNotification",
)
S3_PREFIX_LIMIT = 37


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("target", ["aws", "lab"])
def test_every_bucket_has_every_safeguard(part: str, target: str) -> None:
    buckets = of_kind("Bucket", target=target)
    assert set(of_kind(part, target=target)) == set(buckets)
    for bucket in buckets.values():
        assert len(bucket.inputs["bucketPrefix"]) <= S3_PREFIX_LIMIT


@pytest.mark.parametrize("count", [3, 5])
def test_every_region_has_a_locked_log_bucket_and_one_for_access_logs(count: int) -> None:
    buckets = of_kind("Bucket", count)
    assert sum(name.endswith("-logs") for name in buckets) == count
    assert sum(name.endswith("-access") for name in buckets) == count
    assert set(of_kind("BucketObjectLockConfiguration", count)) == {
        n for n in buckets if not n.endswith(("-access", "reports"))
    }


def test_only_buckets_whose_writers_refuse_customer_keys_are_under_keys_of_s3() -> None:
    for name, part in of_kind("BucketServerSideEncryptionConfiguration").items():
        default = part.inputs["rules"][0]["applyServerSideEncryptionByDefault"]
        assert default["sseAlgorithm"] == ("AES256" if name.endswith("-access") else "aws:kms"), name


def test_requests_are_logged_in_the_same_region_and_not_into_the_bucket_itself() -> None:
    buckets, logging = of_kind("Bucket"), of_kind("BucketLogging")
    assert set(logging) == {n for n in buckets if not n.endswith("-access")}
    for name, part in logging.items():
        target = part.inputs["targetBucket"]
        assert target.endswith("-access")
        assert buckets[target].inputs["region"] == buckets[name].inputs["region"]


def test_evidence_is_copied_with_its_lock_to_another_region_under_that_region_s_key() -> None:
    (rule,) = of_kind("BucketReplicationConfig")["evidence"].inputs["rules"]
    copy = of_kind("Bucket")["evidence-replica"].inputs
    assert rule["destination"]["bucket"] == "arn:aws:s3:::evidence-replica"
    assert rule["deleteMarkerReplication"]["status"] == "Disabled", "a deletion must not reach the copy"
    assert copy["region"] != of_kind("Bucket")["evidence"].inputs["region"]
    assert copy["objectLockEnabled"] is True
    assert rule["destination"]["encryptionConfiguration"]["replicaKmsKeyId"]


@pytest.mark.parametrize("count", [3, 5])
def test_every_region_s_locked_logs_have_a_copy_in_another_region(count: int) -> None:
    buckets, copied = of_kind("Bucket", count), of_kind("BucketReplicationConfig", count)
    by_source = {r.inputs["bucket"]: r.inputs["rules"] for r in copied.values()}
    for name in (n for n in buckets if n.endswith("-logs")):
        (rule,) = by_source[name]
        target = buckets[rule["destination"]["bucket"].removeprefix("arn:aws:s3:::")]
        assert target.inputs["region"] != buckets[name].inputs["region"], name
        assert target.inputs["objectLockEnabled"] is True, name


def test_nothing_is_emptied_with_its_bucket_but_the_access_logs_and_reports_of_a_lab() -> None:
    assert not [n for n, b in of_kind("Bucket").items() if b.inputs["forceDestroy"]]
    emptied = {n for n, b in of_kind("Bucket", target="lab").items() if b.inputs["forceDestroy"]}
    assert emptied == {n for n in of_kind("Bucket", target="lab") if n.endswith(("-access", "reports"))}


def test_nobody_is_allowed_by_a_bucket_policy_but_named_services_on_behalf_of_the_account() -> None:
    for name, part in of_kind("BucketPolicy").items():
        statements = json.loads(part.inputs["policy"])["Statement"]
        assert {"TlsOnly", "Tls12Only", "Tls13Only"} <= {s["Sid"] for s in statements}, name
        for statement in statements:
            if statement["Effect"] == "Allow" and statement["Sid"] != "ReportsWrite":
                assert set(statement["Principal"]) == {"Service"}, name
                assert statement["Condition"]["StringEquals"]["aws:SourceAccount"], name


def test_the_dkim_secret_is_under_a_customer_key_and_waits_for_its_end_except_in_a_lab() -> None:
    for target, days in (("aws", 30), ("lab", 0)):
        (secret,) = of_kind("Secret", target=target).values()
        assert secret.inputs["recoveryWindowInDays"] == days
        assert secret.inputs["kmsKeyId"]


def test_only_the_mail_servers_among_the_stack_s_own_roles_read_the_dkim_secret() -> None:
    (part,) = of_kind("SecretPolicy").values()
    assert part.inputs["blockPublicPolicy"] is True
    document = json.loads(part.inputs["policy"])
    who = f"arn:aws:iam::{ACCOUNT}:role"
    for role, account, refused in (
        (f"{who}/onedallmail-test-eu-central-1-mail", ACCOUNT, False),
        (f"{who}/onedallmail-test-eu-central-1-witness", ACCOUNT, True),
        (f"{who}/onedallmail-test-auditor", ACCOUNT, True),
        (f"{who}/onedallmail-deployment", ACCOUNT, False),
        ("arn:aws:iam::999988887777:role/onedallmail-test-eu-central-1-mail", "999988887777", True),
    ):
        context = {"aws:PrincipalArn": role, "aws:PrincipalAccount": account}
        call = Request("secretsmanager:GetSecretValue", "*", context)
        assert denies(document, call) is refused, role
