"""Examples for rules/iam.py and rules/identities.py."""

from collections.abc import Mapping
from typing import Any

from infra.policy.model import Resource
from infra.policy.rules import identities

from .example import ACCOUNT_ROOT, allow, example, make, policy

ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"
READ_SECRET = allow("secretsmanager:GetSecretValue", "arn:aws:secretsmanager:eu-central-1:1:secret:dkim-*")
BACKUP_ROLE = "arn:aws:iam::123456789012:role/backup"
TO_BACKUP = {"StringEquals": {"iam:PassedToService": "backup.amazonaws.com"}}
OURS = {"StringEquals": {"aws:SourceAccount": "123456789012"}}
BY_ARN = {"ArnLike": {"aws:SourceArn": "arn:aws:cloudtrail:*:123456789012:trail/*"}}


def may(*found: Mapping[str, Any], kind: str = ROLE_POLICY) -> Resource:
    """Return a role's policy."""
    own = {"role": "mail"} if kind == ROLE_POLICY else {}
    return make(kind, {**own, "policy": policy(*found)}, region=None)


def role(principal: Any, condition: Mapping[str, Any] | None = None, **changes: Any) -> Resource:
    """Return a role that a principal may assume."""
    trust = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    document = policy({**trust, "Condition": condition} if condition else trust)
    return make(identities.ROLE, {"assumeRolePolicy": document}, region=None, **changes)


def attached(arn: str) -> Resource:
    """Return the attachment of a managed policy to a role."""
    return make(identities.ATTACHMENTS[0], {"role": "mail", "policyArn": arn}, region=None)


SERVERS = {"Service": "ec2.amazonaws.com"}

EXAMPLES = (
    example(
        "policy-no-administration",
        good=may(READ_SECRET),
        bad=[may(allow("*", "*")), may(allow(["s3:Get*", "*:*"])), may(allow("*"), kind="aws:iam/policy:Policy")],
    ),
    example(
        "policy-no-service-wildcard",
        good=[may(READ_SECRET), may(allow("ec2:Describe*", "*"))],
        bad=may(allow(["s3:*"])),
    ),
    example(
        "policy-no-negation",
        good=may(READ_SECRET),
        bad=[
            may({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}),
            may({"Effect": "Allow", "Action": "s3:GetObject", "NotResource": "arn:aws:s3:::b/*"}),
        ],
    ),
    example(
        "policy-writes-named-resources",
        good=[
            may(READ_SECRET),
            may(allow(["ec2:DescribeInstances", "ssm:UpdateInstanceInformation"], "*")),
            may(allow("cloudwatch:PutMetricData", "*")),
            may(allow("ec2:StopInstances", "*", Condition={"StringEquals": {"aws:ResourceTag/Stack": "example"}})),
        ],
        bad=[
            may(allow("ec2:StopInstances", "*")),
            may(allow("s3:Get*", "*")),
            may(allow("secretsmanager:GetSecretValue", "*")),
            may(allow("kms:Decrypt", "*")),
        ],
    ),
    example(
        "policy-pass-role-bound",
        good=[may(READ_SECRET), may(allow("iam:PassRole", BACKUP_ROLE, Condition=TO_BACKUP))],
        bad=[
            may(allow("iam:PassRole", BACKUP_ROLE)),
            may(allow("iam:PassRole", "*", Condition=TO_BACKUP)),
            may(allow("iam:Pass*", BACKUP_ROLE)),
        ],
    ),
    example(
        "identities-are-roles",
        good=role(SERVERS),
        bad=[
            make("aws:iam/user:User", {"name": "alice"}, region=None),
            make("aws:iam/accessKey:AccessKey", {"user": "alice"}, region=None),
        ],
    ),
    example(
        "no-broad-managed-policy",
        good=attached("arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"),
        bad=[
            attached("arn:aws:iam::aws:policy/AdministratorAccess"),
            attached("arn:aws:iam::aws:policy/AmazonS3FullAccess"),
            attached("arn:aws:iam::aws:policy/ReadOnlyAccess"),
        ],
    ),
    example(
        "role-policies-apart",
        good=role(SERVERS),
        bad=[role(SERVERS, inlinePolicies=[{"name": "a", "policy": "{}"}]), role(SERVERS, managedPolicyArns=["a"])],
    ),
    example(
        "trust-not-public",
        good=[role(SERVERS), role({"AWS": ACCOUNT_ROOT}), role("*", {"StringEquals": {"aws:PrincipalOrgID": "o-1"}})],
        bad=[role("*"), role({"AWS": "*"})],
    ),
    example(
        "trust-bound-to-account",
        good=[role(SERVERS), role({"Service": "backup.amazonaws.com"}, OURS), role({"Service": "c"}, BY_ARN)],
        bad=[
            role({"Service": "backup.amazonaws.com"}),
            role({"Service": ["ec2.amazonaws.com", "config.amazonaws.com"]}),
        ],
    ),
    example(
        "role-session-short",
        good=[role(SERVERS), role(SERVERS, maxSessionDuration=3600)],
        bad=role(SERVERS, maxSessionDuration=43200),
    ),
    example(
        "role-has-boundary",
        good=role(SERVERS, permissionsBoundary="arn:aws:iam::123456789012:policy/boundary"),
        bad=role(SERVERS),
    ),
    example(
        "passwords-strong",
        good=make(identities.PASSWORDS, {"minimumPasswordLength": 16, "passwordReusePrevention": 24}, region=None),
        bad=[
            make(identities.PASSWORDS, {"minimumPasswordLength": 8, "passwordReusePrevention": 24}, region=None),
            make(identities.PASSWORDS, {"minimumPasswordLength": 16}, region=None),
        ],
    ),
    example(
        "root-credentials-central",
        good=make(
            identities.ROOT_FEATURES, {"enabledFeatures": ["RootCredentialsManagement", "RootSessions"]}, region=None
        ),
        bad=make(identities.ROOT_FEATURES, {"enabledFeatures": ["RootSessions"]}, region=None),
    ),
)
