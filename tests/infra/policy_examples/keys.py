"""Examples for rules/keys.py."""

from collections.abc import Mapping
from typing import Any

from infra.policy.model import Resource
from infra.policy.rules import keys as rules

from .example import ACCOUNT_ROOT, KEY, allow, example, make, policy

ROOT = {"Principal": {"AWS": ACCOUNT_ROOT}}
ADMINISTER = allow(["kms:Put*", "kms:ScheduleKeyDeletion", "kms:Describe*"], "*", **ROOT)
SERVERS = {"Principal": {"AWS": "arn:aws:iam::123456789012:role/mail"}}
USE = allow(["kms:Decrypt", "kms:GenerateDataKey*"], "*", **SERVERS)
THROUGH_S3 = {"StringEquals": {"kms:ViaService": "s3.eu-central-1.amazonaws.com"}}
VIA = allow("kms:Decrypt", "*", **ROOT, Condition=THROUGH_S3)
OURS = "arn:aws:iam::123456789012:role/onedallmail-*"
THEIRS = "arn:aws:iam::123456789012:role/administrator"
ONE_OF_OURS = "arn:aws:iam::123456789012:role/onedallmail-administrator"


def named(operator: str, *arns: str) -> dict[str, Any]:
    """Return a condition on the caller's ARN."""
    return {operator: {"aws:PrincipalArn": list(arns)}}


GUARD = allow("kms:ScheduleKeyDeletion", "*", **ROOT, Condition=named("ArnLike", THEIRS))
OWN_GUARD = allow("kms:ScheduleKeyDeletion", "*", **ROOT, Condition=named("ArnEquals", ONE_OF_OURS))
BY_ROLES = allow("kms:Decrypt", "*", **ROOT, Condition=named("ArnLike", OURS))
NO_USE = {"Effect": "Deny", "Action": "kms:*crypt", "Resource": "*", **ROOT, "Condition": named("ArnLike", ONE_OF_OURS)}
EVERYBODY = allow("kms:Decrypt", "*", Principal="*")
ROTATING = {"enableKeyRotation": True, "deletionWindowInDays": 30}


def key(*found: Mapping[str, Any], **changes: Any) -> Resource:
    """Return a key with the statements that were found in its policy."""
    return make(rules.KEY, {**ROTATING, "policy": policy(*found) if found else None}, **changes)


def secret(**changes: Any) -> Resource:
    """Return a secret."""
    return make(rules.SECRET, {"kmsKeyId": KEY}, **changes)


def certificate(**changes: Any) -> Resource:
    """Return a certificate."""
    return make(rules.CERTIFICATE, {"domainName": "acme.example", "validationMethod": "DNS"}, **changes)


EXAMPLES = (
    example(
        "key-rotates",
        good=[
            key(),
            key(enableKeyRotation=None, customerMasterKeySpec="ECC_NIST_P256", keyUsage="SIGN_VERIFY"),
            key(enableKeyRotation=None, customKeyStoreId="cks-1"),
        ],
        bad=[key(enableKeyRotation=None), key(enableKeyRotation=False)],
    ),
    example(
        "key-rotates-yearly",
        good=[key(), key(rotationPeriodInDays=90)],
        bad=key(rotationPeriodInDays=730),
    ),
    example(
        "key-deletion-waits",
        good=[key(), make(rules.REPLICA, {"primaryKeyArn": KEY})],
        bad=[key(deletionWindowInDays=7), make(rules.REPLICA, {"primaryKeyArn": KEY, "deletionWindowInDays": 14})],
    ),
    example("key-lockout-checked", good=key(), bad=key(bypassPolicyLockoutSafetyCheck=True)),
    example(
        "key-policy-not-public",
        good=[
            key(ADMINISTER, USE),
            key({**EVERYBODY, "Condition": {"StringEquals": {"kms:CallerAccount": "123456789012"}}}),
        ],
        bad=[
            key(EVERYBODY),
            key({**EVERYBODY, "Condition": THROUGH_S3}),
            make(rules.KEY_POLICY, {"keyId": "k", "policy": policy(EVERYBODY)}),
        ],
    ),
    example(
        "key-duties-separated",
        good=[key(ADMINISTER, USE), key(ADMINISTER, VIA), key(GUARD, BY_ROLES), key(OWN_GUARD, BY_ROLES, NO_USE)],
        bad=[
            key(allow("kms:*", "*", **ROOT)),
            key(ADMINISTER, {**USE, **ROOT}),
            key(OWN_GUARD, BY_ROLES),
            key(OWN_GUARD, BY_ROLES, {**NO_USE, "Condition": named("StringNotLike", OURS)}),
            make(rules.KEY_POLICY, {"keyId": "k", "policy": policy({**ADMINISTER, **SERVERS}, USE)}),
        ],
    ),
    example(
        "secret-customer-key",
        good=[secret(), secret(replicas=[{"region": "eu-west-1", "kmsKeyId": KEY}])],
        bad=[
            secret(kmsKeyId=None),
            secret(kmsKeyId="alias/aws/secretsmanager"),
            secret(replicas=[{"region": "eu-west-1"}]),
        ],
    ),
    example(
        "secret-recoverable",
        good=[secret(), secret(recoveryWindowInDays=7)],
        bad=secret(recoveryWindowInDays=0),
    ),
    example(
        "secret-policy-not-public",
        good=[secret(), secret(policy=policy(allow("secretsmanager:GetSecretValue", "*", **SERVERS)))],
        bad=secret(policy=policy(allow("secretsmanager:GetSecretValue", "*", Principal="*"))),
    ),
    example(
        "certificate-strong",
        good=[certificate(), certificate(keyAlgorithm="EC_prime256v1")],
        bad=[
            certificate(keyAlgorithm="RSA_1024"),
            certificate(validationMethod="EMAIL"),
            certificate(options={"certificateTransparencyLoggingPreference": "DISABLED"}),
            certificate(privateKey="imported"),
        ],
    ),
)
