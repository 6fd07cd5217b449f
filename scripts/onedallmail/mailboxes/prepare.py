"""Becoming home of a group: refuse what an older home still sends, then raise the counters of every folder.

UIDs and modification sequences that the dead home gave out unseen by this server would otherwise be given out again.
"""

import asyncio
import logging
import time
from collections.abc import Coroutine
from typing import Any

from onedallmail.mailboxes import dovecot, incoming
from onedallmail.mailboxes.dovecot import Api, DovecotError, Folder
from onedallmail.mailboxes.incoming import Connection
from onedallmail.mailboxes.parts import FAILURES, Parts
from onedallmail.mailboxes.push import heal
from onedallmail.mailboxes.rules import raised
from onedallmail.mailboxes.standby import Standby

ATTEMPTS = 2
ANSWER_S = 4.0
INCOMING_S = 2.0
"""For synchronisations of the old home to end. One of a server that died in the midst of it stays for a minute."""
LINGER_S = 30.0
"""Longer than Dovecot waits for a server that says nothing."""
RECORD_S = 5.0
RECENT_S = 3600

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
        self._starting = asyncio.Lock()
        self._running: dict[tuple[int, int], asyncio.Task[None]] = {}
        self._recording: set[asyncio.Task[None]] = set()

    async def prepare(self, epochs: dict[int, int]) -> tuple[list[tuple[int, int]], list[str]]:
        """Prepare groups for their epochs; return those that are, and what keeps the others. Repeating is harmless.

        Groups that take longer than ANSWER_S go on; they are done when somebody asks again.
        """
        async with self._starting:
            tasks = await self._start(epochs)
        if tasks:
            await asyncio.wait(tasks.values(), timeout=ANSWER_S)
        reasons = [f"group {group}: {reason}" for group, task in tasks.items() if (reason := _reason(task))]
        if tasks:
            log.info("groups %s were asked for; in the way: %s", sorted(tasks), reasons or "nothing")
        return [(g, e) for g, e in epochs.items() if self._parts.record.raised(g) >= e], reasons

    async def _start(self, epochs: dict[int, int]) -> dict[int, asyncio.Task[None]]:
        """Refuse older homes of groups that are due, and begin to prepare those that are not under way."""
        due = {group: epoch for group, epoch in epochs.items() if self._parts.record.raised(group) < epoch}
        new = {group: epoch for group, epoch in due.items() if (group, epoch) not in self._running}
        if new:
            await asyncio.to_thread(self._parts.record.prepare, new)
        for group, epoch in new.items():
            task = asyncio.create_task(self._group(group, epoch))
            self._running[group, epoch] = task
            task.add_done_callback(lambda _, key=(group, epoch): self._running.pop(key, None))  # type: ignore[misc]
        return {group: self._running[group, epoch] for group, epoch in due.items() if (group, epoch) in self._running}

    async def _group(self, group: int, epoch: int) -> None:
        if not self._parts.members.known:
            msg = "the directory has never said who its users are; see whether PostgreSQL runs here"
            raise PrepareError(msg)
        await self._standby.quiet(group)
        left = await incoming.ended(self._parts.settings.sync_port, INCOMING_S)
        users = [user for user in self._parts.members.users_of(group) if self._parts.store.stored(user)]
        uids = await asyncio.gather(*(self._user(user) for user in users))
        await asyncio.to_thread(self._parts.raised.write, group, dict(zip(users, uids, strict=True)))
        await asyncio.to_thread(self._parts.record.raise_to, group, epoch)
        if left:
            log.warning(
                "group %d: %d incoming synchronisations do not end, what they bring is recorded", group, len(left)
            )
            self._later(self._record(users, left))

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._recording.add(task)
        task.add_done_callback(self._recording.discard)

    async def _record(self, users: list[str], left: frozenset[Connection]) -> None:
        """Record what synchronisations bring that began before this server was home: when they end, and meanwhile."""
        end = time.monotonic() + self._parts.settings.sync_timeout_s + LINGER_S
        while left and time.monotonic() < end:
            left = await incoming.ended(self._parts.settings.sync_port, RECORD_S, left)
            for user in users:
                try:
                    await asyncio.to_thread(heal, self._parts, user, RECENT_S)
                except FAILURES as error:
                    log.warning("%s: what a synchronisation brought could not be recorded: %s", user, error)

    async def _user(self, user: str) -> dict[str, int]:
        """Raise a mailbox, then record what it holds; return its folders' first UIDs. Raises DovecotError.

        One that Dovecot itself can't open does not keep its group closed.
        """
        async with self._places:
            for attempt in range(ATTEMPTS):
                try:
                    uids = await asyncio.to_thread(raise_mailbox, self._parts.upkeep, user)
                    await asyncio.to_thread(heal, self._parts, user)
                except DovecotError as error:
                    if error.code is None:
                        raise
                    log.error("attempt %d: %s", attempt + 1, error)  # noqa: TRY400
                else:
                    return uids
            log.error("%s: its UIDs are not raised; repair the mailbox", user)
            return {}


def raise_mailbox(upkeep: Api, user: str) -> dict[str, int]:
    """Raise the counters of all folders of a mailbox; return the first UID by folder GUID. Raises DovecotError."""
    targets = [Folder(f.name, *raised(f.uid_next, f.highest_modseq), f.guid) for f in dovecot.folders(upkeep, user)]
    dovecot.raise_counters(upkeep, user, targets)
    return {f.guid: f.uid_next for f in targets}


def _reason(task: asyncio.Task[None]) -> str:
    """Return why a group is not prepared; empty if it is."""
    if not task.done():
        return "it takes longer; ask again"
    error = task.exception()
    return "" if error is None else str(error) or type(error).__name__
