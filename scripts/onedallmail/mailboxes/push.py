"""The home's side of an ordinary change: the mailbox goes to its standby, then the ledger that was read before."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from onedallmail.mailboxes import dovecot, ledger, places
from onedallmail.mailboxes.dovecot import Api
from onedallmail.mailboxes.ledger import Key, Ledger
from onedallmail.mailboxes.parts import Parts
from onedallmail.mailboxes.telling import Telling
from onedallmail.mailboxes.wire import Claim
from onedallmail.placement.map import Placement

DUPLICATE_PERIOD_S = 6 * 86400
"""How long Sieve remembers an id (role dovecot: dovecot_duplicate_period)."""
TURN_S = 0.02
REMEMBERED_RECORDS = 300_000
"""How many shipped records are remembered, so that they are not shipped with each change; about 30 MB."""


class Shipped:
    """Which records a standby has flushed, as far as memory allows; forgetting costs only another shipment."""

    def __init__(self, limit: int = REMEMBERED_RECORDS) -> None:
        """Begin with nothing."""
        self._known: OrderedDict[tuple[str, str], frozenset[int]] = OrderedDict()
        self._limit = limit
        self._count = 0

    def new(self, standby: str, user: str, records: Ledger) -> Ledger:
        """Return the records that are not known to be there."""
        known = self._known.get((standby, user), frozenset())
        return {key: stamp for key, stamp in records.items() if hash((key, stamp)) not in known}

    def note(self, standby: str, user: str, records: Ledger) -> None:
        """Remember that these are all there."""
        self.forget(standby, user)
        self._known[standby, user] = frozenset(hash(item) for item in records.items())
        self._count += len(records)
        while self._count > self._limit and len(self._known) > 1:
            _, dropped = self._known.popitem(last=False)
            self._count -= len(dropped)

    def forget(self, standby: str, user: str | None = None) -> None:
        """Forget a user's records, or all of a standby."""
        for key in [(standby, user)] if user is not None else [k for k in self._known if k[0] == standby]:
            self._count -= len(self._known.pop((key[0], str(key[1])), ()))


class Pusher:
    """Brings mailboxes to their standbys. Whether it may is asked before, by `rules`."""

    def __init__(self, parts: Parts) -> None:
        """Keep the parts."""
        self._parts = parts
        self.shipped = Shipped()
        self.telling = Telling()
        self._exchanging: dict[str, tuple[str, object]] = {}
        """User -> with whom the mailbox is being exchanged: with its standby, or with the server that joins."""
        self.folders_removed: set[str] = set()
        """Users of whom an event told that they removed a folder, and perhaps made it again."""

    async def push(self, user: str, group: int, placement: Placement, *, whole: bool = False) -> None:
        """Synchronise a mailbox, then ship what its ledger said before that: all of it with `whole`.

        Folders that the user has removed go first: a server that joins is not told by events which.
        A mailbox that was never stored here has nothing to bring. Raises DovecotError, ChannelError, OSError.
        """
        if not self._parts.store.stored(user):
            return
        records = await asyncio.to_thread(ledger.read, self._parts.store.ledger(user))
        joins = self._parts.joins(group, placement.standby)
        noted = user in self.folders_removed and not joins
        self.folders_removed -= {user} if noted else set()
        if noted or joins:
            try:
                await self._remove_folders(user, Claim(group, placement.epoch, self._parts.me, user), placement.standby)
            except BaseException:
                self.folders_removed |= {user} if noted else set()
                raise
        await self.synchronise(user, group, placement)
        await self.ship(user, group, placement, records, whole=whole)

    async def synchronise(self, user: str, group: int, placement: Placement, api: Api | None = None) -> None:
        """Make the standby's mailbox equal to the home's, both ways; raises PlaceError, ChannelError, DovecotError.

        Scripts that the user has removed are removed there before: Dovecot would bring them back.
        """
        async with self._turn(user, placement.standby):
            self._parts.must_lead(group, placement)
            self.telling.note(user, group, placement.standby)
            settings, home = self._parts.settings, self._parts.store.home(user)
            scripts = self._parts.scripts_with(group, placement.standby)
            removals = await self._drop_scripts(user, group, placement)
            destination, timeout_s = settings.destination(placement.standby), settings.sync_timeout_s
            await asyncio.to_thread(dovecot.synchronise, api or self._parts.home, user, destination, timeout_s)
            scripts.settled(user, removals)
            scripts.note(user, placement.epoch, await asyncio.to_thread(places.scripts, home))

    @asynccontextmanager
    async def _turn(self, user: str, server: str) -> AsyncIterator[None]:
        """Let one exchange of a mailbox run at a time. One with a server that is dead is not waited for."""
        while (other := self._exchanging.get(user)) is not None and other[0] in self._parts.view.alive:
            await asyncio.sleep(TURN_S)
        mine = self._exchanging[user] = server, object()
        try:
            yield
        finally:
            if self._exchanging.get(user) is mine:
                del self._exchanging[user]

    async def _remove_folders(self, user: str, claim: Claim, standby: str) -> None:
        """Let the standby, which is ready, remove folders that are here no longer; raises what push raises."""
        found = await asyncio.to_thread(dovecot.folders, self._parts.upkeep, user)
        await self._parts.peers.drop(standby, claim, folders={folder.name: folder.guid for folder in found})

    async def _drop_scripts(self, user: str, group: int, placement: Placement) -> dict[str, float]:
        """Remove scripts on both sides that the user has removed; return those of which an event told."""
        scripts, epoch = self._parts.scripts_with(group, placement.standby), placement.epoch
        here = await asyncio.to_thread(places.scripts, self._parts.store.home(user))
        removals = scripts.removals(user, epoch)
        # One that is here all the same was saved again by the user, or brought back with the time that it had before.
        back = {name for name, at in removals.items() if here.get(name, at) < at}
        if back:
            await asyncio.to_thread(dovecot.drop_scripts, self._parts.upkeep, user, back)
        gone = (removals.keys() - here.keys()) | back | scripts.missing(user, epoch, here.keys())
        if gone:
            await self._parts.peers.drop(placement.standby, Claim(group, epoch, self._parts.me, user), scripts=gone)
        return removals

    async def ship(self, user: str, group: int, placement: Placement, records: Ledger, *, whole: bool = False) -> None:
        """Hand records on that were read before a synchronisation that succeeded; raises PlaceError, ChannelError."""
        self._parts.must_lead(group, placement)
        new = records if whole else self.shipped.new(placement.standby, user, records)
        if new:
            claim = Claim(group, placement.epoch, self._parts.me, user)
            with self.telling.shipping(user, group, placement.standby):
                await self._parts.peers.ship(placement.standby, claim, new)
        self.shipped.note(placement.standby, user, records)

    async def heal(self, user: str, listed_s: int = DUPLICATE_PERIOD_S) -> int:
        """Record ids of messages saved during listed_s seconds that the ledger lacks (`heal`); return how many."""
        return await asyncio.to_thread(heal, self._parts, user, listed_s)


def heal(parts: Parts, user: str, listed_s: int = DUPLICATE_PERIOD_S) -> int:
    """Record ids of messages in a mailbox that its ledger lacks, flushed, and return how many. Raises FAILURES.

    A delivery that was interrupted between saving and recording would be repeated; and Dovecot loses a record when two
    deliveries to a user end at once (mail-duplicate.c writes what it read before).
    """
    if not parts.store.stored(user):
        return 0
    path = parts.store.ledger(user)
    received = dovecot.received_since(parts.upkeep, user, listed_s)
    records, now = ledger.read(path), time.time()
    missing: dict[Key, int] = {
        key: saved + DUPLICATE_PERIOD_S
        for ingest_id, saved in received
        if (key := ledger.ingest_key(ingest_id, user)) not in records and saved + DUPLICATE_PERIOD_S > now
    }
    if missing:
        ledger.merge_into(path, missing)
    return len(missing)
