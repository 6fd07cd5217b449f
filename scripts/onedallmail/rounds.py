"""Carries out the moves of a plan: the next one of each group in a round, until each group is where it shall be.

Swaps come first in a round, since copies take long. Whoever is interrupted plans again: what was done stays done.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from onedallmail import quorum, relocation, standbys
from onedallmail.placement.moves import Kind, Move
from onedallmail.placement.store import PREFIX
from onedallmail.relocation import Wish
from onedallmail.standbys import Change

Told = Callable[[int, str], None]
"""A group, and what was done with it."""


def by_group(moves: Iterable[Move]) -> dict[int, list[Move]]:
    """Return the moves of each group, in their order."""
    found: dict[int, list[Move]] = {}
    for move in moves:
        found.setdefault(move.group, []).append(move)
    return found


def carry_out(stack: str, regions: Mapping[str, str], moves: Sequence[Move], told: Told) -> dict[int, str]:
    """Make moves; return the groups that are not where they should be, with the reason. Raises QuorumError."""
    open_ones, left = by_group(moves), dict[int, str]()
    while open_ones:
        firsts = [ways[0] for ways in open_ones.values()]
        failed = _swap(stack, [m for m in firsts if m.kind is Kind.SWAP], told)
        failed |= _change(stack, regions, [m for m in firsts if m.kind is Kind.STANDBY], told)
        created = {m.group: "the map lacks it: look at `onedallmail status`" for m in firsts if m.kind is Kind.CREATE}
        left |= failed | created
        open_ones = {n: ways[1:] for n, ways in open_ones.items() if n not in left and ways[1:]}
    return left


def _swap(stack: str, moves: Sequence[Move], told: Told) -> dict[int, str]:
    if not moves:
        return {}
    keys = quorum.read_snapshot(stack, PREFIX)
    known = relocation.placements(keys)
    wishes = [Wish(m.group, known[m.group].home, m.home) for m in moves if known[m.group].home != m.home]
    hindered = {w.group: reason for w in wishes if (reason := relocation.hindrance(keys, w, planned=True))}
    possible = [w for w in wishes if w.group not in hindered]
    relocation.ask(stack, keys, possible)
    return hindered | relocation.follow(stack, possible, lambda w: told(w.group, f"{w.home} -> {w.to}"))


def _change(stack: str, regions: Mapping[str, str], moves: Sequence[Move], told: Told) -> dict[int, str]:
    if not moves:
        return {}
    keys = quorum.read_snapshot(stack, PREFIX)
    known = relocation.placements(keys)
    changes = [Change(m.group, known[m.group].home, known[m.group].standby, m.standby) for m in moves]
    changes = [c for c in changes if c.to != c.old]
    hindered = {c.group: reason for c in changes if (reason := standbys.hindrance(keys, regions, c))}
    possible = [c for c in changes if c.group not in hindered]
    return hindered | standbys.follow(stack, possible, lambda c: told(c.group, c.made))
