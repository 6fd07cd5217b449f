"""Operations on a stack, by the pulumi command where one is on PATH and by the embedded engine otherwise.

The embedded engine follows the command's steps, order and state (tests/infra/golden has what it is compared with). Its
limits, each refused by name: any provider but the lab's; imports of existing resources (`import_`); remote components;
hooks and transforms; parameterised packages; `replace_with`, `replacement_trigger`, state migrations; resources of the
`pulumi` package but references to stacks of the same project on this machine. It has no plans, no `--continue-on-error`
and no custom timeouts (they are the provider's business); a policy pack can't remediate, only refuse or advise.
An offline run of a stack that is meant for an account is always done by the embedded engine, with the lab's provider.
"""

import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypedDict, Unpack

from . import command, embedded
from .events import Progress, UpResult
from .options import Operation, Options
from .workspace import Workspace

Values = Mapping[str, str] | None
ENGINE_VARIABLE = "ONEDALLMAIL_ENGINE"
"""Set to `embedded` to use the embedded engine although a pulumi command is on PATH."""


class Asked(TypedDict, total=False):
    """The fields of `Options`, each of which may be left out or None."""

    config: Values
    secret_config: Values
    progress: Progress
    targets: tuple[str, ...]
    refresh: bool
    settled: Values


def _backend(*, offline: bool = False) -> Any:
    wants_embedded = offline or os.environ.get(ENGINE_VARIABLE) == "embedded"
    return embedded if wants_embedded or shutil.which("pulumi") is None else command


def _work(stack: str, workspace: Workspace | None, *, offline: bool) -> Workspace:
    return replace(workspace, offline=offline) if workspace else Workspace(stack=stack, offline=offline)


def _operate(operation: Operation, stack: str, workspace: Workspace | None, asked: Asked, *, offline: bool) -> UpResult:
    given: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    work = _work(stack, workspace, offline=offline)
    result: UpResult = _backend(offline=offline).operate(work, operation, Options(**given))
    return result


def preview(
    stack: str, *, workspace: Workspace | None = None, offline: bool = False, **asked: Unpack[Asked]
) -> UpResult:
    """Return what `up` would do; resources that would change are reported to `progress`."""
    return _operate(Operation.PREVIEW, stack, workspace, asked, offline=offline)


def up(stack: str, *, workspace: Workspace | None = None, offline: bool = False, **asked: Unpack[Asked]) -> UpResult:
    """Bring the stack to what the program describes; failures are in `errors` of the result.

    Raises:
        EngineError: the run could not begin (lock, passphrase, configuration, damaged state).
    """
    return _operate(Operation.UP, stack, workspace, asked, offline=offline)


def destroy(
    stack: str, *, workspace: Workspace | None = None, offline: bool = False, **asked: Unpack[Asked]
) -> UpResult:
    """Delete every resource in scope (errors as `up`); protected ones stay and are named."""
    return _operate(Operation.DESTROY, stack, workspace, asked, offline=offline)


def refresh(
    stack: str, *, workspace: Workspace | None = None, offline: bool = False, **asked: Unpack[Asked]
) -> UpResult:
    """Bring the state to what the provider finds, and settle interrupted creates (errors as `up`)."""
    return _operate(Operation.REFRESH, stack, workspace, asked, offline=offline)


def outputs(
    stack: str, *, show_secrets: bool = False, workspace: Workspace | None = None, offline: bool = False
) -> dict[str, Any]:
    """Return the outputs of the last up; secrets are masked unless asked for."""
    work = _work(stack, workspace, offline=offline)
    found: dict[str, Any] = _backend(offline=offline).outputs(work, show_secrets=show_secrets)
    return found


def export(
    stack: str, *, show_secrets: bool = False, workspace: Workspace | None = None, offline: bool = False
) -> dict[str, Any]:
    """Return the whole deployment (Pulumi's version 3); secrets are encrypted unless asked for in clear."""
    work = _work(stack, workspace, offline=offline)
    found: dict[str, Any] = _backend(offline=offline).export(work, show_secrets=show_secrets)
    return found


def import_(stack: str, file: Path, *, workspace: Workspace | None = None) -> None:
    """Replace the stack's state by an exported deployment."""
    _backend().import_(workspace or Workspace(stack=stack), file)
