"""Secrets and their versions."""

import base64
from typing import Any

from botocore.exceptions import ClientError

from .api import CLAIM_TAG, Api, Handler, Values, code, gone_tags, present, tag_list

SERVICE = "secretsmanager"
DEFAULT_WINDOW_DAYS = 30
CURRENT = "AWSCURRENT"


def _create_secret(api: Api, inputs: Values, claim: str) -> tuple[str, Values]:
    client = api(SERVICE, inputs["region"])
    tags = tag_list({**(inputs.get("tags") or {}), CLAIM_TAG: claim})
    settings = present(Description=inputs.get("description"), KmsKeyId=inputs.get("kmsKeyId"))
    try:
        arn = client.create_secret(Name=inputs["name"], Tags=tags, **settings)["ARN"]
    except ClientError as error:
        if code(error) != "ResourceExistsException":
            raise
        found = client.describe_secret(SecretId=inputs["name"])
        if {"Key": CLAIM_TAG, "Value": claim} not in found.get("Tags", ()):
            raise
        arn = found["ARN"]  # a run that was killed made it
    _policy_and_replicas(client, arn, {}, inputs)
    return arn, {"arn": arn}


def _policy_and_replicas(client: Any, arn: str, old: Values, inputs: Values) -> None:
    if inputs.get("policy"):
        client.put_resource_policy(SecretId=arn, ResourcePolicy=inputs["policy"])
    elif old.get("policy"):
        client.delete_resource_policy(SecretId=arn)
    before, after = ({r["region"]: r for r in v.get("replicas") or []} for v in (old, inputs))
    if gone := sorted(set(before) - set(after)):
        client.remove_regions_from_replication(SecretId=arn, RemoveReplicaRegions=gone)
    if added := [after[region] for region in sorted(set(after) - set(before))]:
        wanted = [present(Region=r["region"], KmsKeyId=r.get("kmsKeyId")) for r in added]
        client.replicate_secret_to_regions(SecretId=arn, AddReplicaRegions=wanted)


def _update_secret(api: Api, arn: str, old: Values, inputs: Values) -> Values:
    client = api(SERVICE, inputs["region"])
    changed = [name for name in ("description", "kmsKeyId") if old.get(name) != inputs.get(name)]
    if changed:
        client.update_secret(
            SecretId=arn, Description=inputs.get("description") or "", **present(KmsKeyId=inputs.get("kmsKeyId"))
        )
    if gone := gone_tags(old, inputs):
        client.untag_resource(SecretId=arn, TagKeys=gone)
    if inputs.get("tags"):
        client.tag_resource(SecretId=arn, Tags=tag_list(inputs["tags"]))
    _policy_and_replicas(client, arn, old, inputs)
    return {}


def _delete_secret(api: Api, arn: str, inputs: Values) -> None:
    window = inputs.get("recoveryWindowInDays", DEFAULT_WINDOW_DAYS)
    how: dict[str, Any] = {"RecoveryWindowInDays": window} if window else {"ForceDeleteWithoutRecovery": True}
    client = api(SERVICE, inputs["region"])
    if regions := sorted(r["region"] for r in inputs.get("replicas") or []):
        client.remove_regions_from_replication(SecretId=arn, RemoveReplicaRegions=regions)
    try:
        client.delete_secret(SecretId=arn, **how)
    except ClientError as error:
        if code(error) != "InvalidRequestException":  # it is scheduled for deletion already
            raise


def _probe_secret(api: Api, arn: str, known: Values) -> None:
    api(SERVICE, known.get("region") or arn.split(":")[3]).describe_secret(SecretId=arn)


def _create_version(api: Api, inputs: Values, _: str) -> tuple[str, Values]:
    binary = inputs.get("secretBinary")
    made = api(SERVICE, inputs["region"]).put_secret_value(
        SecretId=inputs["secretId"],
        **present(
            SecretString=inputs.get("secretString"),
            SecretBinary=base64.b64decode(binary) if binary else None,
            VersionStages=inputs.get("versionStages"),
        ),
    )
    version = made["VersionId"]
    outputs = {"arn": made["ARN"], "versionId": version, "versionStages": made["VersionStages"]}
    return f"{inputs['secretId']}|{version}", outputs


def _update_version(api: Api, identifier: str, old: Values, inputs: Values) -> Values:
    secret, version = identifier.split("|")
    client = api(SERVICE, inputs["region"])
    before, after = set(old.get("versionStages") or [CURRENT]), set(inputs.get("versionStages") or [CURRENT])
    for stage in sorted(after - before):
        client.update_secret_version_stage(SecretId=secret, VersionStage=stage, MoveToVersionId=version)
    for stage in sorted(before - after - {CURRENT}):
        client.update_secret_version_stage(SecretId=secret, VersionStage=stage, RemoveFromVersionId=version)
    return {"versionStages": sorted(after)}


def _delete_version(api: Api, identifier: str, inputs: Values) -> None:
    secret, version = identifier.split("|")
    client = api(SERVICE, inputs["region"])
    stages = client.describe_secret(SecretId=secret).get("VersionIdsToStages", {}).get(version, [])
    for stage in stages:
        if stage != CURRENT:  # the current version goes with its secret only
            client.update_secret_version_stage(SecretId=secret, VersionStage=stage, RemoveFromVersionId=version)


def _probe_version(api: Api, identifier: str, known: Values) -> None:
    secret, version = identifier.split("|")
    client = api(SERVICE, known.get("region") or secret.split(":")[3])
    client.get_secret_value(SecretId=secret, VersionId=version)


HANDLERS = {
    "aws:secretsmanager/secret:Secret": Handler(
        create=_create_secret,
        update=_update_secret,
        delete=_delete_secret,
        probe=_probe_secret,
        inputs=frozenset(
            {"name", "namePrefix", "description", "kmsKeyId", "recoveryWindowInDays", "policy", "replicas"}
        ),
    ),
    "aws:secretsmanager/secretVersion:SecretVersion": Handler(
        create=_create_version,
        update=_update_version,
        delete=_delete_version,
        probe=_probe_version,
        inputs=frozenset({"secretId", "secretString", "secretBinary", "versionStages"}),
    ),
}
