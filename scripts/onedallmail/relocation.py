"""Moves of groups as an operator asks for them: requests in etcd, which the groups' homes carry out, and what came."""

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from onedallmail import quorum
from onedallmail.placement.fleet import PlanError, State
from onedallmail.placement.map import PlacementMap, from_json
from onedallmail.placement.request import as_request, reason_of
from onedallmail.placement.store import (
    ALIVE,
    GROUPS,
    PREFIX,
    SERVERS,
    Compare,
    Snapshot,
    Target,
    Transaction,
    alive_key,
    group_key,
    move_key,
    result_key,
    server_key,
)

IN_ONE = 50
"""Requests in a transaction; each has two conditions and two changes."""
LOOK_S = 1.0
STALLED_S = 180.0
"""After so long without any group that moved the rest is given up. A home gives up sooner by itself."""


class RelocationError(Exception):
    """What was asked for can't be; the message says why and what to do instead."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A group that shall move from its home to its standby."""

    group: int
    home: str
    to: str


def placements(keys: Snapshot) -> PlacementMap:
    """Return the map; raises PlacementError."""
    numbers = sorted(int(key.removeprefix(GROUPS)) for key in keys.under(GROUPS).values)
    return {number: from_json(number, keys.values[group_key(number)]) for number in numbers}


def states(keys: Mapping[str, bytes]) -> dict[str, State]:
    """Return the states of servers of which one is kept; raises PlanError for a key that is no state."""
    found = {}
    for key, value in keys.items():
        if key.startswith(SERVERS):
            try:
                found[key.removeprefix(SERVERS)] = State(json.loads(value)["state"])
            except (ValueError, KeyError, TypeError) as error:
                msg = f'{key} is {value[:80]!r}: write {{"state": "draining"}}, or delete it for a server that serves'
                raise PlanError(msg) from error
    return found


def server_states(keys: Snapshot, names: Iterable[str]) -> dict[str, State]:
    """Return the state of each server of a stack (`in_their_states`); raises PlanError, PlacementError."""
    return in_their_states(states(keys.values), placements(keys), names)


def in_their_states(found: Mapping[str, State], present: PlacementMap, names: Iterable[str]) -> dict[str, State]:
    """Return the state of each server: one of which none is kept serves if the map names it, and is new otherwise."""
    held = {name for placement in present.values() for name in placement.holders}
    return {name: found.get(name, State.SERVING if name in held else State.NEW) for name in names}


def living(keys: Snapshot) -> frozenset[str]:
    """Return the servers that have a lease."""
    return frozenset(key.removeprefix(ALIVE) for key in keys.values if key.startswith(ALIVE))


def wish(keys: Snapshot, group: int, to: str | None) -> Wish:
    """Return the wish to move one group; raises RelocationError with the way out."""
    known = placements(keys)
    if group not in known:
        msg = f"there is no group {group}: take one of 0 to {len(known) - 1}"
        raise RelocationError(msg)
    placement = known[group]
    asked = Wish(group, placement.home, to or placement.standby)
    if asked.to not in (placement.home, placement.standby):
        msg = (
            f"group {group} can move to its standby {placement.standby} only, not to {asked.to}, which has none of its "
            f"mail: leave out --to, or make {asked.to} its standby first (`placement move --standby {asked.to}`)"
        )
        raise RelocationError(msg)
    if asked.to != placement.home and (reason := hindrance(keys, asked)):
        raise RelocationError(reason)
    return asked


def hindrance(keys: Snapshot, asked: Wish, *, planned: bool = False) -> str | None:
    """Return why a group can't move to its standby now, with the way out; None if nothing is known to be in the way.

    The way of a plan may lead through a server that is draining.
    """
    alive, known = living(keys), placements(keys).get(asked.group)
    if known is not None and known.joining:
        way_out = f"wait until it is, or keep the old one (`placement move --standby {known.standby}`)"
        return f"group {asked.group}: {known.joining} is being made its standby: {way_out}"
    if not planned and states(keys.values).get(asked.to, State.SERVING) is not State.SERVING:
        return f"group {asked.group}: its standby {asked.to} is {states(keys.values)[asked.to]}: undrain it first"
    if asked.to not in alive:
        return f"group {asked.group}: its standby {asked.to} has no lease: start it, see `onedallmail status`"
    if asked.home not in alive:
        return f"group {asked.group}: its home {asked.home} has no lease: {asked.to} takes it over by itself"
    return None


def leaving(keys: Snapshot, server: str) -> list[Wish]:
    """Return the wishes to move every group that lives on a server to its standby."""
    return [Wish(n, server, p.standby) for n, p in placements(keys).items() if p.home == server]


def mark(stack: str, keys: Snapshot, server: str, state: State) -> None:
    """Write a server's state, if nobody changed it meanwhile; raises RelocationError, QuorumError."""
    key = server_key(server)
    unchanged = Compare(key, Target.CHANGED, keys.changes.get(key, 0))
    value = json.dumps({"state": state.value}, separators=(",", ":"))
    if not quorum.commit(stack, Transaction((unchanged,), {key: value})):
        msg = f"somebody else changed the state of {server} at the same time: look at it, then try again"
        raise RelocationError(msg)


def ask(stack: str, keys: Snapshot, wishes: Sequence[Wish]) -> None:
    """Write the requests of groups that have not changed. A group that has one already keeps it. Raises QuorumError."""
    fresh = [w for w in wishes if move_key(w.group) not in keys.values]
    for begin in range(0, len(fresh), IN_ONE):
        part = fresh[begin : begin + IN_ONE]
        unchanged = [Compare(group_key(w.group), Target.CHANGED, keys.changes[group_key(w.group)]) for w in part]
        absent = [Compare(move_key(w.group), Target.CREATED, 0) for w in part]
        puts = {move_key(w.group): as_request(w.to) for w in part}
        results = tuple(result_key(w.group) for w in part)
        quorum.commit(stack, Transaction((*unchanged, *absent), puts, results))


def follow(
    stack: str,
    wishes: Sequence[Wish],
    on_moved: Callable[[Wish], None],
    *,
    stalled_s: float = STALLED_S,
    pause: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> dict[int, str]:
    """Wait until groups are where they shall be; return those that are not, with the reason.

    What makes no progress is withdrawn. Raises QuorumError when the quorum is lost for that long.
    """
    open_ones, left, last = {w.group: w for w in wishes}, dict[int, str](), clock()
    while open_ones:
        try:
            keys = quorum.read_snapshot(stack, PREFIX)
        except quorum.QuorumError:
            if clock() - last >= stalled_s:
                raise
            pause(LOOK_S)
            continue
        ended = {n: _outcome(keys, w) for n, w in open_ones.items() if move_key(n) not in keys.values}
        for number, reason in ended.items():
            asked = open_ones.pop(number)
            if reason:
                left[number] = reason
            else:
                on_moved(asked)
        last = clock() if ended else last
        if open_ones and clock() - last >= stalled_s:
            return {**left, **_given_up(stack, keys, open_ones.values(), stalled_s)}
        if open_ones:
            pause(LOOK_S)
    return left


def _outcome(keys: Snapshot, asked: Wish) -> str | None:
    """Return why a group whose request is gone has not moved; None if it has."""
    placement = from_json(asked.group, keys.values[group_key(asked.group)])
    if placement.home == asked.to:
        return None
    result = keys.values.get(result_key(asked.group))
    return reason_of(result) if result else "its request was not taken, or was withdrawn: try again"


def _given_up(stack: str, keys: Snapshot, wishes: Iterable[Wish], stalled_s: float) -> dict[int, str]:
    """Withdraw requests; raises QuorumError."""
    left = {}
    for asked in wishes:
        key = move_key(asked.group)
        quorum.commit(stack, Transaction((Compare(key, Target.CHANGED, keys.changes[key]),), {}, (key,)))
        silent = "" if alive_key(asked.home) in keys.values else f"; {asked.home} has no lease"
        left[asked.group] = f"nothing happened for {stalled_s:g} s{silent}; the request is withdrawn"
    return left
