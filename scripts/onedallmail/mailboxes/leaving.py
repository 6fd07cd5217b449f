"""Whose sessions and deliveries of a time as home have not ended: until then a merge would miss what they bring."""

import asyncio
import logging
import time

from onedallmail.channel.errors import Refusal
from onedallmail.mailboxes import dovecot
from onedallmail.mailboxes.dovecot import Api
from onedallmail.mailboxes.members import Members

SETTLE_S = 1.0
"""What looked up its place before the files said otherwise is known to Dovecot by then."""
PATIENCE_S = 5.0
PAUSE_S = 0.2

log = logging.getLogger("mailboxes.leaving")


class Leaving:
    """Dovecot is asked once a group and epoch, since nothing new begins later; then only for those that it named."""

    def __init__(self, upkeep: Api, members: Members) -> None:
        """Keep the ways to ask."""
        self._upkeep, self._members = upkeep, members
        self._left: dict[int, tuple[int, frozenset[str]]] = {}
        """Group -> epoch, and the users who had a session or delivery when they were last asked for."""
        self._asking = asyncio.Lock()

    async def left(self, group: int, epoch: int, user: str) -> None:
        """Return when nothing of a user runs here any more; raises Refusal if it does not end, DovecotError."""
        end = time.monotonic() + PATIENCE_S
        while user in await self._present(group, epoch):
            if time.monotonic() >= end:
                msg = f"{user} still has a session or delivery here, of the time as home: merge later"
                raise Refusal(msg)
            await asyncio.sleep(PAUSE_S)

    async def _present(self, group: int, epoch: int) -> frozenset[str]:
        async with self._asking:
            known, users = self._left.get(group, (0, frozenset()))
            if known != epoch:
                await asyncio.sleep(SETTLE_S)
                users = self._members.users_of(group)
            if users:
                users = await asyncio.to_thread(dovecot.present, self._upkeep, users)
            self._left[group] = epoch, users
            return users
