"""`onedallmail migrate imap`: mailboxes of another mail system move in. Nothing at the source is changed.

Exit codes: 0 done and equal, 1 error, 3 problems of the plan or differences remain.
"""

from pathlib import Path
from typing import Annotated, Any

import typer

from .answer import AsJson, Stack, err, plain_errors, print_json, print_table, say

app = typer.Typer(help="Mailboxes of other mail systems move in.", no_args_is_help=True)
imap = typer.Typer(help="By IMAP: plan, copy as often as wanted, finish, report.", no_args_is_help=True)
app.add_typer(imap, name="imap")
REMAIN = 3

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the migration.")]
Passwords = Annotated[str, typer.Option(help="File (mode 0600) of lines USER:PASSWORD of the source; - for stdin.")]
Parallel = Annotated[int, typer.Option(min=1, max=32, help="Mailboxes at the same time.")]
Only = Annotated[list[str] | None, typer.Option("--only", help="Only this target address; may be repeated.")]


@imap.command("plan")
def plan_command(
    name: Name,
    host: Annotated[str, typer.Option(help="Name of the source, as in its certificate.")],
    users: Annotated[Path, typer.Option(help="CSV file: SOURCE-USER,TARGET-ADDRESS.")],
    passwords: Passwords,
    *,
    port: Annotated[int, typer.Option(min=1, max=65535)] = 993,
    address: Annotated[str, typer.Option(help="Connect to this address instead of the name's.")] = "",
    ca_file: Annotated[
        str, typer.Option(help="Authority of the source's certificate; the system's when left out.")
    ] = "",
    master: Annotated[str, typer.Option(help="User of the source who may log in for all others.")] = "",
    old_tls: Annotated[str, typer.Option("--accept-tls-1-2", metavar="REASON", help="Accept TLS 1.2.")] = "",
    create: Annotated[bool, typer.Option("--create", help="Add missing mailboxes; prints their passwords.")] = False,
    parallel: Parallel = 4,
    stack: Stack = "lab",
    as_json: AsJson = False,
) -> None:
    """Look at both sides; says what would not fit, and changes nothing but its own notes."""
    from onedallmail.migration import run  # noqa: PLC0415 - quick start of the command line
    from onedallmail.migration.source import Source  # noqa: PLC0415 - as above

    given = Source(host, port, address, str(Path(ca_file).absolute()) if ca_file else "", master, old_tls)
    with plain_errors():
        found = run.plan(stack, name, given, users, passwords, create=create, pace=run.Pace(parallel, _told))
    _answer(found, as_json, ("Source", "Target", "Folders", "Messages", "Bytes", "Problems"), _planned)
    _end(all(not row["problems"] for row in found["mailboxes"]) and not found["failed"])


@imap.command("copy")
def copy_command(
    name: Name,
    passwords: Passwords,
    *,
    only: Only = None,
    parallel: Parallel = 4,
    stack: Stack = "lab",
    as_json: AsJson = False,
) -> None:
    """Copy what is new at the source; repeat it as often as wanted while users still work there."""
    from onedallmail.migration import run  # noqa: PLC0415 - as above

    with plain_errors():
        found = run.copy(stack, name, passwords, only, run.Pace(parallel, _told))
    _answer(found, as_json, ("Target", "Messages", "Carried bytes", "Removed"), _copied)
    _end(not found["failed"])


@imap.command("finish")
def finish_command(
    name: Name,
    passwords: Passwords,
    *,
    only: Only = None,
    parallel: Parallel = 4,
    stack: Stack = "lab",
    as_json: AsJson = False,
) -> None:
    """Copy for the last time, when nobody works at the source any more, and report."""
    from onedallmail.migration import run  # noqa: PLC0415 - as above

    with plain_errors():
        found = run.finish(stack, name, passwords, only, run.Pace(parallel, _told))
    _reported(found, as_json)


@imap.command("report")
def report_command(
    name: Name,
    passwords: Passwords,
    *,
    only: Only = None,
    parallel: Parallel = 4,
    stack: Stack = "lab",
    as_json: AsJson = False,
) -> None:
    """Compare both sides: counts, sizes and digests of each folder, and every difference."""
    from onedallmail.migration import run  # noqa: PLC0415 - as above

    with plain_errors():
        found = run.report(stack, name, passwords, only, run.Pace(parallel, _told))
    _reported(found, as_json)


@imap.command("status")
def status_command(name: Name, stack: Stack = "lab", as_json: AsJson = False) -> None:
    """Show how far each mailbox is; asks no server."""
    from onedallmail.migration import run  # noqa: PLC0415 - as above

    with plain_errors():
        found = run.status(stack, name)
    columns = ("Source", "Target", "Stage", "Runs", "Messages", "Equal", "At", "Error")
    _answer(found, as_json, columns, lambda r: tuple(_cell(r[c.lower()]) for c in columns))


def _told(line: str) -> None:
    err.print(line, soft_wrap=True, markup=False)


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value in {None, ""} else str(value)


def _planned(row: dict[str, Any]) -> tuple[str, ...]:
    size = (str(len(row["folders"])), str(row["messages"]), str(row["bytes"]))
    return row["source"], row["target"], *size, "\n".join(row["problems"]) or "-"


def _copied(row: dict[str, Any]) -> tuple[str, ...]:
    return row["target"], str(row["messages"]), str(row["carried_bytes"]), str(row["removed"])


def _answer(found: dict[str, Any], as_json: bool, columns: tuple[str, ...], row: Any) -> None:
    if as_json:
        print_json(found)
        return
    print_table(columns, [row(mailbox) for mailbox in found["mailboxes"]])
    for target, password in found.get("created", {}).items():
        say(f"added mailbox {target}, password: {password}")


def _reported(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(found)
    else:
        for mailbox in found["mailboxes"]:
            print_table(("Folder", "Messages", "Bytes", "Digest"), _folders(mailbox), title=mailbox["target"])
            for name, folder in mailbox["folders"].items():
                for difference in folder["differences"]:
                    say(f"{mailbox['target']} {name}: {difference['count']} {difference['kind']}")
                    for message in difference["messages"]:
                        say(f"    {message}")
        say(f"kept: {found['kept']}")
    _end(all(mailbox["equal"] for mailbox in found["mailboxes"]) and not found["failed"])


def _folders(mailbox: dict[str, Any]) -> list[tuple[str, ...]]:
    rows = []
    for name, folder in mailbox["folders"].items():
        left, right = folder["source"] or {}, folder["target"] or {}
        cells = [
            str(left.get(key, "-"))
            if left.get(key) == right.get(key)
            else f"{left.get(key, '-')} / {right.get(key, '-')}"
            for key in ("messages", "bytes")
        ]
        digests = [str(side.get("digest", "-"))[:12] for side in (left, right)]
        rows.append((name, *cells, digests[0] if digests[0] == digests[1] else " / ".join(digests)))
    return rows


def _end(well: bool) -> None:
    if not well:
        raise typer.Exit(REMAIN)
