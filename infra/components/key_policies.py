"""Key policies: who maintains, guards and uses a KMS key, and which AWS services may work with it.

Principals are this account and others, narrowed by `aws:PrincipalArn`: IAM refuses a policy that names a role which
does not exist yet, and a name that is deleted and made again would no longer match.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from onedallmail.platform.naming import DataClass
from onedallmail.platform.stack import PROJECT

Statement = dict[str, Any]

MAINTENANCE = (
    "kms:CreateAlias",
    "kms:DeleteAlias",
    "kms:DescribeKey",
    "kms:EnableKeyRotation",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:GetPublicKey",
    "kms:ListGrants",
    "kms:ListKeyPolicies",
    "kms:ListKeyRotations",
    "kms:ListResourceTags",
    "kms:PutKeyPolicy",
    "kms:ReplicateKey",
    "kms:RotateKeyOnDemand",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateAlias",
    "kms:UpdateKeyDescription",
)
"""What the run that keeps the key as declared needs; nothing here ends a key or opens data."""
GUARDED = (
    "kms:CancelKeyDeletion",
    "kms:DisableKey",
    "kms:DisableKeyRotation",
    "kms:EnableKey",
    "kms:RevokeGrant",
    "kms:ScheduleKeyDeletion",
    "kms:UpdatePrimaryRegion",
)
"""What can make data unreadable: for administrators of keys alone."""
DESTRUCTIVE = ("kms:DisableKey", "kms:DisableKeyRotation", "kms:ScheduleKeyDeletion")
USE = (
    "kms:Decrypt",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
)
WRITE = ("kms:Decrypt", "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext")
"""What a service needs that writes to encrypted storage (Decrypt: multipart uploads, bucket keys, queues)."""
SSO_ROLES = "arn:aws:iam::*:role/aws-reserved/sso.amazonaws.com/*"
"""IAM Identity Center demands a second factor itself; its sessions carry no `aws:MultiFactorAuthPresent`."""

VIA: dict[DataClass, tuple[str, ...]] = {
    DataClass.MAIL: ("ec2", "secretsmanager"),
    DataClass.DIRECTORY: ("ec2", "secretsmanager"),
    DataClass.LOGS: ("ec2", "secretsmanager"),
    DataClass.BACKUP: ("backup", "ec2"),
    DataClass.EVIDENCE: (),
}
"""Services through which the account's principals may use a class's key, as their own policies grant."""
SERVICE_ROLES: dict[DataClass, tuple[str, ...]] = {
    DataClass.MAIL: ("backup.amazonaws.com", "malware-protection.guardduty.amazonaws.com"),
    DataClass.DIRECTORY: ("backup.amazonaws.com", "malware-protection.guardduty.amazonaws.com"),
    DataClass.LOGS: ("backup.amazonaws.com", "malware-protection.guardduty.amazonaws.com", "macie.amazonaws.com"),
    DataClass.BACKUP: ("backup.amazonaws.com", "reports.backup.amazonaws.com"),
    DataClass.EVIDENCE: ("macie.amazonaws.com",),
}
"""Service-linked roles that read or copy a class's data."""


@dataclass(frozen=True)
class KeyPolicy:
    """What a key's policy depends on."""

    account: str
    stack: str
    region: str
    data_class: DataClass = DataClass.NONE
    administrators: Sequence[str] = ()
    """ARNs of roles, users or assumed roles besides the stack's own administrator role."""
    user_accounts: Sequence[str] = field(default=())
    """Accounts besides this one whose platform stacks use the key."""
    second_factor: bool = True
    """Whether destructive calls need a session with a second factor."""

    @property
    def accounts(self) -> tuple[str, ...]:
        """The accounts that may use the key."""
        return tuple(dict.fromkeys((self.account, *self.user_accounts)))

    @property
    def administrator_role(self) -> str:
        """ARN of the role that the stack makes for administrators."""
        return f"arn:aws:iam::{self.account}:role/{administrator_role_name(self.stack)}"

    @property
    def guardians(self) -> list[str]:
        """`aws:PrincipalArn` patterns of those who may end the key: administrators, at last the root user."""
        stated = [pattern for arn in self.administrators for pattern in principal_patterns(arn)]
        return sorted({self.administrator_role, root(self.account), *stated})

    @property
    def users(self) -> list[str]:
        """`aws:PrincipalArn` patterns of the roles that use the key themselves."""
        own = [f"arn:aws:iam::{self.account}:role/{PROJECT}-{self.stack}-*"]
        return own + [f"arn:aws:iam::{a}:role/{PROJECT}-*" for a in self.accounts if a != self.account]


def administrator_role_name(stack: str) -> str:
    """Return the name of the role for administrators of a stack's keys."""
    return f"{PROJECT}-{stack}-key-administrator"


def root(account: str) -> str:
    """Return the ARN that stands for an account in a policy."""
    return f"arn:aws:iam::{account}:root"


def principal_patterns(arn: str) -> tuple[str, ...]:
    """Return what `aws:PrincipalArn` of a principal looks like: a session counts as its role, under any path."""
    head, _, rest = arn.partition(":assumed-role/")
    if not rest:
        return (arn,)
    account, role = head.rsplit(":", 1)[1], rest.split("/")[0]
    return (f"arn:aws:iam::{account}:role/{role}", f"arn:aws:iam::{account}:role/*/{role}")


def class_key_policy(policy: KeyPolicy) -> Statement:
    """Return the policy of a data class's key in a region."""
    statements = [*_administration(policy), *_use(policy)]
    if policy.data_class is DataClass.LOGS:
        statements += _log_services(policy)
    return {"Version": "2012-10-17", "Id": f"{policy.data_class}-{policy.region}", "Statement": statements}


def dnssec_key_policy(policy: KeyPolicy) -> Statement:
    """Return the policy of the key that Route 53 signs zones with (Route 53 guide: permissions for DNSSEC signing)."""
    service = {"Service": "dnssec-route53.amazonaws.com"}
    zones = {
        "StringEquals": {"aws:SourceAccount": list(policy.accounts)},
        "ArnLike": {"aws:SourceArn": "arn:aws:route53:::hostedzone/*"},
    }
    statements = [
        *_administration(policy),
        _allow("SignZones", service, ("kms:DescribeKey", "kms:GetPublicKey", "kms:Sign"), zones),
        _allow("GrantToZones", service, ("kms:CreateGrant",), {"Bool": {"kms:GrantIsForAWSResource": "true"}}),
    ]
    if policy.user_accounts:
        others = {"AWS": [root(account) for account in policy.user_accounts]}
        statements.append(_allow("NamedByZones", others, ("kms:DescribeKey", "kms:GetPublicKey"), {}))
    return {"Version": "2012-10-17", "Id": "dnssec", "Statement": statements}


def hsm_key_policy(policy: KeyPolicy) -> Statement:
    """Return the policy of a key whose material is in the HSM cluster: administrators and users apart, no services."""
    return {"Version": "2012-10-17", "Id": "hsm", "Statement": [*_administration(policy), _users(policy)]}


def _allow(sid: str, principal: object, actions: Sequence[str], condition: Statement) -> Statement:
    found = {"Sid": sid, "Effect": "Allow", "Principal": principal, "Action": list(actions), "Resource": "*"}
    return {**found, "Condition": condition} if condition else found


def _deny(sid: str, accounts: Sequence[str], actions: Sequence[str], condition: Statement) -> Statement:
    principal = {"AWS": [root(account) for account in accounts]}
    return {**_allow(sid, principal, actions, condition), "Effect": "Deny"}


def _administration(policy: KeyPolicy) -> list[Statement]:
    account = {"AWS": root(policy.account)}
    guardians = {"aws:PrincipalArn": policy.guardians}
    users = {
        "ArnLike": {"aws:PrincipalArn": policy.users},
        "ArnNotLike": {"aws:PrincipalArn": policy.administrator_role},
    }
    administering = sorted({*MAINTENANCE, *GUARDED} - {"kms:DescribeKey", "kms:GetPublicKey"})
    administrators = [arn for arn in policy.guardians if arn != root(policy.account)]
    found = [
        _allow("Maintain", account, MAINTENANCE, {}),
        _allow("Guard", account, GUARDED, {"ArnLike": guardians}),
        _deny("EndedByAdministratorsOnly", (policy.account,), DESTRUCTIVE, {"ArnNotLike": guardians}),
        _deny("UsersDoNotAdminister", policy.accounts, administering, users),
        _deny(
            "AdministratorsDoNotUse",
            (policy.account,),
            (*USE, "kms:CreateGrant"),
            {"ArnLike": {"aws:PrincipalArn": administrators}},
        ),
    ]
    if policy.second_factor:
        condition = {
            "BoolIfExists": {"aws:MultiFactorAuthPresent": "false"},
            "ArnNotLike": {"aws:PrincipalArn": SSO_ROLES},
        }
        found.append(_deny("EndedWithSecondFactorOnly", (policy.account,), DESTRUCTIVE, condition))
    return found


def _users(policy: KeyPolicy) -> Statement:
    accounts = {"AWS": [root(account) for account in policy.accounts]}
    return _allow("Use", accounts, (*USE, "kms:DescribeKey"), {"ArnLike": {"aws:PrincipalArn": policy.users}})


def _use(policy: KeyPolicy) -> list[Statement]:
    accounts = {"AWS": [root(account) for account in policy.accounts]}
    linked = [
        f"arn:aws:iam::{account}:role/aws-service-role/{service}/*"
        for account in policy.accounts
        for service in SERVICE_ROLES[policy.data_class]
    ]
    grantees = {"aws:PrincipalArn": [*policy.users, *linked]}
    for_aws = {"Bool": {"kms:GrantIsForAWSResource": "true"}}
    found = [
        _users(policy),
        _allow("ReadByServices", accounts, (*USE, "kms:DescribeKey"), {"ArnLike": {"aws:PrincipalArn": linked}}),
        _allow("GrantToServices", accounts, ("kms:CreateGrant",), {"ArnLike": grantees, **for_aws}),
    ]
    if services := [f"{service}.{policy.region}.amazonaws.com" for service in VIA[policy.data_class]]:
        via = {"StringEquals": {"kms:ViaService": services, "kms:CallerAccount": list(policy.accounts)}}
        found.append(_allow("UseThroughServices", accounts, (*USE, "kms:DescribeKey"), via))
        found.append(_allow("GrantThroughServices", accounts, ("kms:CreateGrant",), {**via, **for_aws}))
    return found


def _log_services(policy: KeyPolicy) -> list[Statement]:
    accounts = list(policy.accounts)
    source = {"StringEquals": {"aws:SourceAccount": accounts}}

    def arns(pattern: str) -> list[str]:
        return [pattern.format(account=account, region=policy.region) for account in accounts]

    def service(name: str) -> dict[str, str]:
        return {"Service": f"{name}.amazonaws.com"}

    groups = {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": arns("arn:aws:logs:{region}:{account}:log-group:*")}}
    delivery = {**source, "ArnLike": {"aws:SourceArn": arns("arn:aws:logs:*:{account}:*")}}
    trails = arns("arn:aws:cloudtrail:*:{account}:trail/" + PROJECT + "-*")
    detectors = {**source, "ArnLike": {"aws:SourceArn": arns("arn:aws:guardduty:{region}:{account}:detector/*")}}
    results = {
        **source,
        "ArnLike": {
            "aws:SourceArn": [
                *arns("arn:aws:macie2:{region}:{account}:export-configuration:*"),
                *arns("arn:aws:macie2:{region}:{account}:classification-job/*"),
            ]
        },
    }
    senders = ("backup", "budgets", "cloudwatch", "costalerts", "events", "sns")
    return [
        _allow("LogGroups", service(f"logs.{policy.region}"), (*USE, "kms:DescribeKey"), groups),
        _allow("LogDelivery", service("delivery.logs"), WRITE, delivery),
        _allow(
            "TrailDescribes", service("cloudtrail"), ("kms:DescribeKey",), {"StringLike": {"aws:SourceArn": trails}}
        ),
        _allow(
            "TrailWrites",
            service("cloudtrail"),
            ("kms:Decrypt", "kms:GenerateDataKey"),
            {"StringLike": {"kms:EncryptionContext:aws:cloudtrail:arn": trails, "aws:SourceArn": trails}},
        ),
        _allow("ConfigWrites", service("config"), ("kms:Decrypt", "kms:GenerateDataKey"), source),
        _allow("FindingsWritten", service("guardduty"), ("kms:GenerateDataKey",), detectors),
        _allow("ClassificationWritten", service("macie"), ("kms:Encrypt", "kms:GenerateDataKey"), results),
        _allow(
            "Alarms",
            {"Service": [f"{name}.amazonaws.com" for name in senders]},
            ("kms:Decrypt", "kms:GenerateDataKey"),
            source,
        ),
    ]
