"""`onedallmail placement plan`: which groups would move where, and why. It reads, and changes nothing."""

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .answer import AsJson, Stack, err, plain_errors, print_json, print_table, say

if TYPE_CHECKING:
    from onedallmail.placement.fleet import Fleet, State
    from onedallmail.placement.map import PlacementMap
    from onedallmail.placement.plan import Plan
    from onedallmail.platform.model import Platform

SHOWN = 5


def plan_command(
    *,
    sizes: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="JSON of group to bytes; else mailboxes count.")
    ] = None,
    drain: Annotated[list[str] | None, typer.Option(help="A server whose groups shall leave.")] = None,
    retire: Annotated[list[str] | None, typer.Option(help="A server that is gone.")] = None,
    leave_region: Annotated[list[str] | None, typer.Option(help="A region that is given up.")] = None,
    tolerance: Annotated[float, typer.Option(help="Percent of a server's share that may be missing or too much.")] = 5,
    most: Annotated[int | None, typer.Option(help="At most this many moves.")] = None,
    stack: Stack = "lab",
    as_json: AsJson = False,
) -> None:
    """Show the moves that would bring the running stack's groups where they should be; nothing is changed."""
    from onedallmail.directory.errors import DirectoryError  # noqa: PLC0415 - quick start of the command line
    from onedallmail.placement.map import PlacementError  # noqa: PLC0415 - as above
    from onedallmail.placement.plan import plan  # noqa: PLC0415 - as above

    with plain_errors():
        try:
            present = _present(stack)
            fleet = _fleet(stack, present, (drain or [], retire or [], leave_region or []))
            found = plan(fleet, present, sizes_of(stack, sizes), tolerance=tolerance / 100, most=most)
        except PlacementError as error:
            raise DirectoryError(str(error)) from error
        _say_misplaced(stack)
    unit = "bytes" if sizes else "mailboxes"
    if as_json:
        print_json(_document(found, unit))
        return
    _show(found, unit)


def _fleet(stack: str, present: "PlacementMap", asked_for: tuple[list[str], list[str], list[str]]) -> "Fleet":
    """Return the servers; `asked_for` are those to drain, those to retire, and regions to leave."""
    from onedallmail.fleets import stack_fleet  # noqa: PLC0415 - as above
    from onedallmail.placement.fleet import State  # noqa: PLC0415 - as above
    from onedallmail.stackfile import load_platform  # noqa: PLC0415 - as above

    platform, (drain, retire, leaving) = load_platform(stack), asked_for
    asked = dict.fromkeys(drain, State.DRAINING) | dict.fromkeys(retire, State.RETIRED)
    return stack_fleet(platform, {**_states(stack, platform, present), **asked}, leaving=frozenset(leaving))


def _say_misplaced(stack: str) -> None:
    """Name the pinned mailboxes that no plan can bring where they should be: a mailbox keeps its group."""
    from onedallmail.fleets import misplaced  # noqa: PLC0415 - as above
    from onedallmail.stackfile import load_platform  # noqa: PLC0415 - as above

    found = misplaced(load_platform(stack))
    if found:
        shown = ", ".join(f"{address} ({group})" for address, group in sorted(found.items())[:SHOWN])
        text = f"{len(found)} pinned mailboxes are in groups that are not their pin's, from before it: {shown}"
        err.print(f"{text}{' and others' if len(found) > SHOWN else ''}", soft_wrap=True, markup=False)


def _states(stack: str, platform: "Platform", present: "PlacementMap") -> dict[str, "State"]:
    """Return the states of servers in etcd; without a quorum they are left out, and that is said."""
    from onedallmail.placement.store import SERVERS  # noqa: PLC0415 - as above
    from onedallmail.quorum import QuorumError, read_keys  # noqa: PLC0415 - as above
    from onedallmail.relocation import in_their_states, states  # noqa: PLC0415 - as above

    try:
        return in_their_states(
            states(read_keys(stack, SERVERS)), present, [server.name for server in platform.mail_servers]
        )
    except QuorumError as error:
        err.print(f"planned as if all servers served: {error}", soft_wrap=True, markup=False)
        return {}


def _present(stack: str) -> dict[int, Any]:
    from onedallmail.directory.errors import DirectoryError  # noqa: PLC0415 - as above
    from onedallmail.directory.session import placements  # noqa: PLC0415 - as above

    present = placements(stack)
    if present is None:
        msg = f"no mail server of stack {stack} told its placement map: start one, or look at its placement service"
        raise DirectoryError(msg)
    return present


def sizes_of(stack: str, path: Path | None) -> dict[int, int]:
    """Return the size of each group: bytes as a file says, else the number of its mailboxes in the directory."""
    from onedallmail.fleets import mailboxes_by_group  # noqa: PLC0415 - as above
    from onedallmail.placement.fleet import PlanError  # noqa: PLC0415 - as above

    if path is None:
        return mailboxes_by_group(stack)
    document = _json(path)
    if not isinstance(document, dict) or not all(
        number.isdecimal() and type(size) is int for number, size in document.items()
    ):
        msg = f'{path}: write an object of group to bytes, such as {{"0": 1048576}}'
        raise PlanError(msg)
    return {int(number): size for number, size in document.items()}


def _json(path: Path) -> object:
    import json  # noqa: PLC0415 - as above

    from onedallmail.placement.fleet import PlanError  # noqa: PLC0415 - as above

    try:
        return json.loads(path.read_text())
    except ValueError as error:
        msg = f"{path} is no JSON: {error}"
        raise PlanError(msg) from error


def _document(found: "Plan", unit: str) -> dict[str, Any]:
    return {
        "unit": unit,
        "moves": [asdict(move) for move in found.moves],
        "copied": found.copied,
        "imbalance": {"before": round(found.before, 6), "after": round(found.after, 6)},
        "more": found.more,
    }


def _show(found: "Plan", unit: str) -> None:
    if not found.moves:
        say(f"nothing has to move: no server is further than {found.after:.1%} of its share from its target")
        return
    print_table(
        ("Group", "Move", "Home", "Standby", f"Copied ({unit})", "Because"),
        [(str(m.group), m.kind.value, m.home, m.standby, str(m.copied), m.reason.value) for m in found.moves],
    )
    kinds = ", ".join(f"{count} {kind}" for kind, count in Counter(m.kind.value for m in found.moves).items())
    say(f"{len(found.moves)} moves ({kinds}); {found.copied} {unit} copied; nothing was changed")
    say(
        f"largest distance of a server from its target: {found.before:.1%} of its share before, {found.after:.1%} after"
    )
    if found.more:
        say("not all moves fit: plan again after these")
