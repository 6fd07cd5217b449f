"""Shield Advanced on what the internet reaches: balancers' addresses, web balancers, accelerator, zones."""

from collections.abc import Mapping

import pulumi
import pulumi_aws as aws

from onedallmail.platform.short_names import short_name

from components.context import Context

PROTECTION_LENGTH = 128


class ShieldProtections(pulumi.ComponentResource):
    """A protection for each resource, and one group of all, so that an attack on any is judged on the whole.

    The account's subscription is a commitment for a year and is made by a person once; without it AWS refuses these.
    """

    def __init__(
        self,
        name: str,
        *,
        context: Context,
        arns: Mapping[str, pulumi.Input[str]],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("onedallmail:edge:ShieldProtections", name, None, opts)
        protections = [
            aws.shield.Protection(
                f"{name}-{what}",
                name=short_name(context.stack, what, length=PROTECTION_LENGTH),
                resource_arn=arn,
                tags=context.tags(context.name(what)),
                opts=pulumi.ResourceOptions(parent=self),
            )
            for what, arn in arns.items()
        ]
        group = short_name(context.stack, "public", length=36)
        aws.shield.ProtectionGroup(
            name,
            protection_group_id=group,
            aggregation="MAX",
            pattern="ALL",
            tags=context.tags(context.name("public")),
            # The pattern names nobody: it takes in the protections that exist when the group is made.
            opts=pulumi.ResourceOptions(parent=self, depends_on=protections),
        )
        self.register_outputs({})
