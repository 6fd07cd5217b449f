"""Phase provision: the Pulumi program against the lab's AWS provider; its outputs feed everything that follows."""

from onedallmail.cloud import emulator
from onedallmail.engine import run as engine
from onedallmail.engine.events import Event
from onedallmail.outputs import write_outputs
from onedallmail.stackfile import load_stack
from onedallmail.stacksecrets import dkim_config, use_passphrase

from .phases import PhaseError, Step


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
