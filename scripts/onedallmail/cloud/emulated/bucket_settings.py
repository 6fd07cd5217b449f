"""Settings of a bucket that are documents: ownership, logs, lifecycle, replication, notifications."""

from typing import Any

from .api import Handler, Values, present
from .s3 import setting

RENAMED = {"id": "ID", "replicaKmsKeyId": "ReplicaKmsKeyID"}
"""Members of the S3 API that are not the property's name with a capital letter."""

LISTED = {
    "BucketNotification": {
        "queues": ("QueueConfigurations", "queueArn", "QueueArn"),
        "topics": ("TopicConfigurations", "topicArn", "TopicArn"),
        "lambdaFunctions": ("LambdaFunctionConfigurations", "lambdaFunctionArn", "LambdaFunctionArn"),
    }
}


def api_form(value: Any) -> Any:
    """Return properties as the S3 API names them; what is not stated is left out."""
    if isinstance(value, list):
        return [api_form(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        RENAMED.get(name, name[0].upper() + name[1:]): _tags(item) if name == "tags" else api_form(item)
        for name, item in value.items()
        if item is not None
    }


def _tags(tags: Any) -> Any:
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())] if isinstance(tags, dict) else tags


def _put_ownership(s3: Any, values: Values) -> None:
    controls = {"Rules": [api_form(values["rule"])]}
    s3.put_bucket_ownership_controls(Bucket=values["bucket"], OwnershipControls=controls)


def _put_logging(s3: Any, values: Values) -> None:
    stated = {k: values.get(k) for k in ("targetBucket", "targetPrefix", "targetObjectKeyFormat")}
    s3.put_bucket_logging(Bucket=values["bucket"], BucketLoggingStatus={"LoggingEnabled": api_form(stated)})


def _stop_logging(s3: Any, name: str) -> None:
    s3.put_bucket_logging(Bucket=name, BucketLoggingStatus={})


def _put_lifecycle(s3: Any, values: Values) -> None:
    rules = [{"Filter": {"Prefix": ""}, **api_form(rule)} for rule in values.get("rules") or []]
    rules = [{k: v for k, v in rule.items() if k != "Filter" or "Prefix" not in rule} for rule in rules]
    s3.put_bucket_lifecycle_configuration(Bucket=values["bucket"], LifecycleConfiguration={"Rules": rules})


def _put_replication(s3: Any, values: Values) -> None:
    wanted = {"Role": values["role"], "Rules": [api_form(rule) for rule in values["rules"]]}
    s3.put_bucket_replication(Bucket=values["bucket"], ReplicationConfiguration=wanted)


def _put_notification(s3: Any, values: Values) -> None:
    settings: Values = {}
    for name, (member, arn, api_arn) in LISTED["BucketNotification"].items():
        if stated := values.get(name):
            settings[member] = [_receiver(item, arn, api_arn) for item in stated]
    if values.get("eventbridge"):
        settings["EventBridgeConfiguration"] = {}
    s3.put_bucket_notification_configuration(Bucket=values["bucket"], NotificationConfiguration=settings)


def _receiver(item: Values, arn: str, api_arn: str) -> Values:
    limits = {"prefix": item.get("filterPrefix"), "suffix": item.get("filterSuffix")}
    rules = [{"Name": name, "Value": value} for name, value in limits.items() if value]
    return present(
        Id=item.get("id"),
        Events=item["events"],
        Filter={"Key": {"FilterRules": rules}} if rules else None,
        **{api_arn: item[arn]},
    )


def _stop_notification(s3: Any, name: str) -> None:
    s3.put_bucket_notification_configuration(Bucket=name, NotificationConfiguration={})


HANDLERS: dict[str, Handler] = {
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": setting(
        _put_ownership, lambda s3, name: s3.delete_bucket_ownership_controls(Bucket=name), "rule"
    ),
    "aws:s3/bucketLogging:BucketLogging": setting(
        _put_logging, _stop_logging, "targetBucket", "targetPrefix", "targetObjectKeyFormat"
    ),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": setting(
        _put_lifecycle, lambda s3, name: s3.delete_bucket_lifecycle(Bucket=name), "rules"
    ),
    "aws:s3/bucketReplicationConfig:BucketReplicationConfig": setting(
        _put_replication, lambda s3, name: s3.delete_bucket_replication(Bucket=name), "role", "rules"
    ),
    "aws:s3/bucketNotification:BucketNotification": setting(
        _put_notification, _stop_notification, "queues", "topics", "lambdaFunctions", "eventbridge"
    ),
}
