"""The home's side of a new or returned standby: merge, synchronise and ship each mailbox, then declare it ready.

Until then nothing else is synchronised into the standby: equal messages under two GUIDs would be doubled.
"""

import asyncio
import logging
import time
from collections.abc import Collection
from dataclasses import dataclass

from onedallmail.mailboxes import dovecot, ledger, wire
from onedallmail.mailboxes.ledger import Ledger
from onedallmail.mailboxes.parts import FAILURES, Parts
from onedallmail.mailboxes.peers import Found
from onedallmail.mailboxes.push import DUPLICATE_PERIOD_S, Pusher
from onedallmail.mailboxes.rules import Message, adopted_ids, crossed
from onedallmail.mailboxes.wire import Claim
from onedallmail.placement.map import Placement

SETTLE_S = 2.0
"""A delivery that began before a ledger was merged here writes what it read before: looked at again after that time."""
ROUNDS = 5

log = logging.getLogger("mailboxes.reconcile")


@dataclass(frozen=True, slots=True)
class Brought:
    """What a merge brings from the standby, to be looked at once more: messages, and records that the home lacked."""

    group: int
    placement: Placement
    unknown: list[Message]
    kept: list[Message]
    """What an interrupted merge was to bring."""
    records: Ledger


class Reconciler:
    """Reconciles groups. Several users at a time; a user that fails does not hold up the others."""

    def __init__(self, parts: Parts, pusher: Pusher) -> None:
        """Keep the parts."""
        self._parts = parts
        self._pusher = pusher
        self._places = asyncio.Semaphore(parts.settings.workers)
        self.dropped = 0
        """Messages of standbys and of this server that were there twice by replay."""
        self.adopted: set[str] = set()
        """Users whose ledger or mailbox here was changed by a merge after what it brought to the standby."""

    async def group(self, number: int, placement: Placement, users: Collection[str]) -> frozenset[str]:
        """Reconcile users of a group and declare the standby ready; return those that failed. Raises ChannelError.

        `users` are all that are not reconciled in this epoch.
        """
        log.info("group %d: %d users are reconciled with %s", number, len(users), placement.standby)
        taken: dict[str, Brought] = {}
        failed: set[str] = set()

        async def one(user: str) -> None:
            async with self._places:
                try:
                    found = await self.user(user, number, placement)
                    if found is not None:
                        taken[user] = found
                except FAILURES as error:
                    failed.add(user)
                    log.warning("group %d: %s is not reconciled: %s", number, user, error)

        await asyncio.gather(*(one(user) for user in sorted(users)))
        failed |= await self._settle(taken)
        self._parts.must_lead(number, placement)
        await self._parts.peers.declare(
            placement.standby, Claim(number, placement.epoch, self._parts.me), frozenset(failed)
        )
        log.info(
            "group %d: %s is ready in epoch %d, %d users failed",
            number,
            placement.standby,
            placement.epoch,
            len(failed),
        )
        return frozenset(failed)

    async def user(self, user: str, group: int, placement: Placement) -> Brought | None:
        """Reconcile a mailbox; return what must be looked at again, None for nothing. Raises one of FAILURES."""
        self._parts.must_lead(group, placement)
        claim, here = Claim(group, placement.epoch, self._parts.me, user), self._parts.store.stored(user)
        records = await asyncio.to_thread(ledger.read, self._parts.store.ledger(user))
        own = await asyncio.to_thread(dovecot.messages, self._parts.upkeep, user) if here else []
        first = (await asyncio.to_thread(self._parts.raised.read, group)).get(user, {})
        known = wire.dump_knowledge(wire.knowledge(own, first, records))
        found = await self._parts.peers.merge(placement.standby, claim, known)
        self.dropped += found.expunged
        if not here and not found.present:
            return None
        brought = await self._begin(user, group, placement, found, records)
        self._parts.must_lead(group, placement)
        await self._pusher.synchronise(user, group, placement)
        if brought is not None:
            await self._adopt(user, brought)
        await self._pusher.ship(user, group, placement, records, whole=True)
        return brought

    async def _begin(self, user: str, group: int, placement: Placement, found: Found, before: Ledger) -> Brought | None:
        """Keep on disk what the exchange will bring: if it is interrupted, the next merge sees nothing new in it."""
        kept = await asyncio.to_thread(self._parts.taken.read, user)
        new = {key: stamp for key, stamp in found.records.items() if key not in before}
        if not new and not found.unknown and not kept:
            return None
        if found.unknown:
            await asyncio.to_thread(self._parts.taken.write, user, [*kept, *found.unknown])
        return Brought(group, placement, found.unknown, kept, new)

    async def _adopt(self, user: str, brought: Brought) -> bool:
        """Record what came, drop what a replay brought as well; return whether there was anything to do.

        Not before the exchange: if the standby died before it, a replay would be refused and the message lost.
        """
        now = await asyncio.to_thread(dovecot.messages, self._parts.upkeep, user)
        until = int(time.time()) + DUPLICATE_PERIOD_S
        ids = adopted_ids(brought.unknown, brought.kept, now)
        fresh = {ledger.ingest_key(ingest_id, user): until for ingest_id in ids}
        path = self._parts.store.ledger(user)
        there = await asyncio.to_thread(ledger.read, path)
        wanted = {k: stamp for k, stamp in {**fresh, **brought.records}.items() if k not in there}
        await asyncio.to_thread(ledger.merge_into, path, wanted)
        gone = crossed([*brought.unknown, *brought.kept], now)
        if wanted or gone:
            self.adopted.add(user)
        self.dropped += len(gone)
        if gone:
            self._parts.must_lead(brought.group, brought.placement)
            await asyncio.to_thread(dovecot.expunge, self._parts.upkeep, user, gone)
            await self._pusher.synchronise(user, brought.group, brought.placement)
        return bool(gone or wanted)

    async def _settle(self, taken: dict[str, Brought]) -> set[str]:
        """Look again at what was taken over until nothing changes; return users for whom it does not end."""
        left = dict(taken)
        for _ in range(ROUNDS):
            if not left:
                break
            await asyncio.sleep(SETTLE_S)
            again = {}
            for user, what in left.items():
                try:
                    if await self._adopt(user, what):
                        again[user] = what
                    else:
                        await asyncio.to_thread(self._parts.taken.forget, user)
                except FAILURES as error:
                    log.warning("%s: %s", user, error)
                    again[user] = what
            left = again
        return set(left)
