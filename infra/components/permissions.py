"""What a server may do in the account: a role, its least-privilege policies and the instance profile."""

import json
from typing import Any

import pulumi
import pulumi_aws as aws

from onedallmail.platform.naming import COPIES_CONTEXT, DataClass
from onedallmail.platform.roles import ServerRole

from components.context import Context
from components.evidence_store import EvidenceStore
from components.keys import Keys
from components.mail_secrets import DkimKeys

SESSION_MANAGER = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
"""AWS's own policy for the agent: its actions know no resources but the calling instance."""


def assume_by_ec2() -> str:
    """Return the trust policy of a role that instances take."""
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
            ],
        }
    )


class ServerProfile(pulumi.ComponentResource):
    """The instance profile of the servers that share a role in a region."""

    profile_name: pulumi.Output[str]
    role_arn: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        context: Context,
        region: str,
        role: ServerRole,
        keys: Keys,
        dkim: DkimKeys,
        evidence: EvidenceStore,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("onedallmail:compute:ServerProfile", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        role_name = context.name(region, role)
        identity = aws.iam.Role(
            name, name=role_name, assume_role_policy=assume_by_ec2(), tags=context.tags(role_name), opts=child
        )
        aws.iam.RolePolicyAttachment(
            f"{name}-session-manager", role=identity.name, policy_arn=SESSION_MANAGER, opts=child
        )
        statements = [
            *_sessions(context, keys, region),
            *(
                [*_copies(context, keys), *_dkim(context, dkim)]
                if role is ServerRole.MAIL
                else _evidence(evidence, keys)
            ),
        ]
        aws.iam.RolePolicy(
            f"{name}-data",
            role=identity.name,
            policy=pulumi.Output.json_dumps({"Version": "2012-10-17", "Statement": statements}),
            opts=child,
        )
        profile = aws.iam.InstanceProfile(
            name, name=role_name, role=identity.name, tags=context.tags(role_name), opts=child
        )
        self.profile_name, self.role_arn = profile.name, identity.arn
        self.register_outputs({"profileName": self.profile_name})


def _allow(sid: str, actions: list[str], resource: Any, condition: dict[str, Any] | None = None) -> dict[str, Any]:
    found = {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resource}
    return {**found, "Condition": condition} if condition else found


def _copies(context: Context, keys: Keys) -> list[dict[str, Any]]:
    """Let a server wrap keys of copies, and open those that another region's server wrapped: the key is one in all."""
    arns = [keys.arn(DataClass.MAIL, region.name) for region in context.platform.config.regions]
    named = {f"kms:EncryptionContext:{name}": value for name, value in COPIES_CONTEXT.items()}
    return [_allow("WrapCopies", ["kms:Decrypt", "kms:GenerateDataKey"], arns, {"StringEquals": named})]


def _sessions(context: Context, keys: Keys, region: str) -> list[dict[str, Any]]:
    """Let the agent open the keys of operators' sessions, which name their instance, and write their records."""
    group = pulumi.Output.concat(
        f"arn:aws:logs:{region}:", context.account_id, f":log-group:{session_log_group(context)}:*"
    )
    actions = ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"]
    session = {"StringLike": {"kms:EncryptionContext:aws:ssm:TargetId": "i-*"}}
    return [
        _allow("OpenSessions", ["kms:Decrypt"], keys.arn(DataClass.LOGS, region), session),
        _allow("RecordSessions", actions, group),
    ]


def session_log_group(context: Context) -> str:
    """Return the name of the log group that keeps what operators did in sessions."""
    return f"/{context.name('sessions')}"


def _dkim(context: Context, dkim: DkimKeys) -> list[dict[str, Any]]:
    via = {"StringEquals": {"kms:ViaService": f"secretsmanager.{context.platform.home}.amazonaws.com"}}
    return [
        _allow("ReadDkimKeys", ["secretsmanager:GetSecretValue"], list(dkim.arns.values())),
        _allow("OpenDkimKeys", ["kms:Decrypt"], dkim.kms_key_arn, via),
    ]


def _evidence(evidence: EvidenceStore, keys: Keys) -> list[dict[str, Any]]:
    objects = pulumi.Output.concat(evidence.bucket_arn, "/*")
    return [
        _allow("WriteEvidence", ["s3:PutObject", "s3:PutObjectRetention"], objects),
        _allow("EncryptEvidence", ["kms:GenerateDataKey"], keys.arn(DataClass.EVIDENCE, evidence.region)),
    ]
