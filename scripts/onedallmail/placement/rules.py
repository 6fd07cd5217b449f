"""Decisions about leases, the fence and the move of groups. Nothing here reads or writes; the protocol model calls it.

The safety of a mailbox rests on two of them: `fence_until` ends a server's service before etcd forgets its lease, and
`flips` moves a group only while its home has no lease and this server has.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence

from onedallmail.placement.map import Placement, PlacementMap, to_json
from onedallmail.placement.store import Compare, Target, Transaction, alive_key, group_key, move_key, result_key

MARGIN_S = 1.0
"""How long before etcd may forget a lease the fence is closed; the clocks of both only have to run equally fast."""
GROUPS_IN_A_FLIP = 100
"""In one transaction; a hand-over has two conditions for each."""
FIRST_EPOCH = 1


def fence_until(ttl_s: float, asked_at: float) -> float:
    """Return the moment to which a renewal, asked for at `asked_at`, lets the fence stay open."""
    return asked_at + ttl_s - MARGIN_S


def fence_may_open(lease: int | None, applied: int | None) -> bool:
    """Return whether the map was read and written to files under the present lease (`applied`: the last it was)."""
    return lease is not None and lease == applied


def gone(servers: Collection[str], alive: Collection[str], seen: Collection[str], patient: bool) -> frozenset[str]:
    """Return the servers without lease whose groups may be taken over.

    One that was never seen alive may only be starting, as all do after a failure of power: those need patience.
    """
    return frozenset(name for name in servers if name not in alive and (patient or name in seen))


def orphans(
    placements: PlacementMap, gone_servers: Collection[str], server: str, merging: Collection[int] | None
) -> tuple[int, ...]:
    """Return the groups whose home is gone, whose standby is this server, and which it may take over.

    A standby whose merge has begun and is not ready holds neither what it had nor what the home has: it stays standby.
    `merging` are such groups; None when nobody can tell, then they all may be.
    """
    if merging is None:
        return ()
    mine = (n for n, p in sorted(placements.items()) if p.home in gone_servers and p.standby == server)
    return tuple(number for number in mine if number not in merging)


def taken_over(placement: Placement) -> Placement:
    """Return a group after its standby became its home: they change places, and the epoch grows. None joins it then."""
    return Placement(home=placement.standby, standby=placement.home, epoch=placement.epoch + 1)


def flips(
    numbers: Sequence[int], placements: PlacementMap, changes: Mapping[str, int], server: str, lease: int
) -> tuple[Transaction, ...]:
    """Return the transactions by which this server becomes home of groups, each of one old home and at most 100 groups.

    Conditions: no group has changed since it was read, the old home has no lease, and this server's is this one.
    """
    by_home: dict[str, list[int]] = defaultdict(list)
    for number in numbers:
        by_home[placements[number].home].append(number)
    own = Compare(alive_key(server), Target.LEASE, lease)
    transactions = []
    for home, all_of_home in by_home.items():
        conditions = (own, Compare(alive_key(home), Target.CREATED, 0))
        for chunk in _chunks(all_of_home):
            unchanged = tuple(Compare(group_key(n), Target.CHANGED, changes[group_key(n)]) for n in chunk)
            puts = {group_key(n): to_json(taken_over(placements[n])) for n in chunk}
            transactions.append(Transaction(conditions + unchanged, puts))
    return tuple(transactions)


def move_refused(placement: Placement, to: str, server: str, alive: Collection[str]) -> str | None:
    """Return why this server, the home, does not hand a group over to `to`; None if nothing is in the way."""
    if to == server:
        return f"{server} is its home already"
    if to != placement.standby:
        return f"{to} is not its standby, {placement.standby} is; only a standby has its mail"
    if to not in alive:
        return f"its standby {to} has no lease; start it"
    return None


def handovers(
    numbers: Sequence[int], placements: PlacementMap, changes: Mapping[str, int], leases: Mapping[str, int], server: str
) -> tuple[Transaction, ...]:
    """Return the transactions by which this server makes the standbys home of groups that it closed and handed over.

    Conditions: no group and no request has changed since they were read (`changes` has both), and both servers have
    the leases that they had then: what an earlier run of this service, or one without lease, still sends is refused.
    """
    by_standby: dict[str, list[int]] = defaultdict(list)
    for number in numbers:
        by_standby[placements[number].standby].append(number)
    own = Compare(alive_key(server), Target.LEASE, leases[alive_key(server)])
    transactions = []
    for standby, all_to_standby in by_standby.items():
        conditions = (own, Compare(alive_key(standby), Target.LEASE, leases[alive_key(standby)]))
        for chunk in _chunks(all_to_standby):
            keys = [key for n in chunk for key in (group_key(n), move_key(n))]
            unchanged = tuple(Compare(key, Target.CHANGED, changes[key]) for key in keys)
            puts = {group_key(n): to_json(taken_over(placements[n])) for n in chunk}
            deletes = tuple(key for n in chunk for key in (move_key(n), result_key(n)))
            transactions.append(Transaction(conditions + unchanged, puts, deletes))
    return tuple(transactions)


def joined(placement: Placement) -> Placement:
    """Return a group after the server that joined became its standby; the home and its epoch stay."""
    return Placement(placement.home, placement.joining or placement.standby, placement.epoch)


def may_switch(placement: Placement, server: str, leases: Mapping[str, int]) -> bool:
    """Return whether the home may make the joining server the standby, as far as leases say; the old one may be gone.

    That it holds all that the old standby vouches for is for the mailboxes service to say (mailboxes/switching.py).
    """
    return placement.home == server and placement.joining is not None and alive_key(placement.joining) in leases


def switch(
    number: int, placement: Placement, changes: Mapping[str, int], leases: Mapping[str, int], server: str
) -> Transaction:
    """Return the transaction by which this home makes the joining server the standby.

    Conditions: the group has not changed since it was read, and both servers have the leases that they had then, the
    joining one when it was asked whether it may be: one that was started anew may have lost what it had.
    """
    joining = alive_key(placement.joining or "")
    conditions = (
        Compare(alive_key(server), Target.LEASE, leases[alive_key(server)]),
        Compare(joining, Target.LEASE, leases[joining]),
        Compare(group_key(number), Target.CHANGED, changes[group_key(number)]),
    )
    return Transaction(conditions, {group_key(number): to_json(joined(placement))}, (result_key(number),))


def unjoined(number: int, placement: Placement, changed: int, result: str | None = None) -> Transaction:
    """Return the transaction by which no server joins a group any more, unless the switch came before it.

    Either this or the switch happens, for both want the group as it was read.
    """
    unchanged = Compare(group_key(number), Target.CHANGED, changed)
    results = {} if result is None else {result_key(number): result}
    return Transaction((unchanged,), {group_key(number): to_json(placement.settled), **results})


def withdrawal(number: int, changed: int, result: str) -> Transaction:
    """Return the transaction by which a request is given up; only after it may a group that was closed be opened.

    For then no transaction that hands it over can follow any more: its request is gone.
    """
    unchanged = Compare(move_key(number), Target.CHANGED, changed)
    return Transaction((unchanged,), {result_key(number): result}, (move_key(number),))


def own_lease_stands(leases: Mapping[str, int], server: str, lease: int) -> bool:
    """Return whether a snapshot shows this server's key with this lease; if not, others may take over from it."""
    return leases.get(alive_key(server)) == lease


def unprepared(placements: PlacementMap, server: str, prepared: Mapping[int, int]) -> dict[int, int]:
    """Return the groups (to epoch) that live here and whose mailboxes have yet to be prepared for this epoch.

    A group of the first epoch never had another home: there is nothing to prepare.
    """
    return {
        number: placement.epoch
        for number, placement in placements.items()
        if placement.home == server and placement.epoch > FIRST_EPOCH and prepared.get(number) != placement.epoch
    }


def served(placements: PlacementMap, server: str, prepared: Mapping[int, int]) -> frozenset[int]:
    """Return the groups that may be served here: their home is this server, and they are prepared for this epoch."""
    waiting = unprepared(placements, server, prepared)
    return frozenset(n for n, p in placements.items() if p.home == server and n not in waiting)


def _chunks(numbers: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(numbers), GROUPS_IN_A_FLIP):
        yield numbers[start : start + GROUPS_IN_A_FLIP]
