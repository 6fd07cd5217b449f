"""The decisions of the protocol: the code's own pure rules, called with the model's values.

A wrong rule in the code fails the model. A test puts a wrong decision in the place of a right one by `replace`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from onedallmail.copies import rules as copies
from onedallmail.copies.rules import Duty, Facts, Step, Word
from onedallmail.mailboxes import rules as mailboxes
from onedallmail.mailboxes.rules import Declared
from onedallmail.placement import rules as placement
from onedallmail.placement.map import Placement
from onedallmail.placement.store import Compare, Target, alive_key, group_key
from tests.unit.protocol.state import NAMES, WITNESS, A, B, C, home_of, standby_of

GROUP, USER = 0, "user"
REGIONS = {NAMES[A]: "r1", NAMES[C]: "r1", NAMES[B]: "r2", NAMES[WITNESS]: "r3"}
TTL_S = 8.0


class Asked(NamedTuple):
    """A standby is asked whether it holds a message: the asker's epoch, and what the standby knows."""

    standby: int
    epoch: int
    map: int
    ready: int
    prepared: int


@cache
def placed(epoch: int) -> Placement:
    """Return the group's place in an epoch."""
    return Placement(NAMES[home_of(epoch)], NAMES[standby_of(epoch)], epoch)


def names(mask: int) -> frozenset[str]:
    """Return the names of the servers in a mask."""
    return frozenset(name for number, name in enumerate(NAMES) if mask >> number & 1)


def _may_accept(local: bool, remote: bool) -> bool:
    """Both copies are on disk (copies/keeper.py, policy refuse)."""
    return local and remote


@cache
def _holders(origin: int, alive: int | None, servers: int) -> tuple[int, ...]:
    regions = {name: REGIONS[name] for name in NAMES[:servers]}
    living = None if alive is None else names(alive)
    found = copies.remote_holders("id", NAMES[origin], regions, living, [NAMES[WITNESS]])
    return tuple(NAMES.index(name) for name in found)


def _may_expire(fence_open: bool) -> bool:
    """Time: a lease may run out at etcd only after the fence that its last renewal left open has closed."""
    return not fence_open or placement.fence_until(TTL_S, 0.0) >= TTL_S


def _may_open(alive: bool, applied: bool) -> bool:
    return placement.fence_may_open(1 if alive else None, 1 if applied else None)


@cache
def _may_flip(server: int, epoch: int, true_epoch: int, alive: int, merging: bool) -> bool:
    """Return whether etcd commits what the agent of a server asks for; a standby that is being merged does not ask."""
    known, home = {GROUP: placed(epoch)}, placed(epoch).home
    gone = placement.gone([home], names(alive), [home], patient=False)
    due = placement.orphans(known, gone, NAMES[server], {GROUP} if merging else ())
    transactions = placement.flips(due, known, {group_key(GROUP): epoch}, NAMES[server], 1)
    return any(all(_holds(c, true_epoch, alive) for c in t.compares) for t in transactions)


def _holds(condition: Compare, epoch: int, alive: int) -> bool:
    """Judge a condition as etcd does; the model's leases are all number 1, a group's revision is its epoch."""
    if condition.key == group_key(GROUP):
        return condition.target is Target.CHANGED and condition.value == epoch
    there = condition.key in {alive_key(name) for name in names(alive)}
    return condition.value == (1 if there else 0)


@cache
def _serves(server: int, epoch: int, prepared: int) -> bool:
    return GROUP in placement.served({GROUP: placed(epoch)}, NAMES[server], {GROUP: prepared})


@cache
def _vouches(asked: Asked) -> bool:
    if asked.epoch != asked.map:  # mailboxes/standby.py compares the claim with its own map
        return False
    declared = _declared(asked.map, asked.ready)
    return mailboxes.vouches(NAMES[asked.standby], USER, placed(asked.map), declared, asked.prepared)


@cache
def _declared(epoch: int, ready: int) -> Declared | None:
    """Return what a standby remembers: the home of the epoch declared it ready."""
    return Declared(placed(ready).home, ready) if ready and ready <= epoch else None


@cache
def _may_synchronise(home: int, epoch: int, ready: int) -> bool:
    living = frozenset(NAMES)
    return mailboxes.may_synchronise(NAMES[home], USER, placed(epoch), living, _declared(epoch, ready))


@cache
def _needs_merge(home: int, epoch: int, ready: int) -> bool:
    return mailboxes.needs_reconciling(NAMES[home], placed(epoch), frozenset(NAMES), _declared(epoch, ready))


@cache
def _accepts(standby: int, known: int, home: int, epoch: int, prepared: int) -> bool:
    return mailboxes.accepts(NAMES[standby], placed(known), NAMES[home], epoch, prepared)


@cache
def _under_lease(fence_open: bool) -> bool:
    return mailboxes.leads("lease", 1.0 if fence_open else 0.0, 0.0)


@cache
def _duty(me: int, origin: int, alive: int | None, word: Word) -> Duty:
    living = None if alive is None else names(alive)
    return copies.duty(NAMES[me], NAMES[origin], alive=living, delivers=me != WITNESS, word=word)


@cache
def _step(facts: Facts) -> Step:
    return copies.step(facts)


@dataclass(frozen=True)
class Rules:
    """Every decision, and the order of steps where the code has no pure rule for it."""

    may_accept: Callable[[bool, bool], bool] = _may_accept
    holders: Callable[[int, int | None, int], tuple[int, ...]] = _holders
    may_expire: Callable[[bool], bool] = _may_expire
    may_open: Callable[[bool, bool], bool] = _may_open
    may_flip: Callable[[int, int, int, int, bool], bool] = _may_flip
    serves: Callable[[int, int, int], bool] = _serves
    vouches: Callable[[Asked], bool] = _vouches
    may_synchronise: Callable[[int, int, int], bool] = _may_synchronise
    needs_merge: Callable[[int, int, int], bool] = _needs_merge
    accepts: Callable[[int, int, int, int, int], bool] = _accepts
    duty: Callable[[int, int, int | None, Word], Duty] = _duty
    step: Callable[[Facts], Step] = _step
    checks_ledger: bool = True
    """The first Sieve script discards what the ledger has."""
    ships: str = "read before"
    """Which records follow a synchronisation: those read before it began."""
    merge: str = "survivors"
    """How a returned standby is merged: survivors, by id (both both ways), backup (home to standby only)."""
    hands_in_strays: bool = True
    """Before a backup, what the home does not know is handed in again."""
    heals: bool = True
    """A home puts what its mailbox lists into its ledger before it delivers again after a crash or take-over."""
    ends_sessions: bool = True
    """Becoming home ends synchronisations that the old home still runs into this server."""
    waits_for_deliveries: bool = True
    """A merge begins when the standby's own deliveries have ended, and ends when the home's that began before have."""
    under_lease: Callable[[bool], bool] = _under_lease
    """A home begins to synchronise or to merge only while its own lease stands: the fence is open."""
    unmarks: bool = True
    """A standby's ledger forgets what a merge drops."""
    remembers_taken: bool = True
    """A home has on disk what a merge takes over, before the exchange: the next merge looks for what crossed, too."""
