"""Service control policies and permission boundaries refuse what they shall, and nothing that the platform does."""

import importlib
import json
import sys
from typing import Any

import pytest

from onedallmail.cloud.iam import Request, allows, denies
from onedallmail.paths import ROOT
from onedallmail.platform.regions import AWS_REGIONS

sys.path.append(str(ROOT / "infra"))
# infra/ is the program's own folder and no package: its modules are found at run time.
boundaries: Any = importlib.import_module("components.boundary_documents")
documents: Any = importlib.import_module("components.guardrail")
resource_control: Any = importlib.import_module("components.resource_control")
scps: Any = importlib.import_module("components.service_control")

REGIONS = ("eu-central-1", "eu-west-1", "eu-north-1")
ACCOUNT = "333333333333"
PERSON = f"arn:aws:iam::{ACCOUNT}:role/administrator"
DEPLOYMENT = f"arn:aws:iam::{ACCOUNT}:role/onedallmail-deployment"
BREAK_GLASS = f"arn:aws:iam::{ACCOUNT}:role/onedallmail-break-glass"
RESPONDER = f"arn:aws:iam::{ACCOUNT}:role/onedallmail-incident-responder"
ROOT_USER = f"arn:aws:iam::{ACCOUNT}:root"
BUCKET = "arn:aws:s3:::onedallmail-example-logs-1"
KEY = f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/1"
INSTANCE = f"arn:aws:ec2:eu-central-1:{ACCOUNT}:instance/*"
VOLUME = f"arn:aws:ec2:eu-central-1:{ACCOUNT}:volume/*"
ROLE = f"arn:aws:iam::{ACCOUNT}:role"


def request(action: str, resource: str = "*", who: str = PERSON, region: str = "eu-central-1", **more: str) -> Request:
    """A call of a person in one of the platform's regions, unless said otherwise; `__` stands for `:` in keys."""
    keys = {name.replace("__", ":").replace("_", "-"): value for name, value in more.items()}
    return Request(action, resource, {"aws:PrincipalArn": who, "aws:RequestedRegion": region, **keys})


def refused(call: Request) -> list[str]:
    """Return the names of the root's guardrails that refuse a call."""
    return [g.name for g in scps.guardrails(REGIONS) if denies(json.loads(g.content), call)]


TLS = {"aws__SecureTransport": "true"}

REFUSED = [
    ("protect-detection", request("organizations:LeaveOrganization", who=DEPLOYMENT)),
    ("protect-detection", request("cloudtrail:StopLogging")),
    ("protect-detection", request("cloudtrail:DeleteTrail", who=BREAK_GLASS)),
    ("protect-detection", request("config:StopConfigurationRecorder")),
    ("protect-detection", request("guardduty:DeleteDetector")),
    ("protect-detection", request("guardduty:UpdateDetector")),
    ("protect-detection", request("securityhub:DisableSecurityHub")),
    ("protect-detection", request("macie2:DisableMacie")),
    ("protect-detection", request("inspector2:Disable")),
    ("protect-detection", request("access-analyzer:DeleteAnalyzer")),
    ("protect-detection", request("events:DisableRule", f"arn:aws:events:eu-central-1:{ACCOUNT}:rule/onedallmail-x")),
    ("protect-detection", request("iam:UpdateAssumeRolePolicy", f"{ROLE}/onedallmail-break-glass")),
    ("protect-detection", request("iam:AttachRolePolicy", f"{ROLE}/onedallmail-deployment", who=DEPLOYMENT)),
    ("protect-evidence", request("s3:DeleteBucket", BUCKET)),
    ("protect-evidence", request("s3:PutBucketVersioning", BUCKET)),
    ("protect-evidence", request("s3:PutBucketPolicy", BUCKET)),
    ("protect-evidence", request("s3:PutBucketObjectLockConfiguration", BUCKET)),
    ("protect-evidence", request("s3:BypassGovernanceRetention", f"{BUCKET}/a", who=DEPLOYMENT)),
    ("protect-evidence", request("s3:DeleteObjectVersion", f"{BUCKET}/a", who=DEPLOYMENT)),
    ("protect-evidence", request("kms:ScheduleKeyDeletion", KEY, who=DEPLOYMENT)),
    ("protect-evidence", request("kms:DisableKey", KEY)),
    ("protect-evidence", request("kms:PutKeyPolicy", KEY)),
    ("protect-evidence", request("kms:CreateGrant", KEY, kms__GrantIsForAWSResource="false")),
    ("protect-evidence", request("backup:DeleteRecoveryPoint", who=DEPLOYMENT)),
    ("protect-evidence", request("backup:DeleteBackupVault")),
    ("protect-evidence", request("ec2:DeleteFlowLogs")),
    ("protect-evidence", request("route53:DisableHostedZoneDNSSEC")),
    ("protect-evidence", request("logs:DeleteLogGroup", f"arn:aws:logs:eu-west-1:{ACCOUNT}:log-group:/onedallmail/a")),
    ("limit-regions", request("ec2:RunInstances", INSTANCE, who=DEPLOYMENT, region="ap-southeast-2")),
    ("limit-regions", request("kms:CreateKey", region="eu-south-1")),
    ("limit-regions", request("ec2:RunInstances", INSTANCE, region="us-east-1", ec2__MetadataHttpTokens="required")),
    ("limit-regions", request("s3:GetObject", who=ROOT_USER)),
    ("limit-regions", request("iam:CreateAccessKey", who=ROOT_USER)),
    ("require-encryption", request("ec2:RunInstances", VOLUME, ec2__Encrypted="false")),
    ("require-encryption", request("ec2:CreateVolume", VOLUME, who=DEPLOYMENT, ec2__Encrypted="false")),
    ("require-encryption", request("ec2:DisableEbsEncryptionByDefault")),
    ("require-encryption", request("s3:GetObject", f"{BUCKET}/a", aws__SecureTransport="false")),
    ("require-encryption", request("s3:PutBucketAcl", "arn:aws:s3:::other", s3__x_amz_acl="public-read")),
    ("require-encryption", request("s3:PutAccountPublicAccessBlock")),
    ("require-encryption", request("ec2:RunInstances", INSTANCE, ec2__MetadataHttpTokens="optional")),
    ("require-encryption", request("ec2:RunInstances", INSTANCE)),
    ("require-encryption", request("s3:ListBucket", BUCKET, ec2__RoleDelivery="1.0")),
    ("require-encryption", request("ram:CreateResourceShare", ram__RequestedAllowsExternalPrincipals="true")),
    ("require-encryption", request("iam:CreateAccessKey", f"arn:aws:iam::{ACCOUNT}:user/someone")),
]


@pytest.mark.parametrize(("guardrail", "call"), REFUSED, ids=lambda v: v.action if isinstance(v, Request) else v)
def test_a_guardrail_refuses_what_would_weaken_the_platform(guardrail: str, call: Request) -> None:
    assert guardrail in refused(call), "the policy of that name has to refuse it"


@pytest.mark.parametrize(
    "call",
    [
        request("ec2:ModifySnapshotAttribute", **{"ec2__Add/group": "all"}),
        request("ec2:ModifyImageAttribute", who=DEPLOYMENT, **{"ec2__Add/group": "all"}),
    ],
    ids=lambda call: call.action,
)
def test_snapshots_and_images_are_shared_with_nobody(call: Request) -> None:
    assert refused(call) == ["require-encryption"]


PERMITTED = [
    request("ec2:DescribeInstances"),
    request("ec2:RunInstances", INSTANCE, ec2__MetadataHttpTokens="required", ec2__MetadataHttpPutResponseHopLimit="1"),
    request("ec2:RunInstances", VOLUME, who=DEPLOYMENT, ec2__Encrypted="true"),
    request("s3:PutObject", f"{BUCKET}/a", aws__SecureTransport="true"),
    request("s3:PutObject", f"{BUCKET}/a", s3__x_amz_server_side_encryption="aws:kms", **TLS),
    request("s3:PutObject", f"{BUCKET}/a", ec2__RoleDelivery="2.0", **TLS),
    request("s3:PutBucketPolicy", BUCKET, who=DEPLOYMENT, **TLS),
    request("cloudtrail:UpdateTrail", who=DEPLOYMENT),
    request("cloudtrail:LookupEvents"),
    request("kms:GenerateDataKey", KEY),
    request("kms:CreateGrant", KEY, kms__GrantIsForAWSResource="true"),
    request("kms:ScheduleKeyDeletion", KEY, who=BREAK_GLASS),
    request("kms:CreateKey", who=DEPLOYMENT, region="us-east-1"),
    request("logs:CreateLogGroup", who=DEPLOYMENT, region="us-east-1"),
    request("route53:ChangeResourceRecordSets", who=DEPLOYMENT, region="us-east-1"),
    request("globalaccelerator:CreateAccelerator", who=DEPLOYMENT, region="us-west-2"),
    request("iam:CreateRole", f"{ROLE}/onedallmail-example-server", who=DEPLOYMENT, region="us-east-1"),
    request("sts:AssumeRole", f"{ROLE}/auditor", region="us-east-1"),
    request("iam:DeleteLoginProfile", who=ROOT_USER, aws__AssumedRoot="true"),
    request("backup:StartBackupJob"),
]


@pytest.mark.parametrize("call", PERMITTED, ids=lambda call: f"{call.action} {call.context['aws:RequestedRegion']}")
def test_no_guardrail_refuses_what_the_platform_does(call: Request) -> None:
    assert refused(call) == []


def test_an_object_may_not_ask_for_weaker_encryption_than_its_bucket_has() -> None:
    call = request("s3:PutObject", f"{BUCKET}/a", s3__x_amz_server_side_encryption="AES256", **TLS)
    assert refused(call) == ["require-encryption"]


def test_a_region_of_the_list_that_is_us_east_1_is_open_for_everything() -> None:
    document = json.loads(scps.limit_regions(["us-east-1", "us-west-2"]).content)
    assert not denies(document, request("ec2:RunInstances", INSTANCE, region="us-east-1"))
    assert denies(document, request("ec2:RunInstances", INSTANCE, region="us-east-2"))


OURS, THEIRS = "o-abcdefghij", "o-strangers1"
PERSON_OF_OURS: dict[str, str] = {"aws__PrincipalOrgID": OURS, "aws__PrincipalIsAWSService": "false", **TLS}
SERVICE: dict[str, str] = {"aws__PrincipalIsAWSService": "true", **TLS}


@pytest.mark.parametrize(
    ("context", "stopped"),
    [
        (PERSON_OF_OURS, False),
        ({**PERSON_OF_OURS, "aws__SecureTransport": "false"}, True),
        ({**PERSON_OF_OURS, "aws__PrincipalOrgID": THEIRS}, True),
        ({"aws__PrincipalIsAWSService": "false", **TLS}, True),
        ({**SERVICE, "aws__SourceAccount": ACCOUNT, "aws__SourceOrgID": OURS}, False),
        ({**SERVICE, "aws__SourceAccount": "999988887777", "aws__SourceOrgID": THEIRS}, True),
        ({**SERVICE, "aws__SourceAccount": "999988887777"}, True),
        (SERVICE, False),
    ],
    ids=["ours", "without TLS", "another organisation", "none", "for us", "for another", "for a loner", "by itself"],
)
def test_nobody_outside_of_the_organisation_reaches_its_data(context: dict[str, str], stopped: bool) -> None:
    document = json.loads(resource_control.own_principals(OURS).content)
    for action, resource in (("s3:GetObject", f"{BUCKET}/a"), ("kms:Decrypt", KEY), ("sqs:ReceiveMessage", "*")):
        assert denies(document, request(action, resource, **context)) is stopped, action


def test_a_resource_control_policy_has_what_aws_organizations_takes() -> None:
    found = resource_control.own_principals(OURS)
    assert len(found.content) <= documents.MAX_POLICY_CHARACTERS
    for statement in found.statements:
        assert (statement["Effect"], statement["Principal"]) == ("Deny", "*")
        services = {action.partition(":")[0] for action in statement["Action"]}
        assert services <= {"kms", "s3", "secretsmanager", "sqs", "sts"}, "of these services a policy reaches"
        assert "*" not in statement["Action"], "AWS Organizations takes no lone * here"


@pytest.mark.parametrize(
    ("who", "stopped"), [(PERSON, True), (DEPLOYMENT, True), (RESPONDER, False), (BREAK_GLASS, False)]
)
def test_in_quarantine_only_those_who_investigate_may_act(who: str, stopped: bool) -> None:
    document = json.loads(scps.quarantine().content)
    for action in ("ec2:DescribeInstances", "s3:GetObject", "iam:CreateRole", "kms:Decrypt"):
        assert denies(document, request(action, who=who)) is stopped, f"{action} as {who}"


def test_guardrails_fit_into_their_limits_with_every_region_allowed() -> None:
    found = scps.guardrails(sorted(AWS_REGIONS))
    assert len(found) + 1 <= 5, "AWS attaches five policies at most, FullAWSAccess among them"
    assert max(len(g.content) for g in found) <= documents.MAX_POLICY_CHARACTERS


def test_a_policy_that_is_too_long_is_refused_with_the_number_of_characters() -> None:
    long = documents.Guardrail("long", "", ({"Sid": "x" * documents.MAX_POLICY_CHARACTERS},))
    with pytest.raises(documents.GuardrailError, match=r"'long' has 51[0-9]{2} characters"):
        _ = long.content


def test_statements_of_a_policy_have_names_of_their_own() -> None:
    for guardrail in (*scps.guardrails(REGIONS), scps.quarantine()):
        names = [s["Sid"] for s in guardrail.statements]
        assert len(set(names)) == len(names), f"{guardrail.name}: two statements share a Sid"
        assert all(s["Effect"] == "Deny" for s in guardrail.statements), "a guardrail grants nothing"


OPERATOR = boundaries.operator_boundary("onedallmail", list(REGIONS))
CI = boundaries.deployment_boundary(ACCOUNT, "onedallmail-example-deployment-boundary")
OWN_INSTANCE: dict[str, str] = {"aws__ResourceTag/Project": "onedallmail", "aws__MultiFactorAuthPresent": "true"}


@pytest.mark.parametrize(
    ("call", "allowed"),
    [
        (request("ec2:DescribeInstances"), True),
        (request("ec2:DescribeInstances", region="ap-east-1"), False),
        (request("ec2:RebootInstances", INSTANCE, **OWN_INSTANCE), True),
        (request("ec2:RebootInstances", INSTANCE, **{**OWN_INSTANCE, "aws__MultiFactorAuthPresent": "false"}), False),
        (request("ec2:RebootInstances", INSTANCE, **{**OWN_INSTANCE, "aws__ResourceTag/Project": "other"}), False),
        (request("ec2:TerminateInstances", INSTANCE, **OWN_INSTANCE), False),
        (request("kms:Decrypt", KEY), False),
        (request("s3:GetObject", f"{BUCKET}/a"), False),
        (request("iam:CreateRole", f"{ROLE}/mine"), False),
    ],
    ids=lambda v: v.action if isinstance(v, Request) else str(v),
)
def test_an_operator_looks_and_restarts_but_reads_no_mail_and_makes_no_roles(call: Request, allowed: bool) -> None:
    assert allows(OPERATOR, call) is allowed


@pytest.mark.parametrize(
    ("call", "allowed"),
    [
        (request("ec2:RunInstances", INSTANCE), True),
        (request("iam:CreateRole", f"{ROLE}/onedallmail-example-server"), True),
        (request("iam:CreateRole", f"{ROLE}/backdoor"), False),
        (request("iam:PassRole", f"{ROLE}/backdoor"), False),
        (request("iam:PassRole", f"{ROLE}/onedallmail-example-server"), True),
        (request("iam:CreateUser", f"arn:aws:iam::{ACCOUNT}:user/backdoor"), False),
        (request("iam:CreateAccessKey", f"arn:aws:iam::{ACCOUNT}:user/someone"), False),
        (request("iam:DeleteRolePermissionsBoundary", f"{ROLE}/onedallmail-deployment"), False),
        (
            request(
                "iam:CreatePolicyVersion", f"arn:aws:iam::{ACCOUNT}:policy/onedallmail-example-deployment-boundary"
            ),
            False,
        ),
        (
            request(
                "iam:AttachRolePolicy",
                f"{ROLE}/onedallmail-example-server",
                iam__PolicyARN="arn:aws:iam::aws:policy/AdministratorAccess",
            ),
            False,
        ),
        (request("s3:BypassGovernanceRetention", f"{BUCKET}/a"), False),
        (request("s3:GetObject", f"{BUCKET}/a"), False),
        (request("s3:PutBucketPolicy", BUCKET), True),
        (request("s3:PutLifecycleConfiguration", BUCKET), True),
        (request("kms:CreateKey"), True),
        (request("kms:ScheduleKeyDeletion", KEY), False),
        (request("cloudtrail:DeleteTrail"), False),
        (request("organizations:LeaveOrganization"), False),
    ],
    ids=lambda v: f"{v.action} {v.resource}" if isinstance(v, Request) else str(v),
)
def test_a_deployment_can_not_rise_above_its_boundary(call: Request, allowed: bool) -> None:
    assert allows(CI, call) is allowed


def test_boundaries_fit_into_a_managed_policy() -> None:
    for document in (OPERATOR, CI):
        size = len("".join(json.dumps(document, separators=(",", ":")).split()))
        assert size <= 6144, "IAM takes 6,144 characters in a managed policy, white space not counted"


def test_the_simulator_refuses_a_condition_that_it_does_not_know() -> None:
    document: dict[str, Any] = {
        "Statement": [
            {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"DateLessThan": {"aws:CurrentTime": "x"}}}
        ]
    }
    with pytest.raises(NotImplementedError, match="DateLessThan"):
        denies(document, request("s3:GetObject"))
