"""Copies what is written to one bucket into another, of another region, with its lock."""

import json
from typing import Any

import pulumi
import pulumi_aws as aws

from onedallmail.platform.naming import ControlScope, DataClass

from components.buckets import SecureBucket
from components.context import Scope

REPLICATION_TIME_MIN = 15
"""S3's own objective for replication with time control, in minutes; a metric tells when it is missed."""


class BucketReplication(pulumi.ComponentResource):
    """The role that copies, and the rule; deletions are not copied, so that a copy outlives them."""

    role_arn: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        scope: Scope,
        region: str,
        purpose: str,
        source: SecureBucket,
        destination: SecureBucket,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """`region` is the source's. Both buckets must be under a key of the platform.

        Raises:
            ValueError: a bucket is under keys of S3.
        """
        super().__init__("onedallmail:storage:BucketReplication", name, None, opts)
        if source.key_arn is None or destination.key_arn is None:
            msg = f"{name}: copies are made between buckets under keys of the platform: give both buckets a key"
            raise ValueError(msg)
        child = pulumi.ResourceOptions(parent=self)
        role_name = scope.name("replication", purpose, region)
        role = aws.iam.Role(
            name,
            name=role_name,
            description=f"S3 copies {purpose} of {region} to another region",
            assume_role_policy=scope.account_id.apply(_trust),
            tags=scope.tags(role_name, DataClass.NONE, ControlScope.EVIDENCE),
            opts=child,
        )
        permissions = aws.iam.RolePolicy(name, role=role.name, policy=_permissions(source, destination), opts=child)
        aws.s3.BucketReplicationConfig(
            name,
            region=region,
            bucket=source.bucket_name,
            role=role.arn,
            rules=[_rule(purpose, destination)],
            # S3 refuses a rule before both buckets are versioned; and the role must be able to write.
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[source.versioning, destination.versioning, permissions, *destination.ready],
            ),
        )
        self.role_arn = role.arn
        self.register_outputs({"roleArn": self.role_arn})


def _rule(purpose: str, destination: SecureBucket) -> Any:
    minutes = {"minutes": REPLICATION_TIME_MIN}
    return {
        "id": purpose,
        "status": "Enabled",
        "priority": 0,
        "filter": {"prefix": ""},
        "delete_marker_replication": {"status": "Disabled"},
        "source_selection_criteria": {"sse_kms_encrypted_objects": {"status": "Enabled"}},
        "destination": {
            "bucket": destination.bucket_arn,
            "storage_class": "STANDARD_IA",
            "encryption_configuration": {"replica_kms_key_id": destination.key_arn},
            "metrics": {"status": "Enabled", "event_threshold": minutes},
            "replication_time": {"status": "Enabled", "time": minutes},
        },
    }


def _trust(account: str) -> str:
    statement = {
        "Sid": "Replicate",
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"aws:SourceAccount": account}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _permissions(source: SecureBucket, destination: SecureBucket) -> pulumi.Output[str]:
    read = [
        "s3:GetObjectLegalHold",
        "s3:GetObjectRetention",
        "s3:GetObjectVersionAcl",
        "s3:GetObjectVersionForReplication",
        "s3:GetObjectVersionTagging",
    ]
    statements = [
        _allow("ReadRule", ["s3:GetReplicationConfiguration", "s3:ListBucket"], source.bucket_arn),
        _allow("ReadVersions", read, pulumi.Output.concat(source.bucket_arn, "/*")),
        _allow(
            "WriteCopies",
            ["s3:ReplicateObject", "s3:ReplicateTags"],
            pulumi.Output.concat(destination.bucket_arn, "/*"),
        ),
        _allow("OpenSource", ["kms:Decrypt"], source.key_arn),
        _allow("SealCopies", ["kms:Encrypt", "kms:GenerateDataKey"], destination.key_arn),
    ]
    return pulumi.Output.json_dumps({"Version": "2012-10-17", "Statement": statements})


def _allow(sid: str, actions: list[str], resource: Any) -> dict[str, Any]:
    return {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resource}
