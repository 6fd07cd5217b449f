"""The operations on a stack, done by this package itself."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .crypter import open_crypter
from .deletes import delete_unwanted
from .deployment import PROVIDER_PREFIX, STACK_TYPE, Deployment, Target
from .errors import EngineError
from .events import Progress, UpResult
from .lock import stack_lock
from .plugins import Plugins, refuse_foreign
from .program import run_program
from .project import load_project, load_target
from .state import State, keyed, parse_deployment
from .values import masked, reveal
from .workspace import Workspace


def preview(
    work: Workspace, config: Mapping[str, str], secret_config: Mapping[str, str], progress: Progress
) -> UpResult:
    """Say what `up` would do; nothing is changed and no lock is needed."""
    work.prepare()
    return _run(
        work,
        _target(work, config, secret_config),
        State(work.deployment, open_crypter, durable=False),
        progress,
        preview=True,
    )


def up(work: Workspace, config: Mapping[str, str], secret_config: Mapping[str, str], progress: Progress) -> UpResult:
    """Bring the stack to what the program describes."""
    work.prepare()
    target = _target(work, config, secret_config)
    with stack_lock(work.deployment, work.stack, "up"):
        return _run(work, target, State(work.deployment, open_crypter), progress)


def destroy(
    work: Workspace, config: Mapping[str, str], secret_config: Mapping[str, str], progress: Progress
) -> UpResult:
    """Delete every resource of the stack; the program does not run."""
    work.prepare()
    target = _target(work, config, secret_config)
    with stack_lock(work.deployment, work.stack, "destroy"):
        return _run(work, target, State(work.deployment, open_crypter), progress, everything=True)


def outputs(work: Workspace, *, show_secrets: bool) -> dict[str, Any]:
    """Return the stack's outputs; {} before the first up."""
    state = State(work.deployment, open_crypter)
    stack = next((r for r in state.all() if r["type"] == STACK_TYPE), {})
    found: dict[str, Any] = (reveal if show_secrets else masked)(stack.get("outputs", {}))
    return found


def export(work: Workspace, *, show_secrets: bool) -> dict[str, Any]:
    """Return the deployment as `pulumi stack export` does."""
    return State(work.deployment, open_crypter).deployment(show_secrets=show_secrets)


def import_(work: Workspace, file: Path) -> None:
    """Replace the state by an exported one.

    Raises:
        EngineError: the file is no deployment, of another stack, of a foreign provider, or its secrets do
            not open with the passphrase.
    """
    work.prepare()
    project = load_project(work.root)
    try:
        deployment = parse_deployment(file.read_bytes(), file)
    except OSError as error:
        msg = f"{file} can't be read: {error.strerror}"
        raise EngineError(msg) from error
    resources = deployment.get("resources") or []
    prefix = f"urn:pulumi:{work.stack}::{project.name}::"
    for resource in resources:
        if not resource.get("urn", "").startswith(prefix):
            msg = f"{file} holds {resource.get('urn')}, which is not of stack '{work.stack}' of '{project.name}'"
            raise EngineError(msg)
        if resource["type"].startswith(PROVIDER_PREFIX):
            refuse_foreign(resource["type"].removeprefix(PROVIDER_PREFIX))
    with stack_lock(work.deployment, work.stack, "import"):
        manager = (deployment.get("secrets_providers") or {}).get("state") or {}
        crypter = open_crypter(manager.get("salt"))
        state = State(work.deployment, open_crypter)
        state.crypter = crypter
        state.olds = keyed(crypter.open(r) for r in resources)
        state.pending = [crypter.open(p) for p in deployment.get("pending_operations") or []]
        state.save()


def _target(work: Workspace, config: Mapping[str, str], secret_config: Mapping[str, str]) -> Target:
    return load_target(load_project(work.root), work.stack, open_crypter, config, secret_config)


def _run(
    work: Workspace,
    target: Target,
    state: State,
    progress: Progress,
    *,
    preview: bool = False,
    everything: bool = False,
) -> UpResult:
    started = time.monotonic()
    project = load_project(work.root)
    if not preview:
        state.settle_pending()
    plugins = Plugins(work.provider_command, work.logs / "provider.log")
    run = Deployment(target=target, state=state, plugins=plugins, preview=preview, progress=progress)
    _warn_of_pending(run)
    try:
        if not everything:
            plugins.warm()
            run_program(run, work, project.program)
        if run.root_urn and not run.errors:
            state.record(outputs=[run.root_urn, run.outputs])
        if not run.errors:
            delete_unwanted(run)
    finally:
        plugins.close()
        if not preview:
            state.save()
    return UpResult(
        counts=dict(run.counts),
        outputs={} if run.errors else masked(run.outputs),
        errors=tuple(run.errors),
        duration_s=round(time.monotonic() - started, 3),
        pending=tuple(p["resource"]["urn"] for p in state.pending),
    )


def _warn_of_pending(run: Deployment) -> None:
    for operation in run.state.pending:
        urn = operation["resource"]["urn"]
        text = (
            f"a run was interrupted while {operation['type']} it, so it may exist unrecorded; it stays listed until "
            "you checked, removed it from pending_operations of an export, and imported that"
        )
        run.say("warning", text, urn)
