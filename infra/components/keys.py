"""The region's KMS key: everything the region stores is encrypted under it."""

import pulumi
import pulumi_aws as aws

from onedallmail.platform.naming import DataClass

from components.context import Context

DELETION_WINDOW_DAYS = 30


class RegionKey(pulumi.ComponentResource):
    """A customer managed key with yearly rotation, found by its alias."""

    arn: pulumi.Output[str]
    alias: pulumi.Output[str]

    def __init__(self, name: str, *, context: Context, region: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("onedallmail:keys:RegionKey", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        key_name = context.name("mail", region)
        key = aws.kms.Key(
            f"{name}-mail",
            region=region,
            description=f"Mail, directory, logs and secrets of {region}",
            enable_key_rotation=True,
            rotation_period_in_days=365,
            deletion_window_in_days=DELETION_WINDOW_DAYS,
            tags=context.tags(key_name, DataClass.KEYS),
            opts=child,
        )
        alias = aws.kms.Alias(
            f"{name}-alias", region=region, name=f"alias/{key_name}", target_key_id=key.key_id, opts=child
        )
        self.arn = key.arn
        self.alias = alias.name
        self.register_outputs({"arn": self.arn, "alias": self.alias})
