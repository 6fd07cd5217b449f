"""S3 buckets and the settings that are resources of their own."""

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from .api import CLAIM_TAG, Api, Handler, Values, code, present, tag_list

FIRST_REGION = "us-east-1"
"""The one region that S3 does not want as a location constraint."""


def _create_bucket(api: Api, inputs: Values, claim: str) -> tuple[str, Values]:
    s3, name, region = api("s3", inputs["region"]), inputs["bucket"], inputs["region"]
    location = {} if region == FIRST_REGION else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    if not _is_ours(s3, name, claim):
        s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=bool(inputs.get("objectLockEnabled")), **location)
    _tag(s3, name, inputs, claim)
    domain = f"{name}.s3.amazonaws.com"
    outputs = {"bucket": name, "arn": f"arn:aws:s3:::{name}", "bucketDomainName": domain, "bucketRegion": region}
    return name, {**outputs, "bucketRegionalDomainName": f"{name}.s3.{region}.amazonaws.com"}


def _is_ours(s3: Any, name: str, claim: str) -> bool:
    """Tell whether an earlier, killed run made this very bucket; one without a mark lost its run before that."""
    try:
        tags = s3.get_bucket_tagging(Bucket=name)["TagSet"]
    except ClientError as error:
        return code(error) == "NoSuchTagSet"
    return {"Key": CLAIM_TAG, "Value": claim} in tags


def _tag(s3: Any, name: str, inputs: Values, claim: str) -> None:
    tags = tag_list({**(inputs.get("tags") or {}), CLAIM_TAG: claim})
    s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": tags})


def _update_bucket(api: Api, name: str, _: Values, inputs: Values) -> Values:
    s3 = api("s3", inputs["region"])
    tags = s3.get_bucket_tagging(Bucket=name)["TagSet"]
    claim = next((t["Value"] for t in tags if t["Key"] == CLAIM_TAG), "")
    _tag(s3, name, inputs, claim)
    return {}


def _delete_bucket(api: Api, name: str, inputs: Values) -> None:
    s3 = api("s3", inputs["region"])
    if inputs.get("forceDestroy"):
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=name):
            for item in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
                s3.delete_object(Bucket=name, Key=item["Key"], VersionId=item["VersionId"])
    s3.delete_bucket(Bucket=name)


def _probe(api: Api, name: str, known: Values) -> None:
    api("s3", known["region"]).head_bucket(Bucket=name)


def setting(put: Callable[[Any, Values], object], remove: Callable[[Any, str], object], *inputs: str) -> Handler:
    """Return the handler of a bucket's setting, whose id is the bucket's name."""

    def create(api: Api, values: Values, _: str) -> tuple[str, Values]:
        put(api("s3", values["region"]), values)
        return values["bucket"], {}

    def update(api: Api, _id: str, _old: Values, values: Values) -> Values:
        put(api("s3", values["region"]), values)
        return {}

    def delete(api: Api, name: str, values: Values) -> None:
        remove(api("s3", values["region"]), name)

    return Handler(create=create, update=update, delete=delete, probe=_probe, inputs=frozenset({"bucket", *inputs}))


def _put_versioning(s3: Any, values: Values) -> None:
    wanted = values["versioningConfiguration"]
    settings = present(Status=wanted["status"], MFADelete=wanted.get("mfaDelete"))
    s3.put_bucket_versioning(Bucket=values["bucket"], VersioningConfiguration=settings)


def _suspend_versioning(s3: Any, name: str) -> None:
    try:
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Suspended"})
    except ClientError as error:
        if code(error) != "InvalidBucketState":  # Object Lock keeps versioning on for the bucket's life
            raise


def _put_lock(s3: Any, values: Values) -> None:
    wanted = (values.get("rule") or {}).get("defaultRetention")
    settings: Values = {"ObjectLockEnabled": "Enabled"}
    if wanted:
        retention = present(Mode=wanted.get("mode"), Days=wanted.get("days"), Years=wanted.get("years"))
        settings["Rule"] = {"DefaultRetention": retention}
    s3.put_object_lock_configuration(Bucket=values["bucket"], ObjectLockConfiguration=settings)


def _clear_lock(s3: Any, name: str) -> None:
    s3.put_object_lock_configuration(Bucket=name, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled"})


ACCESS = ("blockPublicAcls", "ignorePublicAcls", "blockPublicPolicy", "restrictPublicBuckets")


def _put_access(s3: Any, values: Values) -> None:
    settings = {name[0].upper() + name[1:]: bool(values.get(name)) for name in ACCESS}
    s3.put_public_access_block(Bucket=values["bucket"], PublicAccessBlockConfiguration=settings)


def _put_encryption(s3: Any, values: Values) -> None:
    rules = []
    for rule in values["rules"]:
        wanted = rule.get("applyServerSideEncryptionByDefault") or {}
        default = present(SSEAlgorithm=wanted.get("sseAlgorithm"), KMSMasterKeyID=wanted.get("kmsMasterKeyId"))
        applied = {"ApplyServerSideEncryptionByDefault": default} if default else {}
        rules.append({**applied, **present(BucketKeyEnabled=rule.get("bucketKeyEnabled"))})
    s3.put_bucket_encryption(Bucket=values["bucket"], ServerSideEncryptionConfiguration={"Rules": rules})


def _put_policy(s3: Any, values: Values) -> None:
    s3.put_bucket_policy(Bucket=values["bucket"], Policy=values["policy"])


HANDLERS = {
    "aws:s3/bucket:Bucket": Handler(
        create=_create_bucket,
        update=_update_bucket,
        delete=_delete_bucket,
        probe=_probe,
        inputs=frozenset({"bucket", "bucketPrefix", "objectLockEnabled", "forceDestroy"}),
    ),
    "aws:s3/bucketVersioning:BucketVersioning": setting(
        _put_versioning, _suspend_versioning, "versioningConfiguration"
    ),
    "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration": setting(
        _put_lock, _clear_lock, "objectLockEnabled", "rule"
    ),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": setting(
        _put_access, lambda s3, name: s3.delete_public_access_block(Bucket=name), *ACCESS
    ),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": setting(
        _put_encryption, lambda s3, name: s3.delete_bucket_encryption(Bucket=name), "rules"
    ),
    "aws:s3/bucketPolicy:BucketPolicy": setting(
        _put_policy, lambda s3, name: s3.delete_bucket_policy(Bucket=name), "policy"
    ),
}
