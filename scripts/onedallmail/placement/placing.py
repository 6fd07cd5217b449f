"""Where groups go: those that must move first, then as few others as balance asks for. Works on a Board.

What a move costs is what is copied: a group's size for each of its two servers that is replaced. Which of the two is
home can be swapped without a copy, so swaps are tried before copies.
"""

import math
from collections.abc import Callable, Iterator

from onedallmail.placement.board import HOME, ROLES, STANDBY, Board, Pair

Change = tuple[int, Pair]
"""A group and its new home and standby."""
SWAPS, COPIES = 1, 3
"""Moves that a swap needs, and at most those of a change of one server with its copy."""
FEW = 32
"""Servers among which chains of two copies are sought."""
CHAIN = 0.1
"""A chain has to better the map by this part of what a mean group counts: two copies for little are too dear."""
SETTLED = 0.25
"""A server beyond the tolerance is brought to this part of it, so that it rests for a while."""
BETTER = 1e-9
"""A change has to better the map by more than this part of a mean group, or rounding could turn it back and forth."""


def place(board: Board, group: int, home: int | None, standby: int | None) -> None:
    """Give a group the best of the cheapest places; home and standby are those of its old servers that may stay."""
    for choices in _choices(board, group, home, standby):
        allowed = [pair for pair in choices if board.allowed(group, pair)]
        if allowed:
            board.put(group, max(allowed, key=lambda pair: (board.gain(group, pair), -pair[HOME], -pair[STANDBY])))
            return
    msg = f"group {group} has no place, though its rule was checked"
    raise AssertionError(msg)


def _choices(board: Board, group: int, home: int | None, standby: int | None) -> Iterator[Iterator[Pair]]:
    """Yield sets of places, from those that need no copy and no new home to those that need two copies."""
    rule = board.rule(group)
    if home is not None and standby is not None:
        yield iter(((home, standby),))
        yield iter(((standby, home),))
    if home is not None:
        yield ((home, other) for other in board.lowest(STANDBY, rule.regions))
    if standby is not None:
        yield _around(board, group, standby)
    if home is not None:
        yield _around(board, group, home)
    yield _anywhere(board, group)


def _around(board: Board, group: int, kept: int) -> Iterator[Pair]:
    rule = board.rule(group)
    for other in board.lowest(STANDBY, rule.regions):
        yield kept, other
    for other in board.lowest(HOME, rule.homes):
        yield other, kept


def _anywhere(board: Board, group: int) -> Iterator[Pair]:
    """Yield places with the home where a home of this size fits best."""
    rule, size = board.rule(group), board.loads[group]

    def worse(server: int) -> tuple[float, int]:
        return (2 * board.excess(HOME, server) + size) / board.weight[server], server

    home = min(board.lowest(HOME, rule.homes), key=worse)
    for standby in board.lowest(STANDBY, rule.regions - {board.region[home]}):
        yield home, standby


def balance(board: Board, tolerance: float, most: int | None = None) -> bool:
    """Move groups from and to servers that are further from their target than the tolerance, while that helps.

    Every change makes the sum of excess^2/weight smaller, so this ends, also in parts; and it ends where it would not
    begin again. Without tolerance chains of two changes are tried too. Returns whether it was stopped because its
    changes need more than `most` moves.
    """
    moved, spent, exact = True, 0, tolerance == 0 and most is None
    while moved:
        moved = False
        for role, server in _beyond(board, tolerance):
            while abs(board.excess(role, server)) > SETTLED * tolerance * board.share[server]:
                one = _best_change(board, role, server, tolerance)
                found = [one] if one else _chain(board, role, server) if exact else []
                if not found:
                    break
                spent += sum(_moves(board, change) for change in found)
                if most is not None and spent > most:
                    return True
                for change in found:
                    board.put(*change)
                moved = True
    return False


def _moves(board: Board, change: Change) -> int:
    group, (home, standby) = change
    return SWAPS if board.at[group] == (standby, home) else COPIES


def _beyond(board: Board, tolerance: float) -> list[tuple[int, int]]:
    """Return the (role, server) that are out of tolerance, the worst first."""
    found = [
        (-abs(board.excess(role, server)) / board.share[server], role, server)
        for role in ROLES
        for server in range(len(board.names))
    ]
    return [(role, server) for distance, role, server in sorted(found) if -distance > tolerance]


def _best_change(board: Board, role: int, server: int, tolerance: float) -> Change | None:
    """Return the best swap, or the best copy, first among those that drive no server out of tolerance."""

    def within(group: int, pair: Pair) -> bool:
        return board.within(group, pair, tolerance)

    for agreed in (within, board.allowed):
        found = _best(board, _swaps(board, role, server), agreed)
        for giver, taker in () if found else _partners(board, role, server):
            found = _best(board, _copies(board, role, giver, taker), agreed)
            if found:
                break
        if found:
            return found
    return None


def _swaps(board: Board, role: int, server: int) -> Iterator[Change]:
    gives = board.excess(role, server) > 0
    for group in board.held[role if gives else 1 - role][server]:
        yield group, (board.at[group][STANDBY], board.at[group][HOME])


def _partners(board: Board, role: int, server: int) -> Iterator[Pair]:
    """Yield (giver, taker) of this server and each other that it may help or be helped by, the farthest first."""
    gives = board.excess(role, server) > 0
    order, height = board.by_height(role), board.height(role, server)
    for other in order if gives else reversed(order):
        if (board.height(role, other) >= height) if gives else (board.height(role, other) <= height):
            return
        yield (server, other) if gives else (other, server)


def _copies(board: Board, role: int, giver: int, taker: int) -> Iterator[Change]:
    """Yield the changes that bring a role of one group from one server to another and copy it once."""
    for group in board.held[role][giver]:
        home, standby = board.at[group]
        if role == STANDBY:
            yield group, (home, taker)
        else:
            yield group, (taker, standby)
            yield group, (taker, home)


def _chain(board: Board, role: int, server: int) -> list[Change]:
    """Return two copies that help together: a third server passes one group on and gets another.

    Few servers need that, where regions leave no direct way; among many there is always another partner.
    """
    if len(board.names) > FEW:
        return []
    worth = CHAIN * board.mean * board.mean / max(board.weight)
    for giver, taker in _partners(board, role, server):
        for middle in range(len(board.names)):
            if middle in {giver, taker}:
                continue
            on = _best(board, _copies(board, role, middle, taker), board.allowed, -math.inf)
            if on is None:
                continue
            old, gained = board.at[on[0]], board.gain(*on)
            board.put(*on)
            changes = ((g, pair) for g, pair in _copies(board, role, giver, middle) if g != on[0])
            first = _best(board, changes, board.allowed, worth - gained)
            board.put(on[0], old)
            if first:
                return [on, first]
    return []


def _best(
    board: Board, changes: Iterator[Change], agreed: Callable[[int, Pair], bool], least: float | None = None
) -> Change | None:
    """Return the agreed change that betters the map most, and by more than the least."""
    least = BETTER * board.mean * board.mean if least is None else least
    found = (
        (gain, -group, pair)
        for group, pair in changes
        if (gain := board.gain(group, pair)) > least and board.allowed(group, pair) and agreed(group, pair)
    )
    best = max(found, default=None)
    return (-best[1], best[2]) if best else None
