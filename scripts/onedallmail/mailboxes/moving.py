"""A planned move: the old home brings the standby wholly up to date, first while it serves, then with nothing running.

The placement service asks, and changes the map when it has the answer. Asking again is harmless.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from onedallmail.mailboxes import dovecot, ledger
from onedallmail.mailboxes.parts import FAILURES, Parts, PlaceError
from onedallmail.mailboxes.push import Pusher, heal
from onedallmail.mailboxes.rules import Declared, may_synchronise
from onedallmail.placement.files import read_served
from onedallmail.placement.map import Placement

ANSWER_S = 20.0
"""An answer comes within that time; groups that take longer go on, and are done when somebody asks again."""
LEAVE_S = 15.0
"""For sessions and deliveries of a group to end."""
PAUSE_S = 0.1
ATTEMPTS = 3

log = logging.getLogger("mailboxes.moving")

Group = tuple[int, int]
Outcome = tuple[list[int], dict[str, str]]
Readiness = Callable[[int], Declared | None]


class Mover:
    """One task a group and request. `declared` says what the standby of a group remembers."""

    def __init__(self, parts: Parts, pusher: Pusher, declared: Readiness) -> None:
        """Keep the parts."""
        self._parts, self._pusher, self._declared = parts, pusher, declared
        self._places = asyncio.Semaphore(parts.settings.workers)
        self._running: dict[tuple[str, int, int], asyncio.Task[None]] = {}

    async def synchronise(self, epochs: dict[int, int]) -> Outcome:
        """Bring standbys up to date while this server serves; return the groups done, and why others are not."""
        return await self._ask("sync", epochs, self._synchronise)

    async def hand_over(self, epochs: dict[int, int]) -> Outcome:
        """Bring groups that are served no longer to their end here; return those done, and why others are not."""
        return await self._ask("handover", epochs, self._hand_over)

    async def _ask(self, kind: str, epochs: dict[int, int], work: Callable[[int, int], Awaitable[None]]) -> Outcome:
        tasks = {}
        for group, epoch in epochs.items():
            key = (kind, group, epoch)
            if key not in self._running:
                self._running[key] = asyncio.ensure_future(work(group, epoch))
            tasks[key] = self._running[key]
        if tasks:
            await asyncio.wait(tasks.values(), timeout=ANSWER_S)
        done, failed = [], {}
        for key, task in tasks.items():
            if not task.done():
                failed[str(key[1])] = "it takes longer; ask again"
                continue
            self._running.pop(key, None)
            error = None if task.cancelled() else task.exception()
            if task.cancelled() or error is not None:
                failed[str(key[1])] = str(error or "cancelled") or type(error).__name__
            else:
                done.append(key[1])
        log.info("%s: groups %s are done; in the way of others: %s", kind, done, failed or "nothing")
        return done, failed

    def _placement(self, group: int, epoch: int) -> Placement:
        """Return where a group is; raises PlaceError unless this is its home and its standby ready for everybody."""
        placement = self._parts.view.placements.get(group)
        if placement is None or placement.epoch != epoch:
            msg = f"this server knows {placement} of group {group}, not epoch {epoch}"
            raise PlaceError(msg)
        self._parts.must_lead(group, placement)
        declared = self._declared(group)
        if not may_synchronise(self._parts.me, "", placement, self._parts.view.alive, declared):
            msg = f"{placement.standby} is not alive, or not ready for group {group}: its mailboxes are being merged"
            raise PlaceError(msg)
        if declared is not None and declared.without:
            msg = f"{placement.standby} is ready without {', '.join(sorted(declared.without))}: repair these mailboxes"
            raise PlaceError(msg)
        return placement

    async def _synchronise(self, group: int, epoch: int) -> None:
        placement = self._placement(group, epoch)
        await self._all(group, lambda user: self._pusher.push(user, group, placement))

    async def _hand_over(self, group: int, epoch: int) -> None:
        placement = self._placement(group, epoch)
        if group in await asyncio.to_thread(read_served, self._parts.settings.placement_directory):
            msg = f"the placement service still serves group {group}: it is to close it first"
            raise PlaceError(msg)
        await self._leave(group)
        await self._all(group, lambda user: self._last(user, group, placement))
        self._placement(group, epoch)

    async def _leave(self, group: int) -> None:
        """End sessions, and wait for them and for deliveries; raises PlaceError, DovecotError."""
        end = time.monotonic() + LEAVE_S
        users = self._parts.members.users_of(group)
        while await asyncio.to_thread(dovecot.kick, self._parts.upkeep, users):
            if time.monotonic() >= end:
                msg = f"sessions or deliveries of group {group} do not end within {LEAVE_S:g} s"
                raise PlaceError(msg)
            await asyncio.sleep(PAUSE_S)

    async def _last(self, user: str, group: int, placement: Placement) -> None:
        """Bring a mailbox in which nothing changes any more, with its whole ledger. Raises FAILURES."""
        if not self._parts.store.stored(user):
            return
        await asyncio.to_thread(heal, self._parts, user)
        records = await asyncio.to_thread(ledger.read, self._parts.store.ledger(user))
        # The other port refuses a group that is not served.
        await self._pusher.synchronise(user, group, placement, self._parts.upkeep)
        await self._pusher.ship(user, group, placement, records, whole=True)

    async def _all(self, group: int, work: Callable[[str], Awaitable[None]]) -> None:
        """Do a work for every user of a group, again for those that fail; raises the last failure."""

        async def one(user: str) -> None:
            async with self._places:
                for attempt in range(1, ATTEMPTS + 1):
                    try:
                        await work(user)
                    except FAILURES as error:
                        if attempt == ATTEMPTS:
                            msg = f"{user}: {error}"
                            raise PlaceError(msg) from error
                    else:
                        return

        users = sorted(self._parts.members.users_of(group))
        for outcome in await asyncio.gather(*(one(user) for user in users), return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome
