"""`onedallmail domain`: mail domains in the directory."""

from typing import Annotated

import typer

from .answer import AsJson, Stack, plain_errors, print_json, print_table, say

app = typer.Typer(help="Mail domains.", no_args_is_help=True)


@app.command("add")
def add_command(
    domain: Annotated[str, typer.Argument(help="A domain of the stack file.")],
    stack: Stack = "lab",
) -> None:
    """Add a domain of the stack file to the directory."""
    from onedallmail.directory.domains import add_domain  # noqa: PLC0415 - quick start of the command line

    with plain_errors():
        added = add_domain(stack, domain)
    say(f"added domain {domain}" if added else f"domain {domain} was there already")


@app.command("list")
def list_command(stack: Stack = "lab", as_json: AsJson = False) -> None:
    """List the domains with the number of their mailboxes and aliases."""
    from onedallmail.directory.domains import domains  # noqa: PLC0415 - as above

    with plain_errors():
        rows = domains(stack)
    if as_json:
        print_json(rows)
        return
    print_table(
        ("Domain", "Mailboxes", "Aliases", "Created (UTC)"),
        [(row["domain"], str(row["mailboxes"]), str(row["aliases"]), row["created"][:16]) for row in rows],
    )
