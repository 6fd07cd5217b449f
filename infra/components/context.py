"""What every component needs to know: the platform, and the configuration that only the program reads."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from onedallmail.platform.model import Platform, build_platform
from onedallmail.platform.naming import ControlScope, DataClass, resource_name, tags
from onedallmail.platform.stack import StackError, parse_stack, settings_from_config


@dataclass(frozen=True)
class Context:
    """The platform of this stack and the DKIM keys it was given."""

    platform: Platform
    dkim_public_keys: Mapping[str, str]
    dkim_private_keys: pulumi.Output[Mapping[str, str]]

    @classmethod
    def from_config(cls, config: pulumi.Config) -> "Context":
        """Read and check the stack's configuration.

        Raises:
            StackError: a field is wrong; nothing has been registered yet.
        """
        flat: dict[str, str] = json.loads(os.environ.get("PULUMI_CONFIG") or "{}")
        settings = settings_from_config(flat)
        platform = build_platform(parse_stack(pulumi.get_stack(), settings))
        public = json.loads(config.get("dkimPublicKeys") or "{}")
        missing = [d for d in platform.domains if not public.get(d)]
        if missing:
            msg = f"no DKIM key for {', '.join(missing)}: make it with `onedallmail keys dkim --stack {platform.stack}`"
            raise StackError(msg)
        return cls(
            platform=platform,
            dkim_public_keys=public,
            dkim_private_keys=config.require_secret("dkimPrivateKeys").apply(json.loads),
        )

    def name(self, *parts: str) -> str:
        """Return the name of a resource of this stack."""
        return resource_name(self.platform.stack, *parts)

    def tags(
        self,
        name: str,
        data_class: DataClass = DataClass.NONE,
        scope: ControlScope = ControlScope.PLATFORM,
    ) -> dict[str, str]:
        """Return the tags of a resource of this stack."""
        config = self.platform.config
        return tags(stack=config.stack, owner=config.owner, name=name, data_class=data_class, scope=scope)
