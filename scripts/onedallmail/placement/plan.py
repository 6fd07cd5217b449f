"""Which group lives where, as a function: servers, pins, sizes and the present map give the moves to a better map.

The result depends on nothing else: not on the order of the input, not on time. A plan of the map that a plan leads to
is empty. Groups move that must (their server leaves, their pin says so); others only where a server is further from
what its weight says than the tolerance.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from onedallmail.placement.board import Board
from onedallmail.placement.fleet import Fleet, PlanError, Rule, State, check_present
from onedallmail.placement.map import Placement, PlacementMap
from onedallmail.placement.moves import LONGEST_WAY, Kind, Move, Reason, moves_of, way
from onedallmail.placement.placing import balance, place
from onedallmail.placement.targets import targets

TOLERANCE = 0.05
EMPTY = 16
"""A group counts at least as a sixteenth of a mean one: a group without mail is a place for new users all the same."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Moves in the order in which to make them, and how far servers are from their targets before and after.

    Imbalance: the largest distance of a server's home or standby load from its target, as a part of its share by
    weight; groups that must move are not counted until they have. `more` says that not all moves fit into the most
    that were asked for.
    """

    moves: tuple[Move, ...]
    before: float
    after: float
    more: bool = False

    @property
    def copied(self) -> int:
        """How much is copied, in the unit of the sizes."""
        return sum(move.copied for move in self.moves)


def plan(
    fleet: Fleet,
    present: PlacementMap,
    sizes: Mapping[int, int],
    *,
    tolerance: float = TOLERANCE,
    most: int | None = None,
) -> Plan:
    """Return the moves from the present map; sizes (bytes, or mailboxes) of groups that are not named are 0.

    Groups that the map lacks are created. At most `most` moves are returned, all of a group or none; the next plan
    goes on from there.

    Raises:
        PlanError: the map or what was asked for can't be; the text has the way out.
    """
    _check(fleet, sizes, tolerance, most)
    check_present(fleet, present)
    board = _board(fleet, sizes)
    forced = _put_present(board, fleet, present)
    before = board.imbalance()
    for group in sorted(forced, key=lambda number: (-board.loads[number], number)):
        place(board, group, *_kept(board, group, present))
    made, left = _limited(_ways(board, fleet, present, sizes, forced), most)
    for moves in left:
        board.put(moves[0].group, None)
    more = bool(left)
    if not left:
        more = balance(board, tolerance, None if most is None else most - sum(map(len, made)))
        made = _ways(board, fleet, present, sizes, forced)
    return Plan(tuple(move for moves in made for move in moves), before, board.imbalance(), more)


def applied(present: PlacementMap, moves: Sequence[Move]) -> PlacementMap:
    """Return the map after moves, groups in the order of their numbers."""
    after = present | {move.group: move.placement for move in moves}
    return dict(sorted(after.items()))


def _check(fleet: Fleet, sizes: Mapping[int, int], tolerance: float, most: int | None) -> None:
    for number, size in sorted(sizes.items()):
        if not 0 <= number < fleet.groups or size < 0:
            msg = f"size {size} of group {number}: sizes are of groups 0 to {fleet.groups - 1}, and not negative"
            raise PlanError(msg)
    if not 0 <= tolerance < 1:
        msg = f"tolerance {tolerance}: write a part of a server's share, from 0 to below 1, such as {TOLERANCE}"
        raise PlanError(msg)
    if most is not None and most < LONGEST_WAY:
        msg = f"at most {most} moves: allow {LONGEST_WAY} or more, which one group may need"
        raise PlanError(msg)


def _board(fleet: Fleet, sizes: Mapping[int, int]) -> Board:
    least = max(1, sum(sizes.values()) // (fleet.groups * EMPTY))
    loads = [max(least, sizes.get(number, 0)) for number in range(fleet.groups)]
    rules, free = fleet.rules(), fleet.free
    by_rule: defaultdict[Rule, int] = defaultdict(int)
    for number, load in enumerate(loads):
        by_rule[rules.get(number, free)] += load
    return Board(fleet, loads, targets(fleet, by_rule))


def _put_present(board: Board, fleet: Fleet, present: PlacementMap) -> dict[int, Reason]:
    """Put those groups on the board that may stay; return the others with the reason why not."""
    forced = {}
    for group in range(fleet.groups):
        placement = present.get(group)
        reason = _why(board, fleet, group, placement)
        if reason:
            forced[group] = reason
        elif placement:
            board.put(group, (board.number[placement.home], board.number[placement.standby]))
    return forced


def _why(board: Board, fleet: Fleet, group: int, placement: Placement | None) -> Reason | None:
    if placement is None:
        return Reason.CREATED
    states = {fleet.by_name[name].state for name in (placement.home, placement.standby)}
    if State.RETIRED in states:
        return Reason.RETIRED
    if State.DRAINING in states:
        return Reason.DRAINING
    pair = board.number[placement.home], board.number[placement.standby]
    return None if board.allowed(group, pair) else Reason.PIN


def _kept(board: Board, group: int, present: PlacementMap) -> tuple[int | None, int | None]:
    """Return those of a group's servers that serve and are where its pin allows a copy."""
    if group not in present:
        return None, None
    numbers = (board.number.get(name) for name in (present[group].home, present[group].standby))
    home, standby = (n if n is not None and board.region[n] in board.rule(group).regions else None for n in numbers)
    return home, standby


def _ways(
    board: Board, fleet: Fleet, present: PlacementMap, sizes: Mapping[int, int], forced: Mapping[int, Reason]
) -> list[tuple[Move, ...]]:
    """Return the moves of each group that moves, the most urgent groups first, among equals those that copy least."""
    urgency = {reason: number for number, reason in enumerate(Reason)}
    found = []
    for group in sorted(board.at):
        wanted = board.names[board.at[group][0]], board.names[board.at[group][1]]
        size = sizes.get(group, 0)
        if group not in present:
            moves: tuple[Move, ...] = (Move(group, Kind.CREATE, *wanted, 1, 0, Reason.CREATED),)
        else:
            now = present[group]
            if wanted == (now.home, now.standby):
                continue
            path = way((now.home, now.standby), wanted, lambda name: fleet.by_name[name].region, _gone(fleet))
            moves = tuple(moves_of(group, now, path, size, forced.get(group, Reason.BALANCE)))
        found.append((urgency[moves[0].reason], sum(move.copied for move in moves), group, moves))
    return [moves for _, _, _, moves in sorted(found, key=lambda way_: way_[:3])]


def _gone(fleet: Fleet) -> Callable[[str], bool]:
    return lambda name: fleet.by_name[name].state is State.RETIRED


Ways = Sequence[tuple[Move, ...]]


def _limited(ways: Ways, most: int | None) -> tuple[Ways, Ways]:
    """Return the ways that fit into the most moves, and the others."""
    if most is None:
        return ways, ()
    moves = 0
    for number, one in enumerate(ways):
        moves += len(one)
        if moves > most:
            return ways[:number], ways[number:]
    return ways, ()
