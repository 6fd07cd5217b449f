"""`onedallmail placement move|drain|undrain|rebalance`: groups change their homes while all servers live.

Exit codes: 0 all of it is done, 1 refused, or not all of it could be done.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from .answer import Stack, err, plain_errors, print_table, say

if TYPE_CHECKING:
    from onedallmail.placement.store import Snapshot
    from onedallmail.relocation import Wish

Server = Annotated[str, typer.Argument(help="Name of a mail server.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would move, and change nothing.")]


def move_command(
    group: Annotated[int | None, typer.Option(help="Number of a group.")] = None,
    user: Annotated[str | None, typer.Option(help="A user, whose whole group moves.")] = None,
    to: Annotated[str | None, typer.Option(help="Where to; the group's standby, which is the default.")] = None,
    dry_run: DryRun = False,
    stack: Stack = "lab",
) -> None:
    """Make the standby of a group its home, and its home the standby. Nothing is lost, clients connect once more."""
    from onedallmail import relocation  # noqa: PLC0415 - quick start of the command line

    with _plain():
        if (group is None) == (user is None):
            msg = "name either --group or --user"
            raise relocation.RelocationError(msg)
        _known(stack, to)
        number = _group_of(stack, user) if user is not None else group
        keys = _keys(stack)
        asked = relocation.wish(keys, number or 0, to)
        if asked.to == asked.home:
            say(f"group {asked.group} lives on {asked.home} already")
            return
        _carry_out(stack, keys, [asked], dry_run=dry_run)


def drain_command(server: Server, dry_run: DryRun = False, stack: Stack = "lab") -> None:
    """Move every group away from a server, and let none come, until `undrain`. It stays their standby."""
    from onedallmail import relocation  # noqa: PLC0415 - as above
    from onedallmail.fleets import stack_fleet  # noqa: PLC0415 - as above
    from onedallmail.placement.fleet import State  # noqa: PLC0415 - as above
    from onedallmail.placement.plan import plan  # noqa: PLC0415 - as above
    from onedallmail.stackfile import load_platform  # noqa: PLC0415 - as above

    with _plain():
        keys = _keys(stack)
        present = relocation.placements(keys)
        found = relocation.states(keys.values)
        fleet = stack_fleet(load_platform(stack), found | {server: State.DRAINING})
        plan(fleet, present, {})  # refuses what would leave groups without a place
        if not dry_run and found.get(server) is not State.DRAINING:
            relocation.mark(stack, keys, server, State.DRAINING)
            say(f"{server} is draining: no group comes to it by plan")
        _carry_out(stack, keys, relocation.leaving(keys, server), dry_run=dry_run)
        copies = sum(server in (p.home, p.standby) for p in present.values())
        say(f"{server} is standby of {copies} groups: while it is stopped they have no other copy to fall back on")


def undrain_command(server: Server, stack: Stack = "lab") -> None:
    """Let groups come to a server again. `rebalance` brings them."""
    from onedallmail import relocation  # noqa: PLC0415 - as above
    from onedallmail.placement.fleet import State  # noqa: PLC0415 - as above

    with _plain():
        _known(stack, server)
        keys = _keys(stack)
        state = relocation.states(keys.values).get(server, State.SERVING)
        if state is State.RETIRED:
            msg = f"{server} is retired, so nothing on it can be relied on: set it up anew under another name"
            raise relocation.RelocationError(msg)
        if state is State.SERVING:
            say(f"{server} serves already")
            return
        relocation.mark(stack, keys, server, State.SERVING)
        say(f"{server} serves again; `onedallmail placement rebalance` brings it its groups")


def rebalance_command(dry_run: DryRun = False, stack: Stack = "lab") -> None:
    """Change places of homes and standbys until each server has its share."""
    from onedallmail import relocation  # noqa: PLC0415 - as above
    from onedallmail.fleets import stack_fleet  # noqa: PLC0415 - as above
    from onedallmail.placement.plan import plan  # noqa: PLC0415 - as above
    from onedallmail.stackfile import load_platform  # noqa: PLC0415 - as above

    from .placement_plan import sizes_of  # noqa: PLC0415 - as above

    with _plain():
        keys = _keys(stack)
        present = relocation.placements(keys)
        fleet = stack_fleet(load_platform(stack), relocation.states(keys.values))
        wishes, others = relocation.swaps(plan(fleet, present, sizes_of(stack, None)).moves, present)
        if others:
            say(f"{others} groups would need another standby, which no command gives them; they stay")
        _carry_out(stack, keys, wishes, dry_run=dry_run)


def _carry_out(stack: str, keys: "Snapshot", wishes: Sequence["Wish"], *, dry_run: bool) -> None:
    """Ask for moves and wait for them; ends the command with 1 if some could not be done."""
    from onedallmail import relocation  # noqa: PLC0415 - as above

    hindered = {w.group: reason for w in wishes if (reason := relocation.hindrance(keys, w))}
    possible = [w for w in wishes if w.group not in hindered]
    if not wishes:
        say("nothing has to move")
    if dry_run:
        print_table(("Group", "From", "To"), [(str(w.group), w.home, w.to) for w in possible])
        say(f"{len(possible)} groups would move; nothing was changed")
        left = hindered
    else:
        relocation.ask(stack, keys, possible)
        told = _Progress(len(possible))
        left = {**hindered, **relocation.follow(stack, possible, told.moved)}
    for number, reason in sorted(left.items()):
        err.print(f"group {number} stays: {reason}", soft_wrap=True, markup=False)
    if left:
        err.print(f"{len(left)} groups did not move: mend what is said above, then run this again", soft_wrap=True)
        raise typer.Exit(1)


class _Progress:
    """Says each group that moved, and how many there are."""

    def __init__(self, groups: int) -> None:
        self._groups, self._done = groups, 0

    def moved(self, asked: "Wish") -> None:
        self._done += 1
        say(f"group {asked.group}: {asked.home} -> {asked.to}  ({self._done} of {self._groups})")


@contextmanager
def _plain() -> Iterator[None]:
    """End the command with one line on what is wrong, also where the quorum is lost."""
    from onedallmail.directory.errors import DirectoryError  # noqa: PLC0415 - as above
    from onedallmail.outputs import OutputsError  # noqa: PLC0415 - as above
    from onedallmail.placement.map import PlacementError  # noqa: PLC0415 - as above
    from onedallmail.quorum import QuorumError  # noqa: PLC0415 - as above
    from onedallmail.relocation import RelocationError  # noqa: PLC0415 - as above

    with plain_errors():
        try:
            yield
        except (OutputsError, PlacementError, QuorumError, RelocationError) as error:
            raise DirectoryError(str(error)) from error


def _keys(stack: str) -> "Snapshot":
    from onedallmail.placement.store import PREFIX  # noqa: PLC0415 - as above
    from onedallmail.quorum import read_snapshot  # noqa: PLC0415 - as above

    return read_snapshot(stack, PREFIX)


def _regions(stack: str) -> dict[str, str]:
    from onedallmail.stackfile import load_platform  # noqa: PLC0415 - as above

    return {server.name: server.region for server in load_platform(stack).mail_servers}


def _known(stack: str, server: str | None) -> None:
    from onedallmail.relocation import RelocationError  # noqa: PLC0415 - as above

    names = sorted(_regions(stack))
    if server is not None and server not in names:
        msg = f"there is no mail server {server}: name one of {', '.join(names)}"
        raise RelocationError(msg)


def _group_of(stack: str, user: str) -> int:
    from onedallmail.directory.remote import mailbox  # noqa: PLC0415 - as above

    return int(mailbox(stack, user)["group"])
