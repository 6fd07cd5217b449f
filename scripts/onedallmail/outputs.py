"""The stack's outputs as the last provisioning left them, in outputs.json of the stack's state."""

import json
from typing import Any

from onedallmail.paths import state_dir


class OutputsError(RuntimeError):
    """There are no outputs to read; the message says how to get them."""


def read_outputs(stack: str) -> dict[str, Any]:
    """Return the outputs of a stack (their shape is what infra/__main__.py exports).

    Raises:
        OutputsError: the stack has not been provisioned from this checkout.
    """
    path = state_dir(stack) / "outputs.json"
    if not path.is_file():
        msg = f"stack {stack} has no outputs yet ({path} is missing): run ./scripts/up, or `onedallmail stack up`"
        raise OutputsError(msg)
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def write_outputs(stack: str, outputs: dict[str, Any]) -> None:
    """Replace the recorded outputs of a stack."""
    path = state_dir(stack) / "outputs.json"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps(outputs, indent=2, sort_keys=True))
    draft.replace(path)
