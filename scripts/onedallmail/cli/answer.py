"""How commands answer: tables for people, JSON for programs, one line and exit code 1 for errors."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

Stack = Annotated[str, typer.Option("--stack", "-s", help="Name of the stack.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


@contextmanager
def plain_errors() -> Iterator[None]:
    """End the command with one line on what is wrong and what to do, exit code 1."""
    from onedallmail.directory.errors import DirectoryError  # noqa: PLC0415 - quick start of the command line
    from onedallmail.lab.errors import LabError  # noqa: PLC0415 - as above
    from onedallmail.migration.errors import MigrationError  # noqa: PLC0415 - as above
    from onedallmail.platform.stack import StackError  # noqa: PLC0415 - as above

    try:
        yield
    except (DirectoryError, LabError, MigrationError, StackError) as error:
        err.print("[red]error:[/red]", end=" ")
        err.print(str(error), soft_wrap=True, markup=False)
        raise typer.Exit(1) from error


def print_json(document: Any) -> None:
    """Print a document for programs."""
    typer.echo(json.dumps(document, indent=1, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> None:
    """Print rows of plain text."""
    from rich.text import Text  # noqa: PLC0415 - as above

    table = Table(title=title or None, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    out.print(table)


def say(text: str) -> None:
    """Print one line of plain text."""
    out.print(text, soft_wrap=True, markup=False)


def password_from_stdin() -> str:
    """Return the first line of standard input; a terminal is asked twice and does not show it."""
    if sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().rstrip("\r\n")
