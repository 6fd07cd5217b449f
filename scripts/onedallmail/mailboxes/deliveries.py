"""Deliveries that were interrupted between saving and recording: recorded here, before the queue brings them again."""

import asyncio
import logging
import time

from onedallmail.mailboxes.measures import Counters
from onedallmail.mailboxes.parts import FAILURES, Parts
from onedallmail.mailboxes.push import DUPLICATE_PERIOD_S, heal
from onedallmail.mailboxes.rules import homes

LONGEST_S = 30.0
"""A delivery that has not told of its end by then may have died; Postfix tries again after five minutes."""
LOOK_S = 5.0
LISTED_S = 3600
"""How far back the mailbox is looked at then."""

log = logging.getLogger("mailboxes.deliveries")


class Deliveries:
    """Those under way, by Dovecot's events."""

    def __init__(self, parts: Parts, counters: Counters) -> None:
        """Begin with none."""
        self._parts, self._counters = parts, counters
        self._places = asyncio.Semaphore(parts.settings.workers)
        self._begun: dict[str, float] = {}

    def begun(self, user: str) -> None:
        """Take note that a delivery began."""
        self._begun[user] = time.monotonic()

    def ended(self, user: str) -> None:
        """Take note that it told of its end: recorded, or not saved."""
        self._begun.pop(user, None)

    async def run(self) -> None:
        """Look at all mailboxes of this home at the start, then at those whose delivery does not end."""
        placements = homes(self._parts.me, self._parts.view.placements)
        users = [user for group in placements for user in self._parts.members.users_of(group)]
        found = await asyncio.gather(*(self._heal(user, DUPLICATE_PERIOD_S) for user in users))
        log.info("%d mailboxes were looked at; not all of them could be: %d", len(users), found.count(False))
        while True:
            await asyncio.sleep(LOOK_S)
            await self._look()

    async def _look(self) -> None:
        latest = time.monotonic() - LONGEST_S
        for user, begun in [(user, begun) for user, begun in self._begun.items() if begun < latest]:
            log.warning("a delivery to %s began and told of no end: its mailbox is looked at", user)
            if await self._heal(user, LISTED_S) and self._begun.get(user) == begun:
                del self._begun[user]

    async def _heal(self, user: str, listed_s: int) -> bool:
        async with self._places:
            try:
                self._counters.healed_records += await asyncio.to_thread(heal, self._parts, user, listed_s)
            except FAILURES as error:
                log.warning("%s: what it holds could not be recorded: %s", user, error)
                return False
        return True
