"""DKIM private keys in Secrets Manager, one secret a domain, encrypted under the key of mail."""

import json

import pulumi
import pulumi_aws as aws

from onedallmail.platform.naming import DataClass
from onedallmail.platform.roles import ServerRole

from components.context import Context

RECOVERY_WINDOW_DAYS = 30
"""The longest that Secrets Manager offers."""


class DkimKeys(pulumi.ComponentResource):
    """The secrets that mail servers sign with.

    They are not rotated by Secrets Manager: a new key signs nothing before its public half is in the DNS, so
    `onedallmail keys dkim` makes both and the next `up` publishes them.
    """

    arns: dict[str, pulumi.Output[str]]
    kms_key_arn: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        context: Context,
        region: str,
        kms_key_arn: pulumi.Output[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("onedallmail:keys:DkimKeys", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.arns, self.kms_key_arn = {}, kms_key_arn
        # A name stays taken while its deletion is pending; a lab must come back under the same name at once.
        window = RECOVERY_WINDOW_DAYS if context.lasting else 0
        for domain in context.platform.domains:
            secret_name = context.name("dkim", domain)
            secret = aws.secretsmanager.Secret(
                f"{name}-{domain}",
                region=region,
                name=secret_name,
                description=f"DKIM private key of {domain} (PEM)",
                kms_key_id=kms_key_arn,
                recovery_window_in_days=window,
                tags=context.tags(secret_name, DataClass.KEYS),
                opts=child,
            )
            aws.secretsmanager.SecretPolicy(
                f"{name}-{domain}",
                region=region,
                secret_arn=secret.arn,
                policy=context.account_id.apply(lambda account: readers(account, context.name())),
                block_public_policy=True,
                opts=child,
            )
            aws.secretsmanager.SecretVersion(
                f"{name}-{domain}",
                region=region,
                secret_id=secret.id,
                secret_string=context.dkim_private_keys[domain],
                opts=child,
            )
            self.arns[domain] = secret.arn
        self.register_outputs({"arns": self.arns})


def readers(account: str, prefix: str) -> str:
    """Return the policy of a secret: nobody of another account, and of the stack's own roles the mail servers' alone.

    Args:
        account: the account of the secret.
        prefix: what names of the stack's roles begin with.
    """
    role = f"arn:aws:iam::{account}:role/{prefix}"
    others = {
        "ArnLike": {"aws:PrincipalArn": f"{role}-*"},
        "ArnNotLike": {"aws:PrincipalArn": f"{role}-*-{ServerRole.MAIL}"},
    }
    statements = [
        _deny("OwnAccount", "secretsmanager:*", {"StringNotEquals": {"aws:PrincipalAccount": account}}),
        _deny("MailServers", "secretsmanager:GetSecretValue", others),
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def _deny(sid: str, action: str, condition: dict[str, dict[str, str]]) -> dict[str, object]:
    return {"Sid": sid, "Effect": "Deny", "Principal": "*", "Action": action, "Resource": "*", "Condition": condition}
