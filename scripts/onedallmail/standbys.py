"""Other standbys for groups, as an operator asks for them: the map says who joins, the groups' homes do the rest.

What was asked for goes on when nobody waits for it any more; asking again waits for it.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from onedallmail import quorum
from onedallmail.placement.fleet import State
from onedallmail.placement.map import from_json, joining_wrong, to_json
from onedallmail.placement.request import reason_of
from onedallmail.placement.store import PREFIX, Compare, Snapshot, Target, Transaction, group_key, result_key
from onedallmail.relocation import RelocationError, living, placements, server_states

IN_ONE = 50
"""Groups in a transaction."""
AT_ONCE = 32
"""Groups that are copied at a time."""
LOOK_S = 1.0
STALLED_S = 180.0
"""So long servers may be without a lease, or the quorum be lost, until nobody waits any more. A copy may take hours."""


@dataclass(frozen=True, slots=True)
class Change:
    """A group that shall have another standby."""

    group: int
    home: str
    old: str
    to: str

    @property
    def made(self) -> str:
        """What is told of it once it is made."""
        return f"its standby is {self.to}, no longer {self.old}"


Regions = Mapping[str, str]


def change(keys: Snapshot, regions: Regions, group: int, to: str) -> Change:
    """Return the wish for one group; raises RelocationError with the way out."""
    known = placements(keys)
    if group not in known:
        msg = f"there is no group {group}: take one of 0 to {len(known) - 1}"
        raise RelocationError(msg)
    asked = Change(group, known[group].home, known[group].standby, to)
    if to != asked.old and (reason := hindrance(keys, regions, asked)):
        raise RelocationError(reason)
    return asked


def hindrance(keys: Snapshot, regions: Regions, asked: Change) -> str | None:
    """Return why a group can't get this standby now, with the way out; None if nothing is known to be in the way."""
    where, placement = f"group {asked.group}", placements(keys)[asked.group]
    if asked.to == placement.home:
        return f"{where}: {asked.to} is its home: move it to its standby first (`onedallmail placement move`)"
    if reason := joining_wrong(asked.group, replace(placement, joining=asked.to), regions):
        return reason
    way_out = {
        State.NEW: f"`onedallmail server admit {asked.to}`",
        State.DRAINING: f"`onedallmail placement undrain {asked.to}`, or take another server",
        State.RETIRED: "take another server",
    }
    state = server_states(keys, regions)[asked.to]
    if state in way_out:
        return f"{where}: {asked.to} is {state}: {way_out[state]}"
    if asked.to not in living(keys):
        return f"{where}: {asked.to} has no lease: start it, see `onedallmail status`"
    if placement.home not in living(keys):
        return f"{where}: its home {placement.home} has no lease, and only a home can be copied: start it, or wait"
    return None


def ask(stack: str, keys: Snapshot, changes: Sequence[Change]) -> None:
    """Write who joins, for groups that have not changed since. Raises QuorumError."""
    _write(stack, keys, {c.group: c.to for c in changes})


def withdraw(stack: str, keys: Snapshot, groups: Iterable[int]) -> None:
    """Let groups keep their standbys: nobody joins them any more. Raises QuorumError."""
    _write(stack, keys, dict.fromkeys(groups))


def _write(stack: str, keys: Snapshot, joining: Mapping[int, str | None]) -> None:
    known = placements(keys)
    fresh = [(number, name) for number, name in joining.items() if known[number].joining != name]
    for begin in range(0, len(fresh), IN_ONE):
        part = fresh[begin : begin + IN_ONE]
        unchanged = tuple(Compare(group_key(n), Target.CHANGED, keys.changes[group_key(n)]) for n, _ in part)
        puts = {group_key(n): to_json(replace(known[n], joining=name)) for n, name in part}
        quorum.commit(stack, Transaction(unchanged, puts, tuple(result_key(n) for n, _ in part)))


def follow(
    stack: str,
    changes: Sequence[Change],
    on_done: Callable[[Change], None],
    *,
    stalled_s: float = STALLED_S,
    pause: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> dict[int, str]:
    """Ask for changes, some at a time, and wait for them; return the groups that keep their standby, and why.

    Raises QuorumError when the quorum is lost for stalled_s.
    """
    waiting, under_way, left = list(changes), dict[int, Change](), dict[int, str]()
    last = clock()
    while waiting or under_way:
        try:
            keys = quorum.read_snapshot(stack, PREFIX)
            fresh = [waiting.pop(0) for _ in range(min(len(waiting), AT_ONCE - len(under_way)))]
            ask(stack, keys, fresh)
            under_way |= {c.group: c for c in fresh}
            keys = quorum.read_snapshot(stack, PREFIX) if fresh else keys
        except quorum.QuorumError:
            if clock() - last >= stalled_s:
                raise
            pause(LOOK_S)
            continue
        outcomes = [(asked, *_outcome(keys, asked)) for asked in under_way.values()]
        moving = any(over or {asked.home, asked.to} <= living(keys) for asked, over, _ in outcomes)
        for asked in (asked for asked, over, reason in outcomes if over and not reason):
            on_done(asked)
        left |= {asked.group: reason for asked, over, reason in outcomes if over and reason}
        under_way = {asked.group: asked for asked, over, _ in outcomes if not over}
        last = clock() if moving else last
        if clock() - last >= stalled_s:
            silent = {n: f"{c.home} or {c.to} has no lease; it goes on when both have" for n, c in under_way.items()}
            return {**left, **silent, **{c.group: "not asked for yet" for c in waiting}}
        if waiting or under_way:
            pause(LOOK_S)
    return left


def _outcome(keys: Snapshot, asked: Change) -> tuple[bool, str | None]:
    """Return whether a change is over, and why it was not made; no reason if it was."""
    placement = from_json(asked.group, keys.values[group_key(asked.group)])
    if placement.home != asked.home:
        return True, f"{placement.home} became its home meanwhile: ask again"
    if placement.joining == asked.to:
        return False, None
    if placement.joining:
        return True, f"somebody else asked for {placement.joining} meanwhile"
    if placement.standby == asked.to:
        return True, None
    result = keys.values.get(result_key(asked.group))
    return True, reason_of(result) if result else "it was changed at the same time, or withdrawn: ask again"
