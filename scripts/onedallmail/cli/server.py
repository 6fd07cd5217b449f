"""`onedallmail server admit|retire|replace`: mail servers of the stack file begin and cease to hold mailboxes.

Exit codes: 0 all of it is done, 1 refused, or not all of it could be done: running it again goes on.
"""

from typing import TYPE_CHECKING, Annotated

import typer

from .answer import Stack, say
from .placement_move import DryRun, Server, known, make, plain, read_keys, regions_of

if TYPE_CHECKING:
    from onedallmail.fleet_changes import Leaving

app = typer.Typer(help="Mail servers come and go.", no_args_is_help=True)


@app.command("admit")
def admit_command(server: Server, dry_run: DryRun = False, stack: Stack = "lab") -> None:
    """Let a server of the stack file that is new hold mailboxes. `placement rebalance` brings it its share."""
    with plain():
        known(stack, server)
        if _admit(stack, server, dry_run=dry_run):
            say("`onedallmail placement rebalance` brings it its share (`--dry-run` shows it first)")
        elif not dry_run:
            say(f"{server} is admitted already")


@app.command("retire")
def retire_command(
    server: Server,
    *,
    leave_region: Annotated[bool, typer.Option("--leave-region", help="No other server of its region stays.")] = False,
    dry_run: DryRun = False,
    stack: Stack = "lab",
) -> None:
    """Take every group from a server, alive or dead, so that it can be taken out of the stack file."""
    from onedallmail.fleet_changes import leaving  # noqa: PLC0415 - quick start of the command line
    from onedallmail.fleets import stack_fleet  # noqa: PLC0415 - as above
    from onedallmail.stackfile import load_platform  # noqa: PLC0415 - as above

    from .placement_plan import sizes_of  # noqa: PLC0415 - as above

    with plain():
        known(stack, server)
        fleet = stack_fleet(load_platform(stack), {})
        found = leaving(read_keys(stack), fleet, server, sizes_of(stack, None), gives_up_region=leave_region)
        _leave(stack, server, found, dry_run=dry_run)


@app.command("replace")
def replace_command(
    server: Server,
    by: Annotated[str, typer.Option(help="The server that gets everything; it is admitted if it is new.")],
    dry_run: DryRun = False,
    stack: Stack = "lab",
) -> None:
    """Give every group of a server, alive or dead, to another one in the same role, and retire it."""
    from onedallmail.fleet_changes import replacing  # noqa: PLC0415 - as above
    from onedallmail.fleets import stack_fleet  # noqa: PLC0415 - as above
    from onedallmail.stackfile import load_platform  # noqa: PLC0415 - as above

    from .placement_plan import sizes_of  # noqa: PLC0415 - as above

    with plain():
        known(stack, server, by)
        fleet = stack_fleet(load_platform(stack), {})
        found = replacing(read_keys(stack), fleet, server, by, sizes_of(stack, None))
        _admit(stack, by, dry_run=dry_run)
        _leave(stack, server, found, dry_run=dry_run)


def _admit(stack: str, server: str, *, dry_run: bool) -> bool:
    """Admit a server if it is new; return whether it was. Raises RelocationError."""
    from onedallmail import relocation  # noqa: PLC0415 - as above
    from onedallmail.fleet_changes import check_admitted  # noqa: PLC0415 - as above
    from onedallmail.placement.fleet import State  # noqa: PLC0415 - as above

    keys = read_keys(stack)
    if not check_admitted(keys, regions_of(stack), server):
        return False
    if dry_run:
        say(f"{server} would be admitted; nothing was changed")
        return False
    relocation.mark(stack, keys, server, State.SERVING)
    say(f"{server} is admitted")
    return True


def _leave(stack: str, server: str, found: "Leaving", *, dry_run: bool) -> None:
    """Make the moves, then mark the server as retired if nothing is left on it."""
    from onedallmail import relocation, standbys  # noqa: PLC0415 - as above
    from onedallmail.placement.fleet import State  # noqa: PLC0415 - as above

    keys = read_keys(stack)
    state = relocation.server_states(keys, regions_of(stack))[server]
    if not dry_run:
        if state in (State.SERVING, State.NEW):
            relocation.mark(stack, keys, server, State.DRAINING)
            say(f"{server} is draining: no group comes to it by plan")
        standbys.withdraw(stack, keys, found.joins)
    make(stack, regions_of(stack), found.moves, dry_run=dry_run)
    if dry_run:
        return
    keys = read_keys(stack)
    left = [n for n, p in relocation.placements(keys).items() if server in p.holders]
    if left:
        msg = f"{server} still holds groups {left}, which came meanwhile: run this again"
        raise relocation.RelocationError(msg)
    if state is not State.RETIRED:
        relocation.mark(stack, keys, server, State.RETIRED)
    say(f"{server} is retired and holds nothing: take it out of the stack file, then `onedallmail stack up`")
