"""Operations on a stack, by the pulumi command where one is on PATH and by the embedded engine otherwise.

The embedded engine refuses any provider but the lab's; it does not import resources, run remote components
or hooks, or replace the dependents of a resource that is deleted before its replacement. Those need the command.
"""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import command, embedded
from .events import Progress, UpResult, silent
from .workspace import Workspace

Values = Mapping[str, str] | None
ENGINE_VARIABLE = "ONEDALLMAIL_ENGINE"
"""Set to `embedded` to use the embedded engine although a pulumi command is on PATH."""


def _backend() -> Any:
    wants_embedded = os.environ.get(ENGINE_VARIABLE) == "embedded"
    return embedded if wants_embedded or shutil.which("pulumi") is None else command


def preview(
    stack: str,
    *,
    config: Values = None,
    secret_config: Values = None,
    progress: Progress = silent,
    workspace: Workspace | None = None,
) -> UpResult:
    """Return what `up` would do; resources that would change are reported to `progress`."""
    work = workspace or Workspace(stack=stack)
    result: UpResult = _backend().preview(work, config or {}, secret_config or {}, progress)
    return result


def up(
    stack: str,
    *,
    config: Values = None,
    secret_config: Values = None,
    progress: Progress = silent,
    workspace: Workspace | None = None,
) -> UpResult:
    """Bring the stack to what the program describes; failures are in `errors` of the result.

    Raises:
        EngineError: the run could not begin (lock, passphrase, configuration, damaged state).
    """
    work = workspace or Workspace(stack=stack)
    result: UpResult = _backend().up(work, config or {}, secret_config or {}, progress)
    return result


def destroy(
    stack: str,
    *,
    config: Values = None,
    secret_config: Values = None,
    progress: Progress = silent,
    workspace: Workspace | None = None,
) -> UpResult:
    """Delete every resource of the stack (errors as `up`)."""
    work = workspace or Workspace(stack=stack)
    result: UpResult = _backend().destroy(work, config or {}, secret_config or {}, progress)
    return result


def outputs(stack: str, *, show_secrets: bool = False, workspace: Workspace | None = None) -> dict[str, Any]:
    """Return the outputs of the last up; secrets are masked unless asked for."""
    found: dict[str, Any] = _backend().outputs(workspace or Workspace(stack=stack), show_secrets=show_secrets)
    return found


def export(stack: str, *, show_secrets: bool = False, workspace: Workspace | None = None) -> dict[str, Any]:
    """Return the whole deployment (Pulumi's version 3); secrets are encrypted unless asked for in clear."""
    found: dict[str, Any] = _backend().export(workspace or Workspace(stack=stack), show_secrets=show_secrets)
    return found


def import_(stack: str, file: Path, *, workspace: Workspace | None = None) -> None:
    """Replace the stack's state by an exported deployment."""
    _backend().import_(workspace or Workspace(stack=stack), file)
