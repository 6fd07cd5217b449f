"""KMS keys, aliases and replica keys."""

import json
from typing import Any

from botocore.exceptions import ClientError

from .api import Api, Handler, RefusedError, Values, code, gone_tags, present, tag_list

DEFAULT_WINDOW_DAYS = 30


def _settings(kms: Any, key: str, inputs: Values) -> Values:
    """Bring rotation and state to what the inputs say; return the outputs that AWS gives."""
    if inputs.get("enableKeyRotation"):
        kms.enable_key_rotation(KeyId=key, **present(RotationPeriodInDays=inputs.get("rotationPeriodInDays")))
    elif "enableKeyRotation" in inputs:
        kms.disable_key_rotation(KeyId=key)
    if inputs.get("isEnabled", inputs.get("enabled", True)):
        kms.enable_key(KeyId=key)
    else:
        kms.disable_key(KeyId=key)
    facts = kms.describe_key(KeyId=key)["KeyMetadata"]
    outputs = {
        "arn": facts["Arn"],
        "keyId": facts["KeyId"],
        "keyUsage": facts.get("KeyUsage", inputs.get("keyUsage", "ENCRYPT_DECRYPT")),
    }
    outputs |= {"multiRegion": facts.get("MultiRegion", False), "tagsAll": inputs.get("tags") or {}}
    return {**outputs, "policy": inputs.get("policy") or kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"]}


def _create_key(api: Api, inputs: Values, _: str) -> tuple[str, Values]:
    kms = api("kms", inputs["region"])
    made = kms.create_key(
        **present(
            Description=inputs.get("description"),
            KeyUsage=inputs.get("keyUsage"),
            KeySpec=inputs.get("customerMasterKeySpec"),
            MultiRegion=inputs.get("multiRegion"),
            Policy=inputs.get("policy"),
            Tags=tag_list(inputs.get("tags"), "TagKey", "TagValue"),
        )
    )
    key = made["KeyMetadata"]["KeyId"]
    return key, _settings(kms, key, inputs)


def _create_replica(api: Api, inputs: Values, _: str) -> tuple[str, Values]:
    primary, region = inputs["primaryKeyArn"], inputs["region"]
    key = primary.rpartition("/")[2]
    api("kms", primary.split(":")[3]).replicate_key(KeyId=key, ReplicaRegion=region)
    # The emulator's replica begins as a copy of its primary, whatever the request says.
    kms = api("kms", region)
    kms.update_key_description(KeyId=key, Description=inputs.get("description") or "")
    if inputs.get("policy"):
        kms.put_key_policy(KeyId=key, PolicyName="default", Policy=inputs["policy"])
    if inputs.get("tags"):
        kms.tag_resource(KeyId=key, Tags=tag_list(inputs["tags"], "TagKey", "TagValue"))
    return key, {**_settings(kms, key, inputs), **_material(kms, key)}


def _material(kms: Any, key: str) -> Values:
    """Return what a replica has from its primary."""
    rotated = kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"]
    return {"keySpec": kms.describe_key(KeyId=key)["KeyMetadata"]["KeySpec"], "keyRotationEnabled": rotated}


def _update_key(api: Api, key: str, old: Values, inputs: Values) -> Values:
    kms = api("kms", inputs["region"])
    if old.get("description") != inputs.get("description"):
        kms.update_key_description(KeyId=key, Description=inputs.get("description") or "")
    if inputs.get("policy") and old.get("policy") != inputs["policy"]:
        kms.put_key_policy(KeyId=key, PolicyName="default", Policy=inputs["policy"])
    if gone := gone_tags(old, inputs):
        kms.untag_resource(KeyId=key, TagKeys=gone)
    if inputs.get("tags"):
        kms.tag_resource(KeyId=key, Tags=tag_list(inputs["tags"], "TagKey", "TagValue"))
    return _settings(kms, key, inputs)


def _delete_key(api: Api, key: str, inputs: Values) -> None:
    try:
        api("kms", inputs["region"]).schedule_key_deletion(
            KeyId=key, PendingWindowInDays=inputs.get("deletionWindowInDays") or DEFAULT_WINDOW_DAYS
        )
    except ClientError as error:
        if code(error) != "KMSInvalidStateException":  # it is scheduled for deletion already
            raise


def _probe_key(api: Api, key: str, known: Values) -> None:
    api("kms", known["region"]).describe_key(KeyId=key)


def _alias_facts(kms: Any, name: str) -> Values:
    target = kms.describe_key(KeyId=name)["KeyMetadata"]
    place = target["Arn"].rpartition(":key/")[0]
    return {"arn": f"{place}:{name}", "targetKeyArn": target["Arn"]}


def _create_alias(api: Api, inputs: Values, _: str) -> tuple[str, Values]:
    kms, name = api("kms", inputs["region"]), inputs["name"]
    if not name.startswith("alias/"):
        msg = f"name: '{name}' must begin with alias/"
        raise RefusedError(msg)
    try:
        kms.create_alias(AliasName=name, TargetKeyId=inputs["targetKeyId"])
    except ClientError as error:
        ours = code(error) == "AlreadyExistsException" and _alias_facts(kms, name)["targetKeyArn"].endswith(
            inputs["targetKeyId"].rpartition("/")[2]
        )
        if not ours:
            raise
    return name, _alias_facts(kms, name)


def _update_alias(api: Api, name: str, _: Values, inputs: Values) -> Values:
    kms = api("kms", inputs["region"])
    kms.update_alias(AliasName=name, TargetKeyId=inputs["targetKeyId"])
    return _alias_facts(kms, name)


def _delete_alias(api: Api, name: str, inputs: Values) -> None:
    api("kms", inputs["region"]).delete_alias(AliasName=name)


def _probe_alias(api: Api, name: str, known: Values) -> None:
    api("kms", known["region"]).describe_key(KeyId=name)


def _put_policy(api: Api, inputs: Values, _: str) -> tuple[str, Values]:
    key = inputs["keyId"]
    api("kms", inputs["region"]).put_key_policy(KeyId=key, PolicyName="default", Policy=inputs["policy"])
    return key, {}


def _update_policy(api: Api, _id: str, _old: Values, inputs: Values) -> Values:
    _put_policy(api, inputs, "")
    return {}


def _reset_policy(api: Api, key: str, inputs: Values) -> None:
    """Give the key the policy that it has from its creation: the account decides (as the AWS provider does)."""
    account = api("kms", inputs["region"]).describe_key(KeyId=key)["KeyMetadata"]["AWSAccountId"]
    statement = {
        "Sid": "Enable IAM User Permissions",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
        "Action": "kms:*",
        "Resource": "*",
    }
    text = json.dumps({"Version": "2012-10-17", "Id": "default", "Statement": [statement]})
    api("kms", inputs["region"]).put_key_policy(KeyId=key, PolicyName="default", Policy=text)


COMMON_INPUTS = frozenset({"description", "policy", "deletionWindowInDays", "bypassPolicyLockoutSafetyCheck"})
KEY_INPUTS = COMMON_INPUTS | {
    "keyUsage",
    "customerMasterKeySpec",
    "multiRegion",
    "enableKeyRotation",
    "rotationPeriodInDays",
    "isEnabled",
    # Where the material lies: the emulator has no HSM, so that such a key is one of its own, too.
    "customKeyStoreId",
}
REPLICA_INPUTS = COMMON_INPUTS | {"primaryKeyArn", "enabled"}

HANDLERS = {
    "aws:kms/key:Key": Handler(
        create=_create_key, update=_update_key, delete=_delete_key, probe=_probe_key, inputs=KEY_INPUTS
    ),
    "aws:kms/replicaKey:ReplicaKey": Handler(
        create=_create_replica, update=_update_key, delete=_delete_key, probe=_probe_key, inputs=REPLICA_INPUTS
    ),
    "aws:kms/keyPolicy:KeyPolicy": Handler(
        create=_put_policy,
        update=_update_policy,
        delete=_reset_policy,
        probe=_probe_key,
        inputs=frozenset({"keyId", "policy", "bypassPolicyLockoutSafetyCheck"}),
    ),
    "aws:kms/alias:Alias": Handler(
        create=_create_alias,
        update=_update_alias,
        delete=_delete_alias,
        probe=_probe_alias,
        inputs=frozenset({"name", "namePrefix", "targetKeyId"}),
    ),
}
