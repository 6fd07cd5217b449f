"""The decisions of the protocol as one record of pure functions, so that a test can put a wrong one in its place."""

from dataclasses import dataclass
from typing import NamedTuple

from collections.abc import Callable

from tests.unit.protocol.state import A, B, C, W

REGIONS = {A: "r1", C: "r1", B: "r2", W: "r3"}


class Held(NamedTuple):
    """What a standby knows when it is asked whether it holds a message."""

    asked: int  # the epoch of the asker's map
    map: int  # the epoch of its own
    ready: int  # the epoch for which it was declared ready
    recorded: bool  # its ledger has the message


def _may_accept(local: bool, remote: bool) -> bool:
    return local and remote


def _may_flip(merging: bool, home_alive: bool, alive: bool) -> bool:
    return alive and not home_alive and not merging


def _held(question: Held) -> bool:
    return question.recorded and question.asked == question.map == question.ready


def _may_expire(fence_open: bool) -> bool:
    return not fence_open


def _holder(origin: int, alive: list[int]) -> list[int]:
    """Return where the remote copy may go, best first."""
    return [s for s in sorted(alive) if REGIONS[s] != REGIONS[origin] and s != W] + [W]


@dataclass(frozen=True)
class Rules:
    """Every place where the protocol decides. Flags are habits that the contract has or lacks."""

    may_accept: Callable[[bool, bool], bool] = _may_accept
    holders: Callable[[int, list[int]], list[int]] = _holder
    may_expire: Callable[[bool], bool] = _may_expire
    may_flip: Callable[[bool, bool, bool], bool] = _may_flip
    held: Callable[[Held], bool] = _held
    checks_ledger: bool = True
    opens_before_reading: bool = False
    ships: str = "read before"
    asks_home_only: bool = False
    merge: str = "backup"
    hands_in_strays: bool = True
    absorbs_listing: bool = True
    ends_sessions: bool = True
    waits_for_deliveries: bool = True
    drops_own_first: bool = False
    adopts: bool = True
    asks_origin: bool = True
