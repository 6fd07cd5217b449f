"""What a server may do in the account: a role, its least-privilege policy and the instance profile."""

import json
from typing import Any

import pulumi
import pulumi_aws as aws

from onedallmail.platform.roles import ServerRole

from components.context import Context
from components.evidence_store import EvidenceStore
from components.keys import RegionKey
from components.mail_secrets import DkimKeys

ASSUME_BY_EC2 = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
)
SESSION_MANAGER = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"


class ServerProfile(pulumi.ComponentResource):
    """The instance profile of the servers that share a role in a region."""

    profile_name: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        context: Context,
        region: str,
        role: ServerRole,
        key: RegionKey,
        dkim: DkimKeys,
        evidence: EvidenceStore,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("onedallmail:compute:ServerProfile", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        role_name = context.name(region, role)
        identity = aws.iam.Role(
            name,
            name=role_name,
            assume_role_policy=ASSUME_BY_EC2,
            tags=context.tags(role_name),
            opts=child,
        )
        aws.iam.RolePolicyAttachment(
            f"{name}-session-manager", role=identity.name, policy_arn=SESSION_MANAGER, opts=child
        )
        aws.iam.RolePolicy(
            f"{name}-data",
            role=identity.name,
            policy=_policy(role, key, dkim, evidence),
            opts=child,
        )
        profile = aws.iam.InstanceProfile(
            name, name=role_name, role=identity.name, tags=context.tags(role_name), opts=child
        )
        self.profile_name = profile.name
        self.register_outputs({"profileName": self.profile_name})


def _policy(role: ServerRole, key: RegionKey, dkim: DkimKeys, evidence: EvidenceStore) -> pulumi.Output[str]:
    statements: list[dict[str, Any]] = [
        {
            "Sid": "UseRegionKey",
            "Effect": "Allow",
            "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
            "Resource": key.arn,
        }
    ]
    if role is ServerRole.MAIL:
        statements.append(
            {
                "Sid": "ReadDkimKeys",
                "Effect": "Allow",
                "Action": ["secretsmanager:GetSecretValue"],
                "Resource": list(dkim.arns.values()),
            }
        )
        statements.append(
            {"Sid": "OpenDkimKeys", "Effect": "Allow", "Action": ["kms:Decrypt"], "Resource": dkim.kms_key_arn}
        )
    else:
        statements.append(
            {
                "Sid": "WriteEvidence",
                "Effect": "Allow",
                "Action": ["s3:PutObject", "s3:PutObjectRetention"],
                "Resource": pulumi.Output.concat(evidence.bucket_arn, "/*"),
            }
        )
    return pulumi.Output.json_dumps({"Version": "2012-10-17", "Statement": statements})
