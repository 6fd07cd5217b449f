"""What every component needs to know: its stack's names and tags, and for a platform the model behind it."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pulumi
import pulumi_aws as aws

from onedallmail.platform.accounts import AnyConfig, parse_any
from onedallmail.platform.model import Platform, build_platform
from onedallmail.platform.naming import ControlScope, DataClass, resource_name, tags
from onedallmail.platform.stack import StackConfig, StackError, settings_from_config


@dataclass(frozen=True)
class Scope:
    """A stack as its resources see it: names, tags, account. Enough for components that stacks of all kinds have."""

    stack: str
    owner: str
    target: str
    stated_account: str | None

    @classmethod
    def of(cls, config: AnyConfig) -> "Scope":
        """Return the scope of a stack."""
        return cls(stack=config.stack, owner=config.owner, target=config.target, stated_account=config.account_id)

    @cached_property
    def account_id(self) -> pulumi.Output[str]:
        """The account's id: the one that the stack file states, otherwise the one of the credentials."""
        if self.stated_account:
            return pulumi.Output.from_input(self.stated_account)
        return aws.get_caller_identity_output().account_id

    @property
    def lasting(self) -> bool:
        """Whether the stack's data shall outlive mistakes: in a cloud yes; a lab is removed and made again."""
        return self.target == "aws"

    def name(self, *parts: str) -> str:
        """Return the name of a resource of this stack."""
        return resource_name(self.stack, *parts)

    def tags(
        self,
        name: str,
        data_class: DataClass = DataClass.NONE,
        scope: ControlScope = ControlScope.PLATFORM,
    ) -> dict[str, str]:
        """Return the tags of a resource of this stack."""
        return tags(stack=self.stack, owner=self.owner, name=name, data_class=data_class, scope=scope)


@dataclass(frozen=True)
class Context(Scope):
    """A platform stack: its model, and the DKIM keys it was given."""

    platform: Platform
    dkim_public_keys: Mapping[str, str]
    dkim_private_keys: pulumi.Output[Mapping[str, str]]

    @classmethod
    def from_config(cls, stack: StackConfig, config: pulumi.Config) -> "Context":
        """Return the context of a platform stack.

        Raises:
            StackError: an address can't be placed or a domain has no DKIM key; nothing has been registered yet.
        """
        platform = build_platform(stack)
        public = json.loads(config.get("dkimPublicKeys") or "{}")
        if missing := [d for d in platform.domains if not public.get(d)]:
            msg = f"no DKIM key for {', '.join(missing)}: make it with `onedallmail keys dkim --stack {platform.stack}`"
            raise StackError(msg)
        return cls(
            **vars(Scope.of(stack)),
            platform=platform,
            dkim_public_keys=public,
            dkim_private_keys=(config.get_secret("dkimPrivateKeys") or pulumi.Output.secret("{}")).apply(json.loads),
        )


def stack_config() -> AnyConfig:
    """Return this run's stack file as its model.

    Raises:
        StackError: a field is wrong; nothing has been registered yet.
    """
    flat: dict[str, Any] = json.loads(os.environ.get("PULUMI_CONFIG") or "{}")
    config = parse_any(pulumi.get_stack(), settings_from_config(flat))
    # The provider itself refuses credentials of any account that this setting does not name.
    allowed = json.loads(flat.get("aws:allowedAccountIds") or "[]")
    if config.account_id and allowed != [config.account_id]:
        msg = (
            f"Pulumi.{config.stack}.yaml: accountId is {config.account_id}, but aws:allowedAccountIds is {allowed}: "
            f'write aws:allowedAccountIds: ["{config.account_id}"], so that no other account is touched'
        )
        raise StackError(msg)
    return config
