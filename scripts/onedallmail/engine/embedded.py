"""The operations on a stack, done by this package itself."""

import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from .crypter import open_crypter
from .deletes import delete_unwanted
from .deployment import PROVIDER_PREFIX, STACK_TYPE, Deployment, Scope, Target
from .errors import EngineError
from .events import UpResult, name_of
from .lock import stack_lock
from .options import Operation, Options
from .plugins import Plugins, refuse_foreign
from .program import interruptible, run_program
from .project import load_project, load_target
from .refresh import refresh as refresh_state
from .state import State, keyed, parse_deployment
from .values import masked, reveal
from .workspace import Workspace

NOT_ASKED = (
    "AWS itself: no credentials, no call to any account; the lab's provider checked names, types and known rules only",
    "quotas, prices, free names (buckets, aliases), what the account holds already, service availability in a region",
    "values that only the account knows: they are the lab's own, of the right form",
)
"""What no offline run asks; it is told at its end, with the functions that were answered here."""


def operate(work: Workspace, operation: Operation, options: Options) -> UpResult:
    """Do an operation; only a preview needs no lock, because it writes nothing."""
    work.prepare()
    project = load_project(work.root)
    target = load_target(project, work.stack, open_crypter, options.config, options.secret_config, offline=work.offline)
    changing = operation != Operation.PREVIEW
    with stack_lock(work.deployment, work.stack, operation) if changing else nullcontext():
        state = State(work.deployment, open_crypter, durable=changing)
        return _run(work, target, state, options, operation)


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


def _run(work: Workspace, target: Target, state: State, options: Options, operation: Operation) -> UpResult:
    started = time.monotonic()
    changing = operation != Operation.PREVIEW
    if changing:
        state.settle_pending()
    plugins = Plugins(work.provider_command, work.logs / "provider.log")
    run = Deployment(
        work=work,
        target=target,
        state=state,
        plugins=plugins,
        preview=not changing,
        progress=options.progress,
        scope=Scope(options.targets),
    )
    try:
        with interruptible(run):
            plugins.warm()
            _steps(run, operation, options)
    finally:
        plugins.close()
        if changing:
            state.save()
    return UpResult(
        counts=dict(run.counts),
        outputs={} if run.errors else masked(run.outputs),
        errors=tuple(run.errors),
        duration_s=round(time.monotonic() - started, 3),
        pending=tuple(p["resource"]["urn"] for p in state.pending),
        violations=tuple(run.violations),
        registered=tuple(
            {"urn": r["urn"], "type": r["type"], "inputs": masked(r["inputs"])}
            for r in run.registered.values()
            if "inputs" in r
        ),
        not_asked=(*NOT_ASKED, *sorted(run.not_asked)) if work.offline else (),
    )


def _steps(run: Deployment, operation: Operation, options: Options) -> None:
    """Do the parts of an operation in their order, until one fails."""
    if options.refresh or operation is Operation.REFRESH:
        refresh_state(run, options.settled)
        run.index()
    _warn_of_pending(run)
    if operation in (Operation.PREVIEW, Operation.UP) and not run.errors:
        run_program(run)
        if run.root_urn and not run.errors:
            run.state.record(outputs=[run.root_urn, run.outputs])
    if unknown := run.scope.unmatched([*run.registered, *(r["urn"] for r in run.state.all())]):
        run.fail("", f"no resource matches --target {', '.join(unknown)}: give a URN or a resource's name")
    if operation is not Operation.REFRESH and not run.errors:
        delete_unwanted(run)


def _warn_of_pending(run: Deployment) -> None:
    for operation in run.state.pending:
        urn = operation["resource"]["urn"]
        text = (
            f"a run was interrupted while {operation['type']} it, so it may exist unrecorded: look for it, then run "
            f"`onedallmail stack refresh --settle {name_of(urn)}=ID` with its id, or without one if it was not made"
        )
        run.say("warning", text, urn)
