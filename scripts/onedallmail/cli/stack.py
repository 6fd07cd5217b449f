"""`onedallmail stack`: preview, up, destroy, refresh, outputs, export and import of the cloud stack.

Exit codes: 0 done, 1 error, 3 changes found although --expect-no-changes was given.
"""

import dataclasses
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from rich.markup import escape

from onedallmail.cloud import emulator
from onedallmail.cost.estimate import estimate
from onedallmail.cost.prices import load_prices
from onedallmail.cost.show import show_estimate
from onedallmail.engine import run
from onedallmail.engine.errors import EngineError
from onedallmail.engine.events import UpResult
from onedallmail.engine.workspace import Workspace
from onedallmail.stackfile import load_any
from onedallmail.stacksecrets import dkim_config, use_passphrase

from .stack_show import console, errors, outputs_table, show_event, violations_table

ERROR, FINDINGS = 1, 3

app = typer.Typer(help="The cloud stack: preview, apply, show and remove it.", no_args_is_help=True)

Stack = Annotated[str, typer.Option("--stack", "-s", help="Name of the stack (Pulumi.NAME.yaml).")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON for programs.")]
Config = Annotated[
    list[str] | None, typer.Option("--config", "-c", help="KEY=VALUE for this run, over the stack file's value.")
]
SecretConfig = Annotated[
    list[str] | None, typer.Option("--secret-config", help="KEY=FILE: a secret value for this run, read from FILE.")
]
Expect = Annotated[bool, typer.Option("--expect-no-changes", help="Exit with 3 when something changes.")]
Targets = Annotated[
    list[str] | None, typer.Option("--target", "-t", help="Limit it to a resource: its URN or name, * for any text.")
]
Refresh = Annotated[bool, typer.Option("--refresh", help="Compare the state with the provider first.")]
Offline = Annotated[
    bool,
    typer.Option("--offline", help="Without account and credentials: the lab's provider, a state folder of its own."),
]
ShowSecrets = Annotated[bool, typer.Option("--show-secrets", help="Show secrets in clear.")]


@contextmanager
def _errors_for_people(stack: str, *, offline: bool = False) -> Iterator[None]:
    """Open the state of a lab or offline stack with its own passphrase, and print errors without a traceback.

    What an offline run needs of the lab's AWS emulator ends with it; the emulator's data stay.
    """
    folder = _folder(stack, offline=offline)
    try:
        if offline or load_any(stack).target == "lab":
            use_passphrase(folder)
        yield
    except EngineError as error:
        errors.print(f"[red]error:[/] {escape(str(error))}", highlight=False)
        raise typer.Exit(ERROR) from error
    finally:
        if offline:
            emulator.stop(folder)


def _folder(stack: str, *, offline: bool) -> str:
    """Return the name of the stack's state folder."""
    return Workspace(stack=stack, offline=offline).home.name


def _pairs(items: list[str] | None, option: str) -> dict[str, str]:
    pairs = {}
    for item in items or []:
        key, sign, value = item.partition("=")
        if not sign or not key:
            msg = f"{option} {item}: write KEY=VALUE"
            raise EngineError(msg)
        pairs[key] = value
    return pairs


def _secrets(items: list[str] | None) -> dict[str, str]:
    found = {}
    for key, file in _pairs(items, "--secret-config").items():
        try:
            found[key] = Path(file).read_text()
        except OSError as error:
            msg = f"--secret-config {key}: {file} can't be read: {error.strerror}"
            raise EngineError(msg) from error
    return found


def _settings(
    stack: str, config: list[str] | None, secret_config: list[str] | None, *, offline: bool
) -> tuple[dict[str, str], dict[str, str]]:
    """Return public and secret configuration: the stack's own DKIM keys, then what the command line says."""
    described = load_any(stack)
    makes_keys = offline or described.target == "lab"
    public, private = dkim_config(_folder(stack, offline=offline), described.domains) if makes_keys else ({}, {})
    return {**public, **_pairs(config, "--config")}, {**private, **_secrets(secret_config)}


def _finish(verb: str, result: UpResult, *, as_json: bool, expect_no_changes: bool) -> None:
    if as_json:
        told = dataclasses.asdict(dataclasses.replace(result, registered=()))
        del told["registered"]  # a result tells what changed; `export` shows resources
        console.print_json(json.dumps({**told, "changes": result.changes}))
    else:
        outputs_table(result.outputs)
        counts = ", ".join(f"{n} {op}" for op, n in sorted(result.counts.items())) or "nothing to do"
        console.print(f"{verb}: {counts} in {result.duration_s:.1f} s", highlight=False)
        violations_table(result.violations)
        for said in result.not_asked:
            console.print(f"[dim]not asked:[/] {escape(said)}", highlight=False, soft_wrap=True)
    if not result.ok:
        errors.print(f"[red]{len(result.errors)} error(s):[/] what was made is recorded; correct and repeat")
        raise typer.Exit(ERROR)
    if expect_no_changes and result.changes:
        errors.print(f"[red]{result.changes} change(s), none expected[/]")
        raise typer.Exit(FINDINGS)


@app.command()
def preview(
    *,
    stack: Stack = "lab",
    config: Config = None,
    secret_config: SecretConfig = None,
    targets: Targets = None,
    refresh: Refresh = False,
    offline: Offline = False,
    expect_no_changes: Expect = False,
    as_json: Json = False,
) -> None:
    """Show what up would change."""
    with _errors_for_people(stack, offline=offline):
        values, hidden = _settings(stack, config, secret_config, offline=offline)
        result = run.preview(
            stack,
            config=values,
            secret_config=hidden,
            targets=tuple(targets or ()),
            refresh=refresh,
            offline=offline,
            progress=show_event,
        )
        _finish("preview", result, as_json=as_json, expect_no_changes=expect_no_changes)


@app.command()
def up(
    *,
    stack: Stack = "lab",
    config: Config = None,
    secret_config: SecretConfig = None,
    targets: Targets = None,
    refresh: Refresh = False,
    offline: Offline = False,
    expect_no_changes: Expect = False,
    as_json: Json = False,
) -> None:
    """Bring the stack to what the program describes."""
    with _errors_for_people(stack, offline=offline):
        values, hidden = _settings(stack, config, secret_config, offline=offline)
        result = run.up(
            stack,
            config=values,
            secret_config=hidden,
            targets=tuple(targets or ()),
            refresh=refresh,
            offline=offline,
            progress=show_event,
        )
        _finish("up", result, as_json=as_json, expect_no_changes=expect_no_changes)


@app.command()
def destroy(
    *,
    stack: Stack = "lab",
    config: Config = None,
    targets: Targets = None,
    offline: Offline = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Delete every resource of the stack, or the targets; protected ones stay and are named."""
    if not yes:
        what = ", ".join(targets) if targets else "every resource"
        typer.confirm(f"Delete {what} of stack '{stack}'?", abort=True)
    with _errors_for_people(stack, offline=offline):
        values = _pairs(config, "--config")
        result = run.destroy(stack, config=values, targets=tuple(targets or ()), offline=offline, progress=show_event)
        _finish("destroy", result, as_json=as_json, expect_no_changes=False)


@app.command("refresh")
def refresh_(
    *,
    stack: Stack = "lab",
    config: Config = None,
    targets: Targets = None,
    settle: Annotated[
        list[str] | None,
        typer.Option("--settle", help="NAME=ID: what an interrupted create made; NAME= when it made nothing."),
    ] = None,
    offline: Offline = False,
    expect_no_changes: Expect = False,
    as_json: Json = False,
) -> None:
    """Bring the state to what the provider finds."""
    with _errors_for_people(stack, offline=offline):
        result = run.refresh(
            stack,
            config=_pairs(config, "--config"),
            targets=tuple(targets or ()),
            settled=_pairs(settle, "--settle"),
            offline=offline,
            progress=show_event,
        )
        _finish("refresh", result, as_json=as_json, expect_no_changes=expect_no_changes)


@app.command()
def outputs(
    stack: Stack = "lab", show_secrets: ShowSecrets = False, offline: Offline = False, as_json: Json = False
) -> None:
    """Show the outputs of the last up."""
    with _errors_for_people(stack, offline=offline):
        found = run.outputs(stack, show_secrets=show_secrets, offline=offline)
    if as_json:
        console.print_json(json.dumps(found))
    else:
        outputs_table(found)


@app.command()
def export(
    stack: Stack = "lab",
    file: Annotated[Path | None, typer.Option("--file", help="Write here (mode 0600), not to the terminal.")] = None,
    show_secrets: ShowSecrets = False,
    offline: Offline = False,
    as_json: Annotated[bool, typer.Option("--json", help="The deployment is JSON in any case.")] = True,
) -> None:
    """Show the deployment: every resource with inputs and outputs (Pulumi's format, version 3)."""
    del as_json
    with _errors_for_people(stack, offline=offline):
        text = json.dumps(run.export(stack, show_secrets=show_secrets, offline=offline), indent=2)
    if file is None:
        typer.echo(text)
        return
    file.touch(mode=0o600)
    file.write_text(text + "\n")


@app.command()
def cost(stack: Stack = "example", config: Config = None, as_json: Json = False) -> None:
    """Estimate what the stack costs a month, by list prices and stated assumptions of use."""
    with _errors_for_people(stack, offline=True), TemporaryDirectory() as empty:
        values, hidden = _settings(stack, config, None, offline=True)
        # An empty state: what a rehearsal left behind is no part of the stack's price.
        work = Workspace(stack=stack, state_dir=Path(empty) / stack)
        result = run.preview(stack, config=values, secret_config=hidden, workspace=work, offline=True)
        if not result.registered or result.errors:
            msg = "the stack can't be previewed, so there is nothing to price: " + "; ".join(result.errors[:3])
            raise EngineError(msg)
        show_estimate(estimate(result.registered, load_prices()), console, as_json=as_json)


@app.command("import")
def import_(file: Annotated[Path, typer.Argument(help="A file that export wrote.")], stack: Stack = "lab") -> None:
    """Replace the stack's state by an exported deployment."""
    with _errors_for_people(stack):
        run.import_(stack, file)
    console.print(f"stack '{stack}' has the state of {file}")
