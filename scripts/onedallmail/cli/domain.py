"""`onedallmail domain`: mail domains in the directory."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from .answer import AsJson, Stack, err, plain_errors, print_json, print_table, say

if TYPE_CHECKING:
    from onedallmail.directory.elsewhere import Unknown

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


@app.command("split")
def split_command(
    domain: Annotated[
        str | None, typer.Argument(help="A domain in the directory; all shared ones when left out.")
    ] = None,
    *,
    to: Annotated[str, typer.Option(metavar="HOST[:PORT]", help="The other system's mail server; port 25.")] = "",
    sources: Annotated[
        list[str] | None,
        typer.Option("--from", metavar="ADDRESS", help="Where it sends from; the addresses of HOST when left out."),
    ] = None,
    certificates: Annotated[
        list[Path] | None,
        typer.Option("--certificate", metavar="FILE", help="Its own certificate, whose key is pinned."),
    ] = None,
    unknown: Annotated[str, typer.Option(help="Unnamed addresses: refuse (at first), or elsewhere.")] = "",
    off: Annotated[bool, typer.Option("--off", help="End the sharing.")] = False,
    stack: Stack = "lab",
    as_json: AsJson = False,
) -> None:
    """Share a domain with another mail system, where some of its users still live; show or end that."""
    from onedallmail.directory import elsewhere  # noqa: PLC0415 - as above

    changing = bool(to or sources or certificates or unknown)
    with plain_errors():
        policy = _policy(unknown)
        _split_usage(domain, to, changing=changing, named=bool(sources or certificates), off=off)
        if domain and off:
            elsewhere.unsplit(stack, domain)
            say(f"{domain} is shared no more: all of its users live here")
            return
        if domain and to:
            from onedallmail.directory.other_system import described  # noqa: PLC0415 - as above

            other = described(stack, to, sources or (), certificates or ())
            elsewhere.split(stack, domain, other, policy)
        elif domain and policy:
            elsewhere.set_policy(stack, domain, policy)
        rows = [row for row in elsewhere.splits(stack) if domain in {None, row["domain"]}]
    _show_splits(rows, domain, as_json=as_json)


def _policy(text: str) -> "Unknown | None":
    from onedallmail.directory.elsewhere import Unknown  # noqa: PLC0415 - as above

    if not text:
        return None
    try:
        return Unknown(text)
    except ValueError:
        _usage(f"--unknown {text}: take one of {', '.join(Unknown)}")


def _split_usage(domain: str | None, to: str, *, changing: bool, named: bool, off: bool) -> None:
    if off and changing:
        _usage("--off ends the sharing: leave the other options out")
    if (off or changing) and not domain:
        _usage("name the domain: onedallmail domain split DOMAIN ...")
    if named and not to:
        _usage("--from and --certificate describe the other system: name it with --to HOST")


def _usage(text: str) -> NoReturn:
    err.print(f"[red]error:[/red] {text}", soft_wrap=True)
    raise typer.Exit(1)


def _show_splits(rows: list[dict[str, Any]], domain: str | None, *, as_json: bool) -> None:
    if as_json:
        print_json(rows)
        return
    if not rows:
        say(f"{domain or 'no domain'} is {'not ' if domain else ''}shared: all users live here")
    for row in rows:
        for label, value in (
            ("Domain", row["domain"]),
            ("Other system", row["host"]),
            ("Sends from", ", ".join(row["networks"])),
            ("Known by", "\n".join(row["keys"]) if row["keys"] else "its name, and an authority"),
            ("Unknown", row["unknown"]),
            ("Elsewhere", ", ".join(row["elsewhere"]) or "nobody yet: `onedallmail user elsewhere ADDRESS...`"),
            ("Moving in", ", ".join(row["moving"]) or "-"),
        ):
            say(f"{label:<14}{value}")
