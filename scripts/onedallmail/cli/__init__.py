"""The command `onedallmail`: one thin module a group of commands."""

import sys

import typer
from rich.console import Console

from onedallmail.bringup.phases import PhaseError
from onedallmail.directory.errors import DirectoryError
from onedallmail.engine.errors import EngineError
from onedallmail.lab.errors import LabError
from onedallmail.outputs import OutputsError
from onedallmail.platform.stack import StackError

from . import (
    alias,
    domain,
    evidence,
    flows,
    keys,
    lab,
    mail,
    migrate,
    placement,
    preflight,
    server,
    stack,
    status,
    user,
)

app = typer.Typer(
    help="One mail domain on several active servers in several regions, with evidence.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for name, group in (
    ("stack", stack.app),
    ("lab", lab.app),
    ("domain", domain.app),
    ("user", user.app),
    ("alias", alias.app),
    ("mail", mail.app),
    ("migrate", migrate.app),
    ("placement", placement.app),
    ("server", server.app),
    ("evidence", evidence.app),
    ("flows", flows.app),
    ("keys", keys.app),
    ("preflight", preflight.app),
):
    app.add_typer(group, name=name)
app.command("status")(status.status_command)


def main() -> None:
    """Run the command; errors that a person can mend are printed without a traceback, exit code 1."""
    try:
        app()
    except (PhaseError, DirectoryError, EngineError, LabError, OutputsError, StackError) as error:
        Console(stderr=True, highlight=False).print(f"[red]error:[/red] {error}", soft_wrap=True)
        sys.exit(1)
