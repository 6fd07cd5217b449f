"""`onedallmail placement move|drain|undrain|rebalance`: groups change their homes and standbys while all is served.

Exit codes: 0 all of it is done, 1 refused, or not all of it could be done.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from .answer import Stack, err, plain_errors, print_table, say

if TYPE_CHECKING:
    from onedallmail.placement.moves import Move
    from onedallmail.placement.store import Snapshot
    from onedallmail.relocation import Wish

Server = Annotated[str, typer.Argument(help="Name of a mail server.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would move, and change nothing.")]


def move_command(
    *,
    group: Annotated[int | None, typer.Option(help="Number of a group.")] = None,
    user: Annotated[str | None, typer.Option(help="A user, whose whole group moves.")] = None,
    to: Annotated[str | None, typer.Option(help="Where to; the group's standby, which is the default.")] = None,
    standby: Annotated[str | None, typer.Option(help="Leave the home, and make this server the standby.")] = None,
    dry_run: DryRun = False,
    stack: Stack = "lab",
) -> None:
    """Make the standby of a group its home, and its home the standby; or give it another standby.

    Nothing is lost. Clients connect once more to a new home, and notice nothing of another standby.
    """
    from onedallmail import relocation  # noqa: PLC0415 - quick start of the command line

    with plain():
        if (group is None) == (user is None):
            msg = "name either --group or --user"
            raise relocation.RelocationError(msg)
        if to is not None and standby is not None:
            msg = "name either --to or --standby: one change at a time"
            raise relocation.RelocationError(msg)
        known(stack, to, standby)
        number = _group_of(stack, user) if user is not None else group
        keys = read_keys(stack)
        if standby is not None:
            _give_standby(stack, keys, number or 0, standby, dry_run=dry_run)
            return
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

    with plain():
        keys = read_keys(stack)
        present, regions = relocation.placements(keys), regions_of(stack)
        found = relocation.server_states(keys, regions)
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

    with plain():
        known(stack, server)
        keys = read_keys(stack)
        state = relocation.server_states(keys, regions_of(stack))[server]
        if state is State.NEW:
            msg = f"{server} is not admitted: `onedallmail server admit {server}`"
            raise relocation.RelocationError(msg)
        if state is State.RETIRED:
            msg = f"{server} is retired, so nothing on it can be relied on: set it up anew under another name"
            raise relocation.RelocationError(msg)
        if state is State.SERVING:
            say(f"{server} serves already")
            return
        relocation.mark(stack, keys, server, State.SERVING)
        say(f"{server} serves again; `onedallmail placement rebalance` brings it its groups")


def rebalance_command(dry_run: DryRun = False, stack: Stack = "lab") -> None:
    """Give groups other homes and standbys until each server has its share."""
    from onedallmail import relocation  # noqa: PLC0415 - as above
    from onedallmail.fleets import stack_fleet  # noqa: PLC0415 - as above
    from onedallmail.placement.plan import plan  # noqa: PLC0415 - as above
    from onedallmail.stackfile import load_platform  # noqa: PLC0415 - as above

    from .placement_plan import sizes_of  # noqa: PLC0415 - as above

    with plain():
        keys, regions = read_keys(stack), regions_of(stack)
        present = relocation.placements(keys)
        fleet = stack_fleet(load_platform(stack), relocation.server_states(keys, regions))
        found = plan(fleet, present, sizes_of(stack, None))
        make(stack, regions, found.moves, dry_run=dry_run)


def make(stack: str, regions: Mapping[str, str], moves: Sequence["Move"], *, dry_run: bool) -> None:
    """Make the moves of a plan and tell of each; ends the command with 1 if some could not be made."""
    from onedallmail import rounds  # noqa: PLC0415 - as above

    if not moves:
        say("nothing has to move")
    if dry_run:
        rows = [(str(m.group), m.kind.value, m.home, m.standby, m.reason.value) for m in moves]
        print_table(("Group", "Move", "Home", "Standby", "Because"), rows)
        say(f"{len(moves)} moves of {len(rounds.by_group(moves))} groups; nothing was changed")
        return
    told = _Progress(len(moves), "moves")
    _told(rounds.carry_out(stack, regions, moves, told.done))


def _give_standby(stack: str, keys: "Snapshot", group: int, standby: str, *, dry_run: bool) -> None:
    from onedallmail import relocation, standbys  # noqa: PLC0415 - as above

    asked = standbys.change(keys, regions_of(stack), group, standby)
    joining = relocation.placements(keys)[group].joining
    if asked.to == asked.old and not joining:
        say(f"{standby} is the standby of group {group} already")
    elif dry_run and asked.to == asked.old:
        say(f"group {group} would keep its standby {standby}, and {joining} not join it; nothing was changed")
    elif asked.to == asked.old:
        standbys.withdraw(stack, keys, [group])
        say(f"group {group} keeps its standby {standby}, {joining} does not join it")
    elif dry_run:
        say(f"group {group} would be copied from {asked.home} to {standby}, which then replaces {asked.old}")
        say("1 group would get another standby; nothing was changed")
    else:
        say(f"group {group} is copied from {asked.home} to {standby}; interrupting this command does not stop that")
        told = _Progress(1, "groups")
        _told(standbys.follow(stack, [asked], lambda c: told.done(c.group, c.made)))


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
        moved = relocation.follow(stack, possible, lambda w: told.done(w.group, f"{w.home} -> {w.to}"))
        left = {**hindered, **moved}
    _told(left)


def _told(left: "Mapping[int, str]") -> None:
    """Say which groups stay, and why; ends the command with 1 if there are any."""
    for number, reason in sorted(left.items()):
        err.print(f"group {number} stays: {reason}", soft_wrap=True, markup=False)
    if left:
        err.print(f"{len(left)} groups did not move: mend what is said above, then run this again", soft_wrap=True)
        raise typer.Exit(1)


class _Progress:
    """Says what was done with each group, and how much there is to do."""

    def __init__(self, all_of_it: int, of: str = "") -> None:
        self._all, self._of, self._done = all_of_it, f" {of}" if of else "", 0

    def done(self, group: int, what: str) -> None:
        self._done += 1
        say(f"group {group}: {what}  ({self._done} of {self._all}{self._of})")


@contextmanager
def plain() -> Iterator[None]:
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


def read_keys(stack: str) -> "Snapshot":
    """Return placement's keys in etcd; raises QuorumError."""
    from onedallmail.placement.store import PREFIX  # noqa: PLC0415 - as above
    from onedallmail.quorum import read_snapshot  # noqa: PLC0415 - as above

    return read_snapshot(stack, PREFIX)


def regions_of(stack: str) -> dict[str, str]:
    """Return the region of each mail server of the stack file."""
    from onedallmail.stackfile import load_platform  # noqa: PLC0415 - as above

    return {server.name: server.region for server in load_platform(stack).mail_servers}


def known(stack: str, *servers: str | None) -> None:
    """Raise RelocationError for a name that is no mail server of the stack file."""
    from onedallmail.relocation import RelocationError  # noqa: PLC0415 - as above

    names = sorted(regions_of(stack))
    for server in servers:
        if server is not None and server not in names:
            msg = f"there is no mail server {server}: name one of {', '.join(names)}"
            raise RelocationError(msg)


def _group_of(stack: str, user: str) -> int:
    from onedallmail.directory.remote import mailbox  # noqa: PLC0415 - as above

    return int(mailbox(stack, user)["group"])
