"""DKIM private keys in Secrets Manager, one secret a domain, encrypted under the key of mail."""

import pulumi
import pulumi_aws as aws

from onedallmail.platform.naming import DataClass

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
            aws.secretsmanager.SecretVersion(
                f"{name}-{domain}",
                region=region,
                secret_id=secret.id,
                secret_string=context.dkim_private_keys[domain],
                opts=child,
            )
            self.arns[domain] = secret.arn
        self.register_outputs({"arns": self.arns})
