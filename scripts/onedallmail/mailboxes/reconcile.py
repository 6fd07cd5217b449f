"""The home's side of a new or returned standby: merge, synchronise and ship each mailbox, then declare it ready.

Until then nothing else is synchronised into the standby: equal messages under two GUIDs would be doubled.
"""

import asyncio
import logging
from collections.abc import Collection
from dataclasses import dataclass

from onedallmail.mailboxes import dovecot, ledger, wire
from onedallmail.mailboxes.ledger import Ledger
from onedallmail.mailboxes.parts import FAILURES, Parts
from onedallmail.mailboxes.peers import Found
from onedallmail.mailboxes.push import Pusher
from onedallmail.mailboxes.rules import Message, crossed
from onedallmail.mailboxes.wire import Claim
from onedallmail.placement.map import Placement

SETTLE_S = 2.0
"""A delivery that began before a ledger was merged here writes what it read before: looked at again after that time."""
ROUNDS = 5

log = logging.getLogger("mailboxes.reconcile")


@dataclass(frozen=True, slots=True)
class Taken:
    """What was taken over from the standby, to be looked at once more: messages, and records that the home lacked."""

    standby: str
    unknown: list[Message]
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

    async def group(self, number: int, placement: Placement, users: Collection[str]) -> frozenset[str]:
        """Reconcile users of a group and declare the standby ready; return those that failed. Raises ChannelError.

        `users` are all that are not reconciled in this epoch.
        """
        log.info("group %d: %d users are reconciled with %s", number, len(users), placement.standby)
        taken: dict[str, Taken] = {}
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

    async def user(self, user: str, group: int, placement: Placement) -> Taken | None:
        """Reconcile a mailbox; return what must be looked at again, None for nothing. Raises one of FAILURES."""
        claim, here = Claim(group, placement.epoch, self._parts.me, user), self._parts.store.stored(user)
        records = await asyncio.to_thread(ledger.read, self._parts.store.ledger(user))
        own = await asyncio.to_thread(dovecot.messages, self._parts.upkeep, user) if here else []
        knowledge = wire.dump_knowledge((m.guid for m in own), (m.ingest_id for m in own), records)
        found = await self._parts.peers.merge(placement.standby, claim, knowledge)
        self.dropped += found.expunged
        if not here and not found.present:
            return None
        await self._pusher.synchronise(user, placement.standby)
        taken = await self._take_over(user, found, records, placement.standby)
        await self._pusher.ship(user, group, placement, records, whole=True)
        return taken

    async def _take_over(self, user: str, found: Found, before: Ledger, standby: str) -> Taken | None:
        """Make the standby's ledger this server's too, now that its messages are here; drop what a replay brought.

        Not earlier: if the standby died before the synchronisation, a replay would be refused and the message lost.
        """
        new = {key: stamp for key, stamp in found.records.items() if key not in before}
        if not new and not found.unknown:
            return None
        taken = Taken(standby, found.unknown, new)
        await self._adopt(user, taken)
        return taken

    async def _adopt(self, user: str, taken: Taken) -> bool:
        """Merge records and drop doubled messages; return whether there was anything to do."""
        merged = await asyncio.to_thread(ledger.merge_into, self._parts.store.ledger(user), taken.records)
        gone: list[Message] = []
        if taken.unknown:
            now = await asyncio.to_thread(dovecot.messages, self._parts.upkeep, user)
            gone = crossed(taken.unknown, now)
            self.dropped += len(gone)
        if gone:
            await asyncio.to_thread(dovecot.expunge, self._parts.upkeep, user, gone)
            await self._pusher.synchronise(user, taken.standby)
        return bool(gone) or not taken.records.keys() <= merged.before.keys()

    async def _settle(self, taken: dict[str, Taken]) -> set[str]:
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
                except FAILURES as error:
                    log.warning("%s: %s", user, error)
                    again[user] = what
            left = again
        return set(left)
