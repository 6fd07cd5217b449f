"""Becoming home of a group: refuse what an older home still sends, then raise the counters of every folder.

UIDs and modification sequences that the dead home gave out unseen by this server would otherwise be given out again.
"""

import asyncio
import logging
import time

from onedallmail.mailboxes import dovecot
from onedallmail.mailboxes.dovecot import Api, DovecotError, Folder
from onedallmail.mailboxes.parts import Parts
from onedallmail.mailboxes.rules import raised
from onedallmail.mailboxes.standby import Standby

ATTEMPTS = 2

log = logging.getLogger("mailboxes.prepare")


class PrepareError(Exception):
    """A group for which this server can't be home yet."""


class Preparer:
    """Prepares groups, several users at a time."""

    def __init__(self, parts: Parts, standby: Standby) -> None:
        """Keep the parts."""
        self._parts = parts
        self._standby = standby
        self._places = asyncio.Semaphore(parts.settings.workers)

    async def prepare(self, epochs: dict[int, int]) -> tuple[list[tuple[int, int]], list[str]]:
        """Prepare groups for their epochs; return those that are, and what keeps the others. Repeating is harmless."""
        begun = time.monotonic()
        due = {group: epoch for group, epoch in epochs.items() if self._parts.record.raised(group) < epoch}
        if due:
            await asyncio.to_thread(self._parts.record.prepare, due)
        results = await asyncio.gather(*(self._group(g, e) for g, e in due.items()), return_exceptions=True)
        reasons = []
        for group, result in zip(due, results, strict=True):
            if isinstance(result, PrepareError | TimeoutError | DovecotError | OSError):
                reasons.append(f"group {group}: {result or type(result).__name__}")
            elif isinstance(result, BaseException):
                raise result
        if due:
            log.info(
                "%d groups prepared in %.1f s; in the way: %s", len(due), time.monotonic() - begun, reasons or "nothing"
            )
        return [(g, e) for g, e in epochs.items() if self._parts.record.raised(g) >= e], reasons

    async def _group(self, group: int, epoch: int) -> None:
        if not self._parts.members.known:
            msg = "the directory has never said who its users are; see whether PostgreSQL runs here"
            raise PrepareError(msg)
        await self._standby.quiet(group)
        users = [user for user in self._parts.members.users_of(group) if self._parts.store.stored(user)]
        await asyncio.gather(*(self._user(user) for user in users))
        await asyncio.to_thread(self._parts.record.raise_to, group, epoch)

    async def _user(self, user: str) -> None:
        """Raise a mailbox; one that Dovecot itself can't open does not keep its group closed. Raises DovecotError."""
        async with self._places:
            for attempt in range(ATTEMPTS):
                try:
                    await asyncio.to_thread(raise_mailbox, self._parts.upkeep, user)
                except DovecotError as error:
                    if error.code is None:
                        raise
                    log.error("attempt %d: %s", attempt + 1, error)  # noqa: TRY400
                else:
                    return
            log.error("%s: its UIDs are not raised; repair the mailbox", user)


def raise_mailbox(upkeep: Api, user: str) -> None:
    """Raise the counters of all folders of a mailbox; raises DovecotError."""
    targets = [Folder(f.name, *raised(f.uid_next, f.highest_modseq)) for f in dovecot.folders(upkeep, user)]
    dovecot.raise_counters(upkeep, user, targets)
