"""The way of a group from one pair of servers to another, in moves that each leave it whole.

Three kinds: a group without a place is created; its standby is changed, for which all its mail is copied from the
home; home and standby are swapped, for which nothing is copied. At each moment both are in different regions.
"""

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from onedallmail.placement.map import Placement

LONGEST_WAY = 4
"""Moves of a group that gets a new home in its old home's region and a new standby too."""
Pair = tuple[str, str]


class Kind(StrEnum):
    """What a move does."""

    CREATE = "create"
    STANDBY = "change-standby"
    SWAP = "swap-home"


class Reason(StrEnum):
    """Why a group moves, most urgent first."""

    CREATED = "the group has no place yet"
    RETIRED = "a server that holds it is retired"
    DRAINING = "a server that holds it is draining"
    PIN = "its pin asks for other regions"
    BALANCE = "servers hold more or less than their weight says"


@dataclass(frozen=True, slots=True)
class Move:
    """One change of the map: what a group is afterwards, and how much is copied to its standby for that."""

    group: int
    kind: Kind
    home: str
    standby: str
    epoch: int
    copied: int
    reason: Reason

    @property
    def placement(self) -> Placement:
        """The group's value in the map after the move."""
        return Placement(self.home, self.standby, self.epoch)


def way(present: Pair, wanted: Pair, region: Callable[[str], str], gone: Callable[[str], bool]) -> tuple[Pair, ...]:
    """Return the pairs (home, standby) on the way, the wanted one last: fewest copies first, then fewest moves.

    Copies come from the home, so it must not be gone; nor may a standby that becomes home.
    """
    queue: list[tuple[int, int, tuple[Pair, ...]]] = [(0, 0, (present,))]
    seen: set[Pair] = set()
    while queue:
        copies, length, path = heapq.heappop(queue)
        pair = path[-1]
        if pair == wanted:
            return path[1:]
        if pair in seen:
            continue
        seen.add(pair)
        for following, cost in _next(pair, wanted, region, gone):
            heapq.heappush(queue, (copies + cost, length + 1, (*path, following)))
    msg = f"no way leads from {present} to {wanted}"  # the planner asks for none such
    raise AssertionError(msg)


def _next(
    pair: Pair, wanted: Pair, region: Callable[[str], str], gone: Callable[[str], bool]
) -> Iterator[tuple[Pair, int]]:
    home, standby = pair
    if not gone(standby):
        yield (standby, home), 0
    if not gone(home):
        for name in wanted:
            if name != standby and region(name) != region(home):
                yield (home, name), 1


def moves_of(number: int, present: Placement, path: tuple[Pair, ...], size: int, reason: Reason) -> Iterator[Move]:
    """Yield the moves of a way; the epoch grows whenever the home changes."""
    home, epoch = present.home, present.epoch
    for following, standby in path:
        swapped = following != home
        epoch += swapped
        kind = Kind.SWAP if swapped else Kind.STANDBY
        yield Move(number, kind, following, standby, epoch, 0 if swapped else size, reason)
        home = following
