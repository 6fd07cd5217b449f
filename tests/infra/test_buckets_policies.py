"""Bucket policies: deliveries are let in, everything without TLS is refused, judged as S3 would."""

import importlib
import json
import sys
from typing import Any

import pytest

from onedallmail.cloud.iam import Request, allows, denies
from onedallmail.paths import ROOT

sys.path.append(str(ROOT / "infra"))
# infra/ is the program's own folder and no package: its modules are found at run time.
policies: Any = importlib.import_module("components.bucket_policies")

ACCOUNT, OTHER, STRANGER = "111122223333", "444455556666", "999988887777"
REGION, BUCKET = "eu-central-1", "arn:aws:s3:::onedallmail-example-logs-1"
SERVER = f"arn:aws:iam::{ACCOUNT}:role/onedallmail-example-mail"
REPLICATION = f"arn:aws:iam::{ACCOUNT}:role/onedallmail-example-replication-evidence-eu-north-1"
LINKED = f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/reports.backup.amazonaws.com/AWSServiceRoleForBackupReports"
S3_LIMIT_BYTES = 20480
"""S3: size of a bucket policy."""

DELIVERIES = [
    ("delivery.logs.amazonaws.com", "vpc/AWSLogs/{a}/vpcflowlogs/x", "arn:aws:logs:{r}:{a}:*", True),
    ("delivery.logs.amazonaws.com", "AWSLogs/{a}/network-firewall/alert/x", "arn:aws:logs:{r}:{a}:*", True),
    ("cloudtrail.amazonaws.com", "AWSLogs/{a}/CloudTrail/x", "arn:aws:cloudtrail:{r}:{a}:trail/onedallmail-x", True),
    ("guardduty.amazonaws.com", "AWSLogs/{a}/GuardDuty/x", "arn:aws:guardduty:{r}:{a}:detector/1", False),
    ("macie.amazonaws.com", "macie-test-object", "arn:aws:macie2:{r}:{a}:export-configuration:1", False),
]


def archive() -> dict[str, Any]:
    own = policies.deliveries(BUCKET, ACCOUNT, regions=[REGION], accounts=[OTHER], organization="o-abcdefghij")
    return {"Statement": [*policies.tls_only(BUCKET), *own]}


def put(document: dict[str, Any], service: str, path: str, **context: str) -> bool:
    mine = [s for s in document["Statement"] if s["Principal"] == "*" or s["Principal"].get("Service") == service]
    context = {name.replace("__", ":").replace("_", "-"): value for name, value in context.items()}
    sent = {"aws:SecureTransport": "true", "s3:TlsVersion": "1.2", "aws:PrincipalIsAWSService": "true", **context}
    return allows({"Statement": mine}, Request("s3:PutObject", f"{BUCKET}/{path}", sent))


@pytest.mark.parametrize(("service", "path", "source", "acl"), DELIVERIES)
def test_a_log_service_delivers_for_our_accounts_only(service: str, path: str, source: str, acl: bool) -> None:
    for account, allowed in ((ACCOUNT, True), (OTHER, True), (STRANGER, False)):
        context = {"aws__SourceAccount": account, "aws__SourceArn": source.format(r=REGION, a=account)}
        if acl:
            context["s3__x_amz_acl"] = "bucket-owner-full-control"
        assert put(archive(), service, path.format(a=account), **context) is allowed


def test_a_log_service_can_not_write_into_the_folder_of_another_account() -> None:
    context = {"aws__SourceAccount": ACCOUNT, "aws__SourceArn": f"arn:aws:logs:{REGION}:{ACCOUNT}:*"}
    acl = {"s3__x_amz_acl": "bucket-owner-full-control"}
    path = f"AWSLogs/{STRANGER}/vpcflowlogs/x"
    assert not put(archive(), "delivery.logs.amazonaws.com", path, **context, **acl)


def test_the_trail_of_the_organisation_has_its_folder() -> None:
    context = {
        "aws__SourceAccount": ACCOUNT,
        "aws__SourceArn": f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/onedallmail-x",
        "s3__x_amz_acl": "bucket-owner-full-control",
    }
    path = "AWSLogs/o-abcdefghij/222233334444/CloudTrail/x"
    assert put(archive(), "cloudtrail.amazonaws.com", path, **context)
    assert not put(archive(), "delivery.logs.amazonaws.com", path, **context)


def test_access_logs_come_from_our_buckets_and_load_balancers_only() -> None:
    found = {"Statement": policies.access_logs(BUCKET, ACCOUNT)}
    for account, allowed in ((ACCOUNT, True), (STRANGER, False)):
        balancer = {
            "aws__SourceAccount": account,
            "aws__SourceArn": f"arn:aws:elasticloadbalancing:{REGION}:{account}:loadbalancer/app/x/1",
        }
        path = f"web/AWSLogs/{account}/elasticloadbalancing/x"
        assert put(found, "logdelivery.elasticloadbalancing.amazonaws.com", path, **balancer) is allowed
        bucket = {"aws__SourceAccount": account, "aws__SourceArn": "arn:aws:s3:::onedallmail-example-evidence-1"}
        assert put(found, "logging.s3.amazonaws.com", "s3/evidence/x", **bucket) is allowed


@pytest.mark.parametrize(
    ("who", "service", "tls", "secure", "refused"),
    [
        (SERVER, "false", "1.3", "true", False),
        (SERVER, "false", "1.2", "true", True),
        (SERVER, "false", "1.3", "false", True),
        (REPLICATION, "false", "1.2", "true", False),
        (REPLICATION, "false", "1.1", "true", True),
        (LINKED, "false", "1.2", "true", False),
        (LINKED, "false", "1.1", "true", True),
        ("", "true", "1.2", "true", False),
        ("", "true", "1.1", "true", True),
    ],
)
def test_our_own_programs_need_tls_1_3_and_aws_needs_tls_1_2(
    who: str, service: str, tls: str, secure: str, refused: bool
) -> None:
    context = {"aws:PrincipalIsAWSService": service, "s3:TlsVersion": tls, "aws:SecureTransport": secure}
    request = Request("s3:GetObject", f"{BUCKET}/x", context | ({"aws:PrincipalArn": who} if who else {}))
    assert denies({"Statement": policies.tls_only(BUCKET)}, request) is refused


def test_an_object_under_a_foreign_key_is_refused_and_the_default_is_taken() -> None:
    found = {"Statement": [policies.own_key_only(BUCKET, "arn:key")]}
    header = "s3:x-amz-server-side-encryption-aws-kms-key-id"
    assert not denies(found, Request("s3:PutObject", f"{BUCKET}/x"))
    assert not denies(found, Request("s3:PutObject", f"{BUCKET}/x", {header: "arn:key"}))
    assert denies(found, Request("s3:PutObject", f"{BUCKET}/x", {header: "arn:other"}))


def test_policies_fit_into_s3_with_a_dozen_accounts() -> None:
    accounts = [f"{n:012d}" for n in range(12)]
    found = policies.deliveries(BUCKET, ACCOUNT, regions=[REGION, "us-west-2"], accounts=accounts)
    assert len(json.dumps(found).encode()) < S3_LIMIT_BYTES
