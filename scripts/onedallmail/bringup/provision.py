"""Phase provision: the Pulumi program against the lab's AWS provider; its outputs feed everything that follows."""

import json
import os
import secrets
from pathlib import Path

from onedallmail.cloud import emulator
from onedallmail.engine import run as engine
from onedallmail.engine.events import Event
from onedallmail.keys.dkim import ensure_dkim_key
from onedallmail.outputs import write_outputs
from onedallmail.paths import state_dir
from onedallmail.platform.stack import PROJECT
from onedallmail.stackfile import load_stack

from .phases import PhaseError, Step

PASSPHRASE = "PULUMI_CONFIG_PASSPHRASE"  # noqa: S105 - the name of a variable


def provision(stack: str, step: Step) -> str:
    """Apply the stack; return what changed.

    Raises:
        PhaseError: a resource failed.
    """
    config = load_stack(stack)
    if config.target != "lab":
        msg = f"stack {stack} has the target {config.target}: use `pulumi up -s {stack}` with an AWS account"
        raise PhaseError(msg)
    step("starting the AWS emulator")
    emulator.ensure(stack)
    use_passphrase(stack)
    public, private = dkim_config(stack, config.domains)
    done = 0

    def progress(event: Event) -> None:
        nonlocal done
        if event.op is not None:
            done += 1
            if done % 50 == 0:
                step(f"{done} resources")

    result = engine.up(stack, config=public, secret_config=private, progress=progress)
    if not result.ok:
        raise PhaseError("\n".join(result.errors))
    write_outputs(stack, dict(result.outputs))
    return ", ".join(f"{count} {op}" for op, count in result.counts.items()) or "no resources"


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
