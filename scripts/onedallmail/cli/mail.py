"""`onedallmail mail`: follow one message over all servers.

Exit codes: 0 found, 1 not found or the logs could not be read.
"""

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from onedallmail.inventory import inventory
from onedallmail.tracing.follow import MessageIdError, clean_message_id, collect
from onedallmail.tracing.remote import LogsUnreachableError, RemoteLogs, places
from onedallmail.tracing.timeline import Step, timeline

app = typer.Typer(help="Messages on their way over the servers.", no_args_is_help=True)
_out = Console(highlight=False)
_err = Console(stderr=True, highlight=False)
COLOURS = {"refused": "red", "bounced": "red", "deferred": "yellow", "stored": "green", "delivered": "green"}


@app.callback()
def _group() -> None:
    """Keep `trace` a command of its own, so that others can join it."""


@app.command("trace")
def trace_command(
    message_id: Annotated[str, typer.Argument(metavar="MESSAGE-ID", help="Value of the header, in quotes.")],
    stack: Annotated[str, typer.Option(help="Name of the stack.")] = "lab",
    collector: Annotated[
        str | None,
        typer.Option(help="Read the copies of this log collector, for example c1, not the servers' own logs."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Print what happened to a message on every server, in order of time (UTC)."""
    try:
        wanted = clean_message_id(message_id)
        logs = RemoteLogs(places(inventory(stack), collector))
        steps = timeline(collect(wanted, logs.search), wanted)
    except (MessageIdError, LogsUnreachableError) as error:
        _err.print(f"[red]error:[/red] {error}", soft_wrap=True)
        raise typer.Exit(1) from error
    for server, why in logs.unreachable.items():
        hint = "" if collector else "; its log may be on a collector (--collector)"
        _err.print(f"[yellow]not read:[/yellow] {server}: {why}{hint}", soft_wrap=True)
    if as_json:
        found = {"message_id": wanted, "steps": [step.as_dict() for step in steps], "not_read": logs.unreachable}
        _out.print(json.dumps(found, indent=2), soft_wrap=True, markup=False)
    elif steps:
        _out.print(_table(steps))
    if not steps:
        _err.print(f"no server has seen a message with the Message-ID <{wanted}>", soft_wrap=True, markup=False)
        raise typer.Exit(1)


def _table(steps: tuple[Step, ...]) -> Table:
    table = Table(title=f"{steps[0].time:%Y-%m-%d}, UTC", title_justify="left", box=None, pad_edge=False)
    for title in ("time", "server", "step"):
        table.add_column(title, no_wrap=True)
    for title in ("detail", "TLS"):
        table.add_column(title, overflow="fold")
    for step in steps:
        colour = COLOURS.get(step.step, "")
        name = f"[{colour}]{step.step}[/{colour}]" if colour else step.step
        detail = step.detail.replace("[", "\\[")
        table.add_row(f"{step.time:%H:%M:%S}.{step.time.microsecond // 1000:03}", step.server, name, detail, step.tls)
    return table
