"""Backup: every point is kept, locked, copied to another region, and restored for a test."""

import importlib
import json
import sys
from typing import Any

import pytest

from onedallmail.cloud.iam import Request, denies
from onedallmail.paths import ROOT

from .storage_stack import ACCOUNT, of_kind

sys.path.append(str(ROOT / "infra"))
# infra/ is the program's own folder and no package: its modules are found at run time.
backup: Any = importlib.import_module("components.backup")


@pytest.mark.parametrize("count", [3, 5])
def test_every_point_has_a_copy_in_another_region(count: int) -> None:
    plans = of_kind("Plan", count)
    assert len(plans) == count
    for plan in plans.values():
        rules = plan.inputs["rules"]
        assert [r["ruleName"] for r in rules] == ["hourly", "daily", "monthly"]
        for rule in rules:
            (copy,) = rule["copyActions"]
            assert copy["destinationVaultArn"].split(":")[3] != plan.inputs["region"]
            assert copy["lifecycle"] == rule["lifecycle"]


def test_lifecycles_fit_into_the_lock_so_that_no_job_is_refused() -> None:
    (lock, *_) = of_kind("VaultLockConfiguration").values()
    for plan in of_kind("Plan").values():
        for rule in plan.inputs["rules"]:
            days = rule["lifecycle"]["deleteAfter"]
            assert lock.inputs["minRetentionDays"] <= days <= lock.inputs["maxRetentionDays"]
            cold = rule["lifecycle"].get("coldStorageAfter")
            assert cold is None or days >= cold + 90, "AWS keeps in cold storage for 90 days at least"


def test_every_vault_is_encrypted_locked_and_closed_to_deletion() -> None:
    vaults = of_kind("Vault")
    assert set(of_kind("VaultLockConfiguration")) == set(of_kind("VaultPolicy")) == set(vaults)
    for vault in vaults.values():
        assert "keys-backup" in vault.inputs["kmsKeyArn"]
        assert vault.protect
        assert vault.inputs["forceDestroy"] is False


def test_only_the_emergency_role_deletes_recovery_points() -> None:
    for vault in of_kind("VaultPolicy").values():
        document = json.loads(vault.inputs["policy"])
        point = f"arn:aws:backup:eu-central-1:{ACCOUNT}:recovery-point:1"
        for role, refused in (("administrator", True), ("onedallmail-test-break-glass", False)):
            who = {"aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:role/{role}"}
            assert denies(document, Request("backup:DeleteRecoveryPoint", point, who)) is refused


def test_what_carries_the_stack_s_tags_and_a_data_class_is_backed_up() -> None:
    for selection in of_kind("Selection").values():
        classes = {tag["value"] for tag in selection.inputs["selectionTags"]}
        assert classes == {"mail", "directory", "logs"}
        (condition,) = selection.inputs["conditions"]
        assert {c["key"]: c["value"] for c in condition["stringEquals"]} == {
            "aws:ResourceTag/Project": "onedallmail",
            "aws:ResourceTag/Stack": "test",
        }


def test_restores_are_tested_weekly_in_every_region_and_stay_encrypted() -> None:
    plans, selections = of_kind("RestoreTestingPlan"), of_kind("RestoreTestingSelection")
    assert {p.inputs["region"] for p in plans.values()} == {v.inputs["region"] for v in of_kind("Vault").values()}
    assert all(p.inputs["scheduleExpression"] == backup_week() for p in plans.values())
    assert all(s.inputs["restoreMetadataOverrides"]["encrypted"] == "true" for s in selections.values())
    assert all(p.inputs["name"].replace("_", "").isalnum() for p in plans.values()), "AWS takes no hyphens here"


def backup_week() -> str:
    return str(importlib.import_module("components.restore_tests").WEEKLY)


def test_the_role_of_aws_backup_serves_this_account_only() -> None:
    trust = json.loads(of_kind("Role")["backup"].inputs["assumeRolePolicy"])
    (statement,) = trust["Statement"]
    assert statement["Principal"] == {"Service": "backup.amazonaws.com"}
    assert statement["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT}}


def test_each_kind_of_job_of_every_region_is_reported() -> None:
    plans, regions = of_kind("ReportPlan"), {v.inputs["region"] for v in of_kind("Vault").values()}
    templates = {p.inputs["reportSetting"]["reportTemplate"] for p in plans.values()}
    assert templates == {"BACKUP_JOB_REPORT", "COPY_JOB_REPORT", "RESTORE_JOB_REPORT"}
    for plan in plans.values():
        assert set(plan.inputs["reportSetting"]["regions"]) == regions
        assert plan.inputs["name"].replace("_", "").isalnum(), "AWS takes no hyphens here"
        assert plan.inputs["reportDeliveryChannel"]["s3BucketName"] == "reports"


def test_only_the_role_of_the_reports_is_allowed_to_write_them_and_under_the_backup_key() -> None:
    (role,) = of_kind("ServiceLinkedRole").values()
    assert role.inputs["awsServiceName"] == "reports.backup.amazonaws.com"
    allowed = [
        s
        for s in json.loads(of_kind("BucketPolicy")["reports"].inputs["policy"])["Statement"]
        if s["Effect"] == "Allow"
    ]
    (statement,) = allowed
    assert statement["Principal"]["AWS"].endswith(":servicelinkedrole/reports")
    assert statement["Action"] == "s3:PutObject"
    (rule,) = of_kind("BucketServerSideEncryptionConfiguration")["reports"].inputs["rules"]
    assert "keys-backup" in rule["applyServerSideEncryptionByDefault"]["kmsMasterKeyId"]
