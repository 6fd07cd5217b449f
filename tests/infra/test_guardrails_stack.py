"""The management stack puts every account under the guardrails, names who watches, and minds the money."""

import json
from collections import Counter
from functools import cache
from typing import Any

import pytest

from .account_recording import record_account
from .recording import ProgramError, Registered

REGIONS = ["eu-central-1", "eu-north-1", "eu-west-1"]


@cache
def management() -> list[Registered]:
    return record_account("example-management")


def of_type(token: str) -> list[Registered]:
    return [r for r in management() if r.type == f"aws:{token}"]


def attached() -> dict[str, list[str]]:
    """Return the names of policies by the unit, or the root, that they are attached to."""
    found: dict[str, list[str]] = {}
    for attachment in of_type("organizations/policyAttachment:PolicyAttachment"):
        found.setdefault(attachment.inputs["targetId"], []).append(attachment.name.removeprefix("organization-"))
    return found


def test_the_root_carries_every_guardrail_and_the_quarantine_unit_the_stop() -> None:
    (quarantined,) = (target for target in attached() if target != "r-ab12")
    assert sorted(attached()["r-ab12"]) == [
        "ai-opt-out",
        "limit-regions",
        "own-principals",
        "protect-detection",
        "protect-evidence",
        "require-encryption",
    ]
    assert attached()[quarantined] == ["quarantine"]
    kinds = Counter(p.inputs["type"] for p in of_type("organizations/policy:Policy"))
    assert kinds == {
        "SERVICE_CONTROL_POLICY": 5,
        "RESOURCE_CONTROL_POLICY": 1,
        "AISERVICES_OPT_OUT_POLICY": 1,
    }
    assert kinds["SERVICE_CONTROL_POLICY"] - 1 < 5, "FullAWSAccess is the fifth at most; one is at the quarantine"


def test_the_organisation_s_data_is_for_its_own_principals() -> None:
    (organization,) = of_type("organizations/organization:Organization")
    (policy,) = (p for p in of_type("organizations/policy:Policy") if p.inputs["type"] == "RESOURCE_CONTROL_POLICY")
    assert policy.inputs["type"] in organization.inputs["enabledPolicyTypes"]
    (strangers, *_) = json.loads(policy.inputs["content"])["Statement"]
    assert strangers["Condition"]["StringNotEqualsIfExists"] == {"aws:PrincipalOrgID": organization.id}


def test_policies_are_documents_that_deny_and_grant_nothing() -> None:
    found = [p for p in of_type("organizations/policy:Policy") if p.inputs["type"] != "AISERVICES_OPT_OUT_POLICY"]
    assert found
    for policy in found:
        document = json.loads(policy.inputs["content"])
        assert {s["Effect"] for s in document["Statement"]} == {"Deny"}, policy.name


def test_no_account_lets_aws_use_its_content_for_ai_services() -> None:
    (policy,) = (p for p in of_type("organizations/policy:Policy") if p.inputs["type"] == "AISERVICES_OPT_OUT_POLICY")
    default = json.loads(policy.inputs["content"])["services"]["default"]
    assert default["opt_out_policy"]["@@assign"] == "optOut"
    assert default["@@operators_allowed_for_child_policies"] == ["@@none"], "an account could opt in again"


def test_accounts_stand_in_their_units_and_are_never_closed_by_a_run() -> None:
    units = {u.inputs["name"] for u in of_type("organizations/organizationalUnit:OrganizationalUnit")}
    assert units == {"quarantine", "security", "workloads"}
    accounts = of_type("organizations/account:Account")
    assert sorted(a.inputs["name"] for a in accounts) == ["audit", "keys", "mail"]
    assert all(a.inputs["closeOnDeletion"] is False for a in accounts)


def test_the_audit_account_administers_detection_in_every_region() -> None:
    delegated: dict[str, str] = {
        "guardduty/organizationAdminAccount:OrganizationAdminAccount": "adminAccountId",
        "securityhub/organizationAdminAccount:OrganizationAdminAccount": "adminAccountId",
        "macie2/organizationAdminAccount:OrganizationAdminAccount": "adminAccountId",
        "inspector2/delegatedAdminAccount:DelegatedAdminAccount": "accountId",
    }
    administrators = set()
    for token, field in delegated.items():
        made = of_type(token)
        assert sorted(r.inputs["region"] for r in made) == REGIONS, token
        administrators |= {r.inputs[field] for r in made}
    assert len(administrators) == 1, "one account sees the findings of all services"


def test_the_budget_tells_before_and_after_it_is_spent_and_by_forecast() -> None:
    (budget,) = of_type("budgets/budget:Budget")
    stages = [(n["notificationType"], n["threshold"]) for n in budget.inputs["notifications"]]
    assert stages == [("ACTUAL", 80), ("ACTUAL", 100), ("FORECASTED", 100)]
    assert all(n["subscriberEmailAddresses"] for n in budget.inputs["notifications"])


def test_cost_anomalies_from_the_stated_sum_on_are_reported() -> None:
    (subscription,) = of_type("costexplorer/anomalySubscription:AnomalySubscription")
    assert subscription.inputs["thresholdExpression"]["dimension"]["values"] == ["50"]


def test_people_need_a_second_factor_for_every_role() -> None:
    for role in of_type("iam/role:Role"):
        (statement,) = json.loads(role.inputs["assumeRolePolicy"])["Statement"]
        assert statement["Condition"]["Bool"] == {"aws:MultiFactorAuthPresent": "true"}, role.name


def test_passwords_meet_the_cis_benchmark() -> None:
    (policy,) = of_type("iam/accountPasswordPolicy:AccountPasswordPolicy")
    assert policy.inputs["minimumPasswordLength"] >= 14, "CIS AWS Foundations 1.8"
    assert policy.inputs["passwordReusePrevention"] == 24, "CIS AWS Foundations 1.9"


def test_aws_knows_whom_to_call_in_every_account_and_for_every_kind_of_matter() -> None:
    made = of_type("account/alternativeContact:AlternativeContact")
    accounts = {a.id for a in of_type("organizations/account:Account")} | {None}
    assert {(c.inputs.get("accountId"), c.inputs["alternateContactType"]) for c in made} == {
        (account, kind) for account in accounts for kind in ("BILLING", "OPERATIONS", "SECURITY")
    }


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"onedallmail:auditAccount": "nobody"}, "auditAccount 'nobody' is none of accounts"),
        ({"onedallmail:regions": ["eu-central-9"]}, "regions: unknown AWS region eu-central-9"),
        ({"onedallmail:monthlyBudgetUsd": 0}, "monthlyBudgetUsd"),
        (
            {"onedallmail:contacts": [{"kind": "SECURITY", "name": "a", "title": "b", "email": "a@b.c", "phone": "1"}]},
            "contacts.0.phone",
        ),
    ],
)
def test_a_wrong_value_is_refused_with_its_path_before_any_resource(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ProgramError, match=words):
        record_account("example-management", changes)


def test_an_organisation_s_audit_stack_needs_the_management_account_that_owns_its_trail() -> None:
    with pytest.raises(ProgramError, match="organizationId and managementAccountId belong together"):
        record_account("example-audit", {"onedallmail:managementAccountId": None})
