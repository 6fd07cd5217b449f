"""Deliveries that were saved and not recorded: recorded here, before the queue or a copy brings them again.

Some are interrupted in between. Others end well although Dovecot could not write the ledger, as on a full disk: then it
is the same file after the delivery as before.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Collection

from onedallmail.mailboxes.measures import Counters
from onedallmail.mailboxes.parts import FAILURES, Parts
from onedallmail.mailboxes.push import DUPLICATE_PERIOD_S, heal
from onedallmail.mailboxes.rules import homes

LONGEST_S = 30.0
"""A delivery that has not told of its end by then may have died; Postfix tries again after five minutes."""
LOOK_S = 2.0
LISTED_S = 3600
"""How far back the mailbox is looked at then."""

Stamp = tuple[int, int, int] | None
"""Inode, time of change and size of a ledger; None where there is none."""

log = logging.getLogger("mailboxes.deliveries")


class Deliveries:
    """Those under way, by Dovecot's events."""

    def __init__(self, parts: Parts, counters: Counters) -> None:
        """Begin with none."""
        self._parts, self._counters = parts, counters
        self._places = asyncio.Semaphore(parts.settings.workers)
        self._begun: dict[str, tuple[float, Stamp]] = {}
        self._unrecorded: set[str] = set()
        self._look_now = asyncio.Event()

    def begun(self, user: str) -> None:
        """Take note that a delivery began."""
        self._begun[user] = time.monotonic(), self._stamp(user)

    def ended(self, user: str) -> None:
        """Take note that it told of its end. A ledger that was not written means a repeat, nothing saved, or a loss."""
        begun = self._begun.pop(user, None)
        if begun is None or begun[1] == self._stamp(user):
            self._unrecorded.add(user)
            self._look_now.set()

    def _stamp(self, user: str) -> Stamp:
        try:
            found = self._parts.store.ledger(user).stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    async def run(self) -> None:
        """Look at all mailboxes of this home at the start, then at those whose delivery does not end."""
        placements = homes(self._parts.me, self._parts.view.placements)
        users = [user for group in placements for user in self._parts.members.users_of(group)]
        unseen = await self._all(users)
        log.info("%d mailboxes were looked at; %d could not be, and are tried again", len(users), len(unseen))
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._look_now.wait(), LOOK_S)
            unseen = await self._all(unseen)
            await self._look()

    async def _all(self, users: Collection[str]) -> list[str]:
        """Look at whole mailboxes; return those that could not be."""
        found = await asyncio.gather(*(self._heal(user, DUPLICATE_PERIOD_S) for user in users))
        return [user for user, done in zip(users, found, strict=True) if not done]

    async def _look(self) -> None:
        """Look at mailboxes whose deliveries left no record, or told of no end; what can't be is left for next time."""
        self._look_now.clear()
        latest = time.monotonic() - LONGEST_S
        late = {user: begun for user, begun in self._begun.items() if begun[0] < latest}
        for user in late:
            log.warning("a delivery to %s began and told of no end: its mailbox is looked at", user)
        for user in self._unrecorded | late.keys():
            self._unrecorded.discard(user)
            if not await self._heal(user, LISTED_S):
                self._unrecorded.add(user)
            elif user in late and self._begun.get(user) == late[user]:
                del self._begun[user]

    async def _heal(self, user: str, listed_s: int) -> bool:
        async with self._places:
            try:
                self._counters.healed_records += await asyncio.to_thread(heal, self._parts, user, listed_s)
            except FAILURES as error:
                log.warning("%s: what it holds could not be recorded: %s", user, error)
                return False
        return True
