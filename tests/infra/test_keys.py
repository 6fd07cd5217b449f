"""Keys: which there are, where, and that nothing ends them by mistake."""

import json

import pytest

from onedallmail.platform.naming import KEY_CLASSES

from .recording import record_program
from .storage_stack import of_kind, storage

REGIONS = (3, 5)


@pytest.mark.parametrize("count", REGIONS)
def test_every_data_class_has_a_key_with_a_replica_in_every_other_region(count: int) -> None:
    primaries = [k for k in of_kind("Key", count).values() if k.inputs.get("multiRegion")]
    assert sorted(k.inputs["tags"]["DataClass"] for k in primaries) == sorted(KEY_CLASSES)
    replicas = [k.inputs for k in of_kind("ReplicaKey", count).values()]
    log_group_region = 1
    assert len(replicas) == (count - 1) * len(KEY_CLASSES) + log_group_region
    for key in primaries:
        mine = [r for r in replicas if r["primaryKeyArn"].endswith(f"/{key.name}")]
        assert key.inputs["region"] not in {r["region"] for r in mine}


def test_keys_rotate_yearly_wait_thirty_days_for_their_end_and_are_protected() -> None:
    keys = {**of_kind("Key"), **of_kind("ReplicaKey")}
    for key in keys.values():
        assert key.inputs["deletionWindowInDays"] == 30, key.name
        assert key.protect, key.name
    for key in of_kind("Key").values():
        if key.inputs.get("multiRegion"):
            assert (key.inputs["enableKeyRotation"], key.inputs["rotationPeriodInDays"]) == (True, 365)


def test_a_lab_can_be_removed() -> None:
    assert not [m.name for m in storage(target="lab") if m.protect]


def test_a_key_has_the_same_alias_in_every_region() -> None:
    aliases = [(a.inputs["name"], a.inputs["region"]) for a in of_kind("Alias").values()]
    assert len(set(aliases)) == len(aliases)
    mail = sorted(region for name, region in aliases if name == "alias/onedallmail-test-mail")
    assert mail == ["eu-central-1", "eu-north-1", "eu-west-1"]


def test_the_key_of_zones_is_where_route_53_takes_it_and_can_only_sign() -> None:
    key = of_kind("Key")["dnssec"].inputs
    assert (key["region"], key["customerMasterKeySpec"], key["keyUsage"]) == (
        "us-east-1",
        "ECC_NIST_P256",
        "SIGN_VERIFY",
    )
    assert "multiRegion" not in key


def test_the_administrator_role_needs_a_second_factor() -> None:
    trust = json.loads(of_kind("Role")["keys"].inputs["assumeRolePolicy"])
    (statement,) = trust["Statement"]
    assert statement["Condition"] == {"Bool": {"aws:MultiFactorAuthPresent": "true"}}


def test_hsms_stand_in_two_zones_and_only_the_witness_reaches_them() -> None:
    hsms = of_kind("Hsm").values()
    assert sorted(h.inputs["subnetId"] for h in hsms) == ["subnet-a", "subnet-b"]
    rules = of_kind("SecurityGroupIngressRule").values()
    assert sorted(r.inputs["fromPort"] for r in rules) == [2223, 2224, 2225]
    assert all(r.inputs["cidrIpv4"].endswith("/32") for r in rules)


def test_the_key_store_comes_with_its_option_and_its_key_is_symmetric_and_of_one_region() -> None:
    assert not of_kind("CustomKeyStore")
    (store,) = of_kind("CustomKeyStore", key_store=True).values()
    assert store.inputs["cloudHsmClusterId"] == "cluster-1"
    key = of_kind("Key", key_store=True)["hsm"].inputs
    assert key["customKeyStoreId"] == store.id
    assert not {"multiRegion", "enableKeyRotation", "customerMasterKeySpec"} & set(key), "KMS refuses these there"


def test_the_example_of_a_keys_stack_makes_keys_and_nothing_else() -> None:
    made = record_program("example-keys")
    kinds = {r.type.split(":")[-1] for r in made if r.type.startswith("aws:")}
    assert kinds == {"Alias", "Key", "ReplicaKey", "Role", "RolePolicy"}
