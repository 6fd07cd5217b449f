"""Servers come and go: which moves take everything from one, or give it to another, and what must not be done.

A server that is dead can be retired, too: nothing is copied from it, and its standbys go to others.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from onedallmail.placement.fleet import Fleet, State, with_states
from onedallmail.placement.map import Placement, PlacementMap
from onedallmail.placement.moves import Move, Reason, moves_of, way
from onedallmail.placement.plan import plan
from onedallmail.placement.store import Snapshot
from onedallmail.relocation import RelocationError, living, placements, server_states

ONLY_WHAT_MUST = 0.99
"""A tolerance with which a plan moves little else than what has to move."""


@dataclass(frozen=True, slots=True)
class Leaving:
    """What takes a server's groups from it: moves, and groups that it shall not join any more."""

    moves: tuple[Move, ...]
    joins: tuple[int, ...]


def check_admitted(keys: Snapshot, regions: Mapping[str, str], server: str) -> bool:
    """Return whether a server has to be admitted; raises RelocationError if it can't be."""
    state = server_states(keys, regions)[server]
    if state is State.RETIRED:
        msg = f"{server} is retired, so nothing on it can be relied on: set it up anew under another name"
        raise RelocationError(msg)
    if state is not State.NEW:
        return False
    if server not in living(keys):
        msg = f"{server} has no lease: bring it up (`onedallmail stack up`), see `onedallmail status`, then admit it"
        raise RelocationError(msg)
    return True


def leaving(keys: Snapshot, fleet: Fleet, server: str, sizes: Mapping[int, int], *, gives_up_region: bool) -> Leaving:
    """Return what takes every group from a server of a fleet, whose states are as in etcd.

    Raises:
        RelocationError, PlanError: it can't be done; the text has the way out.
    """
    present = placements(keys)
    dead = server not in living(keys)
    check_copies(keys, present, server)
    left = frozenset({fleet.by_name[server].region}) if gives_up_region else frozenset()
    found = server_states(keys, fleet.by_name) | {server: State.RETIRED if dead else State.DRAINING}
    servers = replace(fleet, hosts=with_states(fleet.hosts, found), leaving=left)
    moves = plan(servers, present, sizes, tolerance=ONLY_WHAT_MUST).moves
    its = {n for n, p in present.items() if server in (p.home, p.standby)}
    return Leaving(tuple(m for m in moves if m.group in its), _joins(present, server))


def replacing(keys: Snapshot, fleet: Fleet, server: str, other: str, sizes: Mapping[int, int]) -> Leaving:
    """Return what gives each group of a server to another one, in the same role; raises RelocationError, PlanError."""
    present = placements(keys)
    check_copies(keys, present, server)
    found = server_states(keys, fleet.by_name)
    if server == other:
        msg = f"{server} can't be replaced by itself: name another server after --by"
        raise RelocationError(msg)
    if found[other] is State.DRAINING:
        msg = f"{other} is draining: `onedallmail placement undrain {other}` first, or take another server"
        raise RelocationError(msg)
    if other not in living(keys):
        msg = f"{other} has no lease: bring it up, see `onedallmail status`"
        raise RelocationError(msg)
    dead = server not in living(keys)
    states = found | {server: State.RETIRED if dead else State.DRAINING, other: State.SERVING}
    servers = replace(fleet, hosts=with_states(fleet.hosts, states))
    moves: list[Move] = []
    for number, placement in present.items():
        moves += _given(servers, number, placement, (server, other), sizes.get(number, 0))
    return Leaving(tuple(moves), _joins(present, server))


def _given(servers: Fleet, number: int, placement: Placement, pair: tuple[str, str], size: int) -> Iterable[Move]:
    """Return the moves by which the second of a pair gets what the first holds of a group; raises RelocationError."""
    server, other = pair
    if server not in (placement.home, placement.standby):
        return ()
    region = {host.name: host.region for host in servers.hosts}
    kept = placement.standby if server == placement.home else placement.home
    if kept == other or region[kept] == region[other]:
        where = f"group {number}: {other} is in {region[other]} as its other server {kept} is"
        msg = f"{where}; take a server of {region[server]}, or `onedallmail server retire {server}`"
        raise RelocationError(msg)
    wanted = (other, kept) if server == placement.home else (kept, other)
    gone = [host.name for host in servers.hosts if host.state is State.RETIRED]
    path = way((placement.home, placement.standby), wanted, lambda name: region[name], lambda name: name in gone)
    reason = Reason.RETIRED if server in gone else Reason.DRAINING
    return moves_of(number, placement, path, size, reason)


def check_copies(keys: Snapshot, present: PlacementMap, server: str) -> None:
    """Raise RelocationError for groups whose only whole copy a server has, as far as leases say.

    Whether a standby that lives is ready is for the group's home to say, which moves it only then.
    """
    alive = living(keys)
    for number, placement in present.items():
        if placement.home != server:
            continue
        where = f"group {number}: {server} is its home"
        if placement.standby not in alive:
            way_out = f"start {placement.standby} and wait until it is ready"
            if server in alive:
                way_out += f", or give the group another standby (`placement move --standby NAME --group {number}`)"
            only = f"its standby {placement.standby} has no lease, so {server} has the only whole copy"
            msg = f"{where}, and {only}: {way_out}"
            raise RelocationError(msg)
        if server not in alive:
            taking = f"{placement.standby} takes it over by itself, unless it was not ready"
            msg = f"{where} and has no lease: {taking}; try again when `onedallmail placement show` says so"
            raise RelocationError(msg)


def _joins(present: PlacementMap, server: str) -> tuple[int, ...]:
    return tuple(n for n, p in present.items() if p.joining == server)
