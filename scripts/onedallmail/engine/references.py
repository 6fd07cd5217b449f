"""StackReference: the outputs of another stack of the same project, from its state on this machine."""

from dataclasses import dataclass
from typing import Any

from .crypter import Crypter, passphrase
from .deployment import STACK_TYPE
from .errors import EngineError, ResourceError
from .state import State
from .values import UNKNOWN, has_secret
from .workspace import Workspace

TYPE = "pulumi:pulumi:StackReference"


@dataclass(frozen=True, kw_only=True)
class Other:
    """What a reference yields; `resolved` is unset when there is no such state and its outputs are unknown."""

    properties: dict[str, Any]
    resolved: bool = True


def resolve(work: Workspace, project: str, name: str, *, may_be_missing: bool) -> Other:
    """Return the outputs of the stack `name` (STACK, PROJECT/STACK or ORGANIZATION/PROJECT/STACK).

    Raises:
        ResourceError: the name is of another project, or that stack has no state here (unless it may be missing).
    """
    *place, stack = name.split("/")
    if place and place[-1] != project:
        msg = f"stack reference '{name}': only stacks of the project '{project}' have their state on this machine"
        raise ResourceError(msg)
    other = work.sibling(stack)
    if not any((other.deployment / file).exists() for file in ("state.json", "journal.jsonl")):
        if may_be_missing:
            return Other(properties={"name": name, "outputs": UNKNOWN, "secretOutputNames": []}, resolved=False)
        msg = (
            f"stack reference '{name}': the stack '{stack}' has no state in {other.deployment}: run "
            f"`onedallmail stack up -s {stack}` first (for a stack of an account: `pulumi up -s {stack}`)"
        )
        raise ResourceError(msg)
    state = State(other.deployment, lambda salt: _open(other, salt), durable=False)
    outputs: dict[str, Any] = next((r.get("outputs", {}) for r in state.all() if r["type"] == STACK_TYPE), {})
    hidden = sorted(key for key, value in outputs.items() if has_secret(value))
    return Other(properties={"name": name, "outputs": outputs, "secretOutputNames": hidden})


def _open(other: Workspace, salt: str | None) -> Crypter:
    """Return the crypter of another stack, which may have a passphrase of its own in its state folder."""
    own = other.home / "secrets" / "passphrase"
    if own.is_file():
        try:
            return Crypter(own.read_text().strip(), salt)
        except EngineError:  # the operator's own passphrase went first when that stack was made
            return Crypter(passphrase(), salt)
    return Crypter(passphrase(), salt)
