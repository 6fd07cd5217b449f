"""`onedallmail alias`: addresses that lead to other addresses."""

from typing import Annotated

import typer

from .answer import AsJson, Stack, plain_errors, print_json, print_table, say

app = typer.Typer(help="Aliases: addresses that lead to others.", no_args_is_help=True)

Source = Annotated[str, typer.Argument(metavar="SOURCE", help="The alias, an address in one of the stack's domains.")]


@app.command("add")
def add_command(
    source: Source,
    destinations: Annotated[list[str], typer.Argument(metavar="DESTINATION...", help="Where its mail goes.")],
    stack: Stack = "lab",
) -> None:
    """Let an address lead to one or more others, in addition to those it leads to."""
    from onedallmail.directory.aliases import add_alias  # noqa: PLC0415 - quick start of the command line

    with plain_errors():
        added = add_alias(stack, source, destinations)
    say(f"{source} now leads to {', '.join(added)}" if added else f"{source} led there already; nothing was changed")


@app.command("remove")
def remove_command(
    source: Source,
    destinations: Annotated[
        list[str] | None, typer.Argument(metavar="DESTINATION...", help="Only these destinations; all without any.")
    ] = None,
    stack: Stack = "lab",
) -> None:
    """Remove an alias, or some of its destinations."""
    from onedallmail.directory.aliases import remove_alias  # noqa: PLC0415 - as above

    with plain_errors():
        removed = remove_alias(stack, source, destinations or ())
    say(f"{source} no longer leads to {', '.join(removed)}")


@app.command("list")
def list_command(stack: Stack = "lab", as_json: AsJson = False) -> None:
    """List the aliases."""
    from onedallmail.directory.aliases import aliases  # noqa: PLC0415 - as above

    with plain_errors():
        rows = aliases(stack)
    if as_json:
        print_json(rows)
        return
    print_table(("Alias", "Leads to"), [(row["address"], ", ".join(row["destinations"])) for row in rows])
