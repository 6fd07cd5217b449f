"""Key policies: who may do what with a key, judged as KMS would."""

import importlib
import json
import sys
from typing import Any

import pytest

from onedallmail.cloud.iam import Request, allows
from onedallmail.paths import ROOT
from onedallmail.platform.naming import KEY_CLASSES, DataClass

sys.path.append(str(ROOT / "infra"))
# infra/ is the program's own folder and no package: its modules are found at run time.
policies: Any = importlib.import_module("components.key_policies")

ACCOUNT, PLATFORM, STRANGER = "111122223333", "444455556666", "999988887777"
REGION = "eu-central-1"
CUSTODIAN = f"arn:aws:iam::{ACCOUNT}:role/custodian"
GUARD = f"arn:aws:iam::{ACCOUNT}:role/onedallmail-example-key-administrator"
SERVER = f"arn:aws:iam::{ACCOUNT}:role/onedallmail-example-eu-central-1-mail"
PLATFORM_SERVER = f"arn:aws:iam::{PLATFORM}:role/onedallmail-prod-eu-central-1-mail"
DEPLOYER = f"arn:aws:iam::{ACCOUNT}:role/deploy"
ROOT_USER = f"arn:aws:iam::{ACCOUNT}:root"
KMS_LIMIT_BYTES = 32768
"""KMS quotas: size of a key policy document."""


def document(data_class: DataClass = DataClass.MAIL, **changes: Any) -> dict[str, Any]:
    facts = {"administrators": [CUSTODIAN], "user_accounts": [PLATFORM], **changes}
    policy = policies.KeyPolicy(account=ACCOUNT, stack="example", region=REGION, data_class=data_class, **facts)
    return dict(policies.class_key_policy(policy))


def may(document: dict[str, Any], action: str, who: str, **context: str) -> bool:
    """Whether a principal, or a service by its name, is allowed an action by the statements that name it."""
    account = who.split(":")[4] if who.startswith("arn:") else ""
    names = {who, f"arn:aws:iam::{account}:root"}
    mine = [s for s in document["Statement"] if names & {n for v in s["Principal"].values() for n in listed(v)}]
    caller = {"aws:PrincipalArn": who, "aws:MultiFactorAuthPresent": "true"} if account else {}
    return allows({"Statement": mine}, Request(action, "*", {**caller, **colons(context)}))


def listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def colons(context: dict[str, str]) -> dict[str, str]:
    return {name.replace("__", ":"): value for name, value in context.items()}


@pytest.mark.parametrize("data_class", KEY_CLASSES)
def test_servers_use_keys_and_do_not_administer_them(data_class: DataClass) -> None:
    for server in (SERVER, PLATFORM_SERVER):
        assert all(may(document(data_class), action, server) for action in policies.USE)
        forbidden = {*policies.MAINTENANCE, *policies.GUARDED} - {"kms:DescribeKey", "kms:GetPublicKey"}
        assert not any(may(document(data_class), action, server) for action in forbidden)


@pytest.mark.parametrize("data_class", KEY_CLASSES)
@pytest.mark.parametrize("administrator", [CUSTODIAN, GUARD])
def test_administrators_guard_keys_and_open_nothing(data_class: DataClass, administrator: str) -> None:
    assert all(may(document(data_class), action, administrator) for action in policies.GUARDED)
    through = {"kms__ViaService": f"secretsmanager.{REGION}.amazonaws.com", "kms__CallerAccount": ACCOUNT}
    for action in (*policies.USE, "kms:CreateGrant"):
        assert not may(document(data_class), action, administrator)
        assert not may(document(data_class), action, administrator, **through), "not through a service either"


def test_who_deploys_keeps_keys_as_declared_but_can_neither_end_nor_use_them() -> None:
    found = document()
    assert all(may(found, action, DEPLOYER) for action in policies.MAINTENANCE)
    assert not any(may(found, action, DEPLOYER) for action in (*policies.GUARDED, *policies.USE))


def test_who_deploys_starts_servers_with_encrypted_volumes_and_writes_secrets_through_aws() -> None:
    for service in ("ec2", "secretsmanager"):
        through = {"kms__ViaService": f"{service}.{REGION}.amazonaws.com", "kms__CallerAccount": ACCOUNT}
        assert may(document(), "kms:GenerateDataKey", DEPLOYER, **through)
    elsewhere = {"kms__ViaService": "s3.eu-central-1.amazonaws.com", "kms__CallerAccount": ACCOUNT}
    assert not may(document(), "kms:Decrypt", DEPLOYER, **elsewhere)


def test_a_key_ends_only_by_an_administrator_with_a_second_factor() -> None:
    found = document()
    for action in policies.DESTRUCTIVE:
        assert may(found, action, CUSTODIAN)
        assert not may(found, action, CUSTODIAN, aws__MultiFactorAuthPresent="false")
        assert not may(found, action, DEPLOYER)
        assert may(document(second_factor=False), action, CUSTODIAN, aws__MultiFactorAuthPresent="false")


def test_the_root_user_is_the_last_resort_so_that_no_key_becomes_unmanageable() -> None:
    assert may(document(administrators=[]), "kms:PutKeyPolicy", ROOT_USER)
    assert may(document(administrators=[]), "kms:CancelKeyDeletion", ROOT_USER)
    assert not may(document(administrators=[]), "kms:Decrypt", ROOT_USER)


def test_strangers_and_other_roles_of_user_accounts_get_nothing() -> None:
    for who in (f"arn:aws:iam::{STRANGER}:role/onedallmail-x", f"arn:aws:iam::{PLATFORM}:role/developer"):
        assert not any(may(document(), action, who) for action in (*policies.USE, *policies.MAINTENANCE))


def test_a_session_of_a_role_counts_as_the_role() -> None:
    session = f"arn:aws:sts::{ACCOUNT}:assumed-role/custodian/alice"
    assert may(document(administrators=[session]), "kms:DisableKey", CUSTODIAN)


LOG_SERVICES = [
    (f"logs.{REGION}", "kms:Encrypt", "kms__EncryptionContext__aws__logs__arn", "arn:aws:logs:{r}:{a}:log-group:/x"),
    ("delivery.logs", "kms:GenerateDataKey", "aws__SourceArn", "arn:aws:logs:{r}:{a}:delivery-source:x"),
    ("guardduty", "kms:GenerateDataKey", "aws__SourceArn", "arn:aws:guardduty:{r}:{a}:detector/1"),
    ("macie", "kms:GenerateDataKey", "aws__SourceArn", "arn:aws:macie2:{r}:{a}:classification-job/1"),
]


@pytest.mark.parametrize(("service", "action", "key", "pattern"), LOG_SERVICES)
def test_log_services_work_for_our_accounts_and_for_nobody_else(
    service: str, action: str, key: str, pattern: str
) -> None:
    name = f"{service}.amazonaws.com"
    for account, allowed in ((ACCOUNT, True), (PLATFORM, True), (STRANGER, False)):
        context = {key: pattern.format(r=REGION, a=account), "aws__SourceAccount": account}
        assert may(document(DataClass.LOGS), action, name, **context) is allowed
        assert not may(document(DataClass.MAIL), action, name, **context), "other keys are none of their business"


def test_a_trail_needs_both_its_own_context_and_its_own_source() -> None:
    trail = f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/onedallmail-example"
    found, service = document(DataClass.LOGS), "cloudtrail.amazonaws.com"
    both = {"kms__EncryptionContext__aws__cloudtrail__arn": trail, "aws__SourceArn": trail}
    assert may(found, "kms:GenerateDataKey", service, **both)
    for missing in both:
        assert not may(found, "kms:GenerateDataKey", service, **{k: v for k, v in both.items() if k != missing})


@pytest.mark.parametrize("data_class", KEY_CLASSES)
def test_policies_fit_into_kms_name_no_wildcard_action_and_no_role_that_may_not_exist(data_class: DataClass) -> None:
    accounts = [f"{n:012d}" for n in range(1, 6)]
    found = document(data_class, user_accounts=accounts)
    assert len(json.dumps(found).encode()) < KMS_LIMIT_BYTES
    for statement in found["Statement"]:
        assert not any("*" in action for action in statement["Action"]), statement["Sid"]
        for kind, names in statement["Principal"].items():
            assert kind in ("AWS", "Service")
            assert all(n.endswith(":root") for n in listed(names) if kind == "AWS"), "IAM refuses unknown roles"
    sids = [s["Sid"] for s in found["Statement"]]
    assert len(set(sids)) == len(sids)


def test_route_53_signs_zones_of_the_accounts_that_use_the_key() -> None:
    policy = policies.KeyPolicy(account=ACCOUNT, stack="example", region="us-east-1", user_accounts=[PLATFORM])
    found, service = dict(policies.dnssec_key_policy(policy)), "dnssec-route53.amazonaws.com"
    zone = {"aws__SourceArn": "arn:aws:route53:::hostedzone/Z1"}
    assert may(found, "kms:Sign", service, aws__SourceAccount=PLATFORM, **zone)
    assert not may(found, "kms:Sign", service, aws__SourceAccount=STRANGER, **zone)
    assert not may(found, "kms:CreateGrant", service, kms__GrantIsForAWSResource="false")
    assert not may(found, "kms:Sign", SERVER)
