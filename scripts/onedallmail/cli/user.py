"""`onedallmail user`: mailboxes and their passwords. A password is never an argument: it comes by standard input."""

from typing import Annotated, Any

import typer

from .answer import AsJson, Stack, err, password_from_stdin, plain_errors, print_json, print_table, say

app = typer.Typer(help="Mail accounts.", no_args_is_help=True)

AddressText = Annotated[str, typer.Argument(metavar="ADDRESS", help="Such as alice@acme.example.")]
FromStdin = Annotated[bool, typer.Option("--password-stdin", help="Take the first line of standard input.")]
Generate = Annotated[bool, typer.Option("--generate", help="Make a password and print it.")]


@app.command("add")
def add_command(
    address: AddressText,
    *,
    name: Annotated[str, typer.Option(help="The person's name.")] = "",
    quota: Annotated[str, typer.Option(help="Room for mail, in M, G, T or P.")] = "5G",
    group: Annotated[int | None, typer.Option(help="Placement group; by the address when left out.")] = None,
    from_stdin: FromStdin = False,
    generate: Generate = False,
    stack: Stack = "lab",
) -> None:
    """Add a mailbox with a password from standard input, or with a generated one."""
    from onedallmail.directory import remote  # noqa: PLC0415 - quick start of the command line

    with plain_errors():
        who = remote.checked(stack, address)
        chosen = _source(from_stdin=from_stdin, generate=generate)
        password = remote.add(stack, address, chosen, name=name, quota=quota, group=group)
    say(f"added mailbox {who}")
    if generate:
        say(f"password: {password}")


@app.command("list")
def list_command(stack: Stack = "lab", as_json: AsJson = False) -> None:
    """List the mailboxes with their home servers."""
    from onedallmail.directory.remote import mailboxes  # noqa: PLC0415 - as above
    from onedallmail.directory.validate import quota_text  # noqa: PLC0415 - as above

    with plain_errors():
        rows = mailboxes(stack)
    if as_json:
        print_json(rows)
        return
    print_table(
        ("Address", "Name", "Home", "Group", "Quota", "State"),
        [
            (r["address"], r["name"], r["home"] or "-", str(r["group"]), quota_text(r["quota_bytes"]), _state(r))
            for r in rows
        ],
    )


@app.command("show")
def show_command(address: AddressText, stack: Stack = "lab", as_json: AsJson = False) -> None:
    """Show one mailbox."""
    from onedallmail.directory.remote import mailbox  # noqa: PLC0415 - as above
    from onedallmail.directory.validate import quota_text  # noqa: PLC0415 - as above

    with plain_errors():
        row = mailbox(stack, address)
    if as_json:
        print_json(row)
        return
    for label, value in (
        ("Address", row["address"]),
        ("Name", row["name"] or "-"),
        ("Home server", row["home"] or "unknown: no mail server told its placement map"),
        ("Group", str(row["group"])),
        ("Quota", quota_text(row["quota_bytes"])),
        ("State", _state(row)),
        ("Created", f"{row['created'][:19]} UTC"),
    ):
        say(f"{label:<13}{value}")


@app.command("disable")
def disable_command(address: AddressText, stack: Stack = "lab") -> None:
    """Refuse a mailbox's logins and submissions; it still receives."""
    from onedallmail.directory.remote import disable  # noqa: PLC0415 - as above

    with plain_errors():
        disable(stack, address)
    say(f"disabled {address}: it can't log in or send, and still receives")


@app.command("enable")
def enable_command(address: AddressText, stack: Stack = "lab") -> None:
    """Let a disabled mailbox log in again."""
    from onedallmail.directory.remote import enable  # noqa: PLC0415 - as above

    with plain_errors():
        enable(stack, address)
    say(f"enabled {address}")


@app.command("delete")
def delete_command(
    address: AddressText,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    stack: Stack = "lab",
) -> None:
    """Remove a mailbox; its stored mail stays on its servers."""
    from onedallmail.directory.remote import mailbox, remove  # noqa: PLC0415 - as above

    with plain_errors():
        row = mailbox(stack, address)
        if not yes:
            typer.confirm(f"Remove mailbox {row['address']}? From then on its mail is refused", abort=True)
        remove(stack, address)
    say(f"removed mailbox {row['address']}; its stored mail stays on its servers")


@app.command("elsewhere")
def elsewhere_command(
    addresses: Annotated[list[str], typer.Argument(metavar="ADDRESS...", help="In a domain that is shared.")],
    *,
    off: Annotated[bool, typer.Option("--off", help="They live there no more.")] = False,
    keep_mailbox: Annotated[
        bool, typer.Option("--keep-mailbox", help="Also those with a mailbox here, which gets no more mail.")
    ] = False,
    stack: Stack = "lab",
) -> None:
    """Say that addresses live on the system that their domain is shared with: mail for them goes there."""
    from onedallmail.directory import elsewhere  # noqa: PLC0415 - as above

    with plain_errors():
        if not off:
            added = elsewhere.live_elsewhere(stack, addresses, keep_mailboxes=keep_mailbox)
            say(f"mail goes to the other system for {', '.join(added)}" if added else "they lived there already")
            return
        done, ours = elsewhere.come_home(stack, addresses)
    lost = [address for address in done if address not in ours]
    if ours:
        say(f"mail comes to the mailbox here for {', '.join(ours)}")
    if lost:
        say(f"{', '.join(lost)}: unknown from now on, since no mailbox is here")
    if not done:
        say("none of them lived there; nothing was changed")


@app.command("password")
def password_command(
    address: AddressText,
    from_stdin: FromStdin = False,
    generate: Generate = False,
    show: Annotated[bool, typer.Option("--show", help="Print the password that the lab keeps.")] = False,
    stack: Stack = "lab",
) -> None:
    """Replace a mailbox's password, or show one that the lab keeps."""
    from onedallmail.directory import remote  # noqa: PLC0415 - as above

    with plain_errors():
        who = remote.checked(stack, address)
        if show:
            if from_stdin or generate:
                _usage("--show changes nothing: leave --password-stdin and --generate out")
            typer.echo(_kept(stack, str(who)))
            return
        password = remote.set_password(stack, address, _source(from_stdin=from_stdin, generate=generate))
    say(f"changed the password of {who}")
    if generate:
        say(f"password: {password}")


def _source(*, from_stdin: bool, generate: bool) -> str | None:
    """Return the password that was handed in, None if one shall be made."""
    if from_stdin == generate:
        _usage("take either --password-stdin or --generate")
    return password_from_stdin() if from_stdin else None


def _usage(text: str) -> None:
    err.print(f"[red]error:[/red] {text}", soft_wrap=True)
    raise typer.Exit(1)


def _kept(stack: str, address: str) -> str:
    from onedallmail.directory.errors import UnknownError  # noqa: PLC0415 - as above
    from onedallmail.directory.kept import kept  # noqa: PLC0415 - as above

    password = kept(stack, address)
    if password is None:
        msg = (
            f"no password of {address} is kept: only a lab keeps passwords, of its demonstration accounts and of "
            f"those it generated; `onedallmail user password {address} --generate` makes a new one"
        )
        raise UnknownError(msg)
    return password


def _state(row: dict[str, Any]) -> str:
    return "enabled" if row["enabled"] else "disabled"
