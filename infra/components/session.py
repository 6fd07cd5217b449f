"""Session Manager of a region: sessions are encrypted under the logs key, recorded, and end when they are idle."""

import json
from typing import Any

import pulumi
import pulumi_aws as aws

from onedallmail.platform.naming import DataClass

from components.context import Context
from components.keys import Keys
from components.permissions import session_log_group

PREFERENCES = "SSM-SessionManagerRunShell"
"""The document that Session Manager looks for its preferences in; the name is AWS's."""
IDLE_MINUTES = "15"
LONGEST_MINUTES = "120"


class SessionManager(pulumi.ComponentResource):
    """Preferences and records of operators' sessions.

    What runs inside an SSH session through it (Ansible's way) is encrypted end to end, so AWS records its begin and
    end only; the servers' own logs have the rest.
    """

    def __init__(
        self,
        name: str,
        *,
        context: Context,
        region: str,
        keys: Keys,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("onedallmail:compute:SessionManager", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        group_name = session_log_group(context)
        group = aws.cloudwatch.LogGroup(
            name,
            region=region,
            name=group_name,
            retention_in_days=context.platform.config.log_retention_days,
            kms_key_id=keys.arn(DataClass.LOGS, region),
            tags=context.tags(group_name, DataClass.LOGS),
            opts=child,
        )
        aws.ssm.Document(
            name,
            region=region,
            name=PREFERENCES,
            document_type="Session",
            document_format="JSON",
            content=pulumi.Output.all(group.name, keys.arn(DataClass.LOGS, region)).apply(
                lambda known: json.dumps(preferences(*known))
            ),
            tags=context.tags(context.name(region, "sessions")),
            opts=child,
        )
        self.register_outputs({})


def preferences(log_group: str, key_arn: str) -> dict[str, Any]:
    """Return Session Manager's preferences (schema version 1.0 of its session documents)."""
    return {
        "schemaVersion": "1.0",
        "description": "Sessions are encrypted, recorded and limited in time",
        "sessionType": "Standard_Stream",
        "inputs": {
            "s3BucketName": "",
            "s3KeyPrefix": "",
            "s3EncryptionEnabled": True,
            "cloudWatchLogGroupName": log_group,
            "cloudWatchEncryptionEnabled": True,
            "cloudWatchStreamingEnabled": True,
            "kmsKeyId": key_arn,
            "runAsEnabled": True,
            "runAsDefaultUser": "admin",
            "idleSessionTimeout": IDLE_MINUTES,
            "maxSessionDuration": LONGEST_MINUTES,
            "shellProfile": {"linux": "exec /bin/bash --login"},
        },
    }
