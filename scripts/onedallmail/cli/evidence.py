"""`onedallmail evidence`: build a bundle from test results, verify one, list the controls.

Exit codes: 0 done, 1 it could not be done, 3 verification found problems.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from onedallmail.evidence import bundle, canonical, context, listing, verify
from onedallmail.evidence.collect import CollectError
from onedallmail.evidence.controls import CatalogueError, load_catalogue
from onedallmail.evidence.exceptions import ExceptionsError
from onedallmail.evidence.ledger import LedgerError
from onedallmail.evidence.signing import PUBLIC_NAME, KeyFileError
from onedallmail.paths import state_dir

FINDINGS = 3
CONTEXT_NAME = "context.json"
app = typer.Typer(help="Evidence for auditors: build a signed bundle, verify one offline.", no_args_is_help=True)
_out = Console(highlight=False)
_err = Console(stderr=True, highlight=False)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@app.command("build")
def build_command(
    stack: Annotated[str, typer.Option(help="Name of the stack.")] = "lab",
    results: Annotated[
        list[Path] | None,
        typer.Option("--results", help="Folder that the tests' --evidence wrote; may be given again."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Build an evidence bundle with its HTML report from the results of tests."""
    home = bundle.evidence_dir(stack)
    try:
        about = platform_context(stack)
        folder = bundle.build(stack, results or [home / "results"], about)
    except (CollectError, CatalogueError, ExceptionsError, LedgerError, KeyFileError, context.ContextError) as error:
        _stop(str(error))
    counts: dict[str, int] = canonical.decode((folder / "verdicts.json").read_bytes())["counts"]
    archive = folder.with_name(f"{folder.name}.tar.gz")
    key = home / "keys" / PUBLIC_NAME
    if as_json:
        paths = {"bundle": folder, "archive": archive, "report": folder / "report.html", "key": key}
        _print_json({name: str(path) for name, path in paths.items()} | {"counts": counts})
        return
    _out.print(_counts_table(counts))
    for name, path in (("Report", folder / "report.html"), ("Bundle", archive), ("Key", key)):
        _out.print(f"{name:<8}{path}", soft_wrap=True, markup=False)


@app.command("verify")
def verify_command(
    bundle_path: Annotated[Path, typer.Argument(metavar="BUNDLE", help="The bundle's folder or .tar.gz.")],
    key: Annotated[Path, typer.Option("--key", help="Public key, from the platform's owner and not from the bundle.")],
    as_json: AsJson = False,
) -> None:
    """Verify a bundle with nothing but the bundle and the public key. Exit code 3 when anything is wrong."""
    try:
        result = verify.verify(bundle_path, key)
    except KeyFileError as error:
        _stop(str(error))
    if as_json:
        _print_json(
            {
                "ok": result.ok,
                "bundle": result.bundle,
                "problems": list(result.problems),
                "notes": list(result.notes),
                "stack": result.stack,
                "built": result.built.isoformat() if result.built else None,
                "files": result.files,
                "entries": result.entries,
                "key_fingerprint": result.fingerprint,
                "counts": dict(result.counts),
            }
        )
    elif result.ok:
        built = result.built.astimezone(UTC) if result.built else datetime.now(UTC)
        _out.print(f"[green]Intact.[/green] {result.bundle}, built {built:%Y-%m-%d %H:%M} UTC", soft_wrap=True)
        _out.print(f"{result.files} files, {result.entries} ledger entries, key {result.fingerprint}", soft_wrap=True)
        for note in result.notes:
            _out.print(note, soft_wrap=True, markup=False)
        _out.print(_counts_table(dict(result.counts)))
    else:
        _out.print(f"[red]Not intact.[/red] {len(result.problems)} problem(s) in {result.bundle}:", soft_wrap=True)
        for problem in result.problems:
            _out.print(f"  {problem}", soft_wrap=True, markup=False)
    if not result.ok:
        raise typer.Exit(FINDINGS)


@app.command("controls")
def controls_command(
    as_json: AsJson = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print the tables of docs/controls.md.")] = False,
) -> None:
    """List the controls that tests can name."""
    try:
        catalogue = load_catalogue()
    except CatalogueError as error:
        _stop(str(error))
    if as_json:
        _print_json(catalogue.to_document())
        return
    if as_markdown:
        typer.echo(listing.markdown(catalogue), nl=False)
        return
    table = Table("Control", "Title", "Expects", "Days", box=None, pad_edge=False)
    for control in catalogue:
        expects = ", ".join(sorted(control.expects)) or "not applicable"
        table.add_row(control.id, control.title, expects, str(control.freshness_days))
    _out.print(table)


def platform_context(stack: str) -> context.BundleContext:
    """Return the context the last `up` saved, or what the outputs tell; raise ContextError without either."""
    saved = bundle.evidence_dir(stack) / CONTEXT_NAME
    outputs = state_dir(stack) / "outputs.json"
    if saved.exists() or not outputs.exists():
        return context.load(saved)
    try:
        return context.from_outputs(canonical.decode(outputs.read_bytes()), source=str(outputs))
    except canonical.CanonicalError as error:
        message = f"{outputs}: {error}"
        raise context.ContextError(message) from error


def _counts_table(counts: dict[str, int]) -> Table:
    table = Table("Verdict", "Controls", box=None, pad_edge=False)
    table.columns[1].justify = "right"
    for verdict, number in counts.items():
        table.add_row(verdict.replace("_", " "), str(number))
    return table


def _print_json(document: dict[str, Any]) -> None:
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))


def _stop(message: str) -> NoReturn:
    _err.print("[red]error:[/red]", end=" ")
    _err.print(message, soft_wrap=True, markup=False)
    raise typer.Exit(1)
