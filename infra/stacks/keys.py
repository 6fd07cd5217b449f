"""The keys account: the keys of all data classes for the platforms of other accounts."""

import pulumi

from onedallmail.platform.accounts import KeysConfig
from onedallmail.platform.regions import GLOBAL_REGION

from components.context import Scope
from components.keys import KeySet


def deploy(config: KeysConfig) -> None:
    """Register the keys and export their ARNs, which platforms read through a stack reference."""
    scope = Scope.of(config)
    keys = KeySet(
        "keys",
        scope=scope,
        regions=config.regions,
        administrators=config.key_administrators,
        user_accounts=config.user_accounts,
        log_regions=[GLOBAL_REGION],
    )
    pulumi.export("stack", config.stack)
    pulumi.export("target", config.target)
    pulumi.export("keyArns", keys.key_arns)
