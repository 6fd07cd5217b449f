"""What a stack's operator need not type in the lab: the passphrase of its state and the DKIM keys of its domains.

Both lie in the stack's state folder, mode 0600. An operator's own passphrase, in Pulumi's variables, goes first.
"""

import json
import os
import secrets
from pathlib import Path

from onedallmail.keys.dkim import ensure_dkim_key
from onedallmail.paths import state_dir
from onedallmail.platform.stack import PROJECT

PASSPHRASE = "PULUMI_CONFIG_PASSPHRASE"  # noqa: S105 - the name of a variable


def dkim_config(stack: str, domains: tuple[str, ...]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the public and the secret configuration that carry the domains' DKIM keys."""
    keys = {domain: ensure_dkim_key(stack, domain) for domain in domains}
    public = json.dumps({domain: public for domain, (_, public) in keys.items()})
    private = json.dumps({domain: private for domain, (private, _) in keys.items()})
    return {f"{PROJECT}:dkimPublicKeys": public}, {f"{PROJECT}:dkimPrivateKeys": private}


def use_passphrase(stack: str) -> None:
    """Let the engine find the passphrase of the stack's state: the operator's own, otherwise one made for the lab."""
    if PASSPHRASE in os.environ or f"{PASSPHRASE}_FILE" in os.environ:
        return
    path: Path = state_dir(stack) / "secrets" / "passphrase"
    if not path.is_file():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(32))
    os.environ[f"{PASSPHRASE}_FILE"] = str(path)
