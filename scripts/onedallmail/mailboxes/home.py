"""The home's loops: changed mailboxes go to their standby at once; a standby that is not ready is reconciled first."""

import asyncio
import logging
import time
from collections.abc import Coroutine
from typing import Any

from onedallmail.channel.errors import ChannelError
from onedallmail.mailboxes import dovecot
from onedallmail.mailboxes.dirty import Dirty, DirtyTable
from onedallmail.mailboxes.dovecot import NO_USER, DovecotError
from onedallmail.mailboxes.events import Event
from onedallmail.mailboxes.measures import Counters
from onedallmail.mailboxes.parts import FAILURES, Parts
from onedallmail.mailboxes.peers import AnswerError
from onedallmail.mailboxes.push import Pusher
from onedallmail.mailboxes.reconcile import Reconciler
from onedallmail.mailboxes.rules import Declared, due_without, homes, may_synchronise, moved_away, needs_reconciling
from onedallmail.mailboxes.switching import Switcher
from onedallmail.placement.map import Placement, PlacementMap

POLL_S = 0.2
READINESS_S = 5.0
RETURN_S = 1.0
"""How often standbys are asked what they remember: all answer, one does not."""
RETRY_S = 15.0
"""Between two attempts to reconcile mailboxes that failed, or to end sessions."""
SOON_S = 3.0
"""Between two attempts to reconcile a group at all: often the standby's map is only a moment older."""
STRANGER_S = 5.0
"""How long after an event the directory's list must be to say that its user does not exist."""

STANDBY = "standby"
"""Name of a task that reconciles a standby, not a server that joins."""

log = logging.getLogger("mailboxes.home")


class Home:
    """What this server does as home of groups."""

    def __init__(
        self, parts: Parts, dirty: DirtyTable, pusher: Pusher, reconciler: Reconciler, switcher: Switcher
    ) -> None:
        """Keep the parts."""
        self._parts, self._dirty = parts, dirty
        self._pusher, self._reconciler, self._switcher = pusher, reconciler, switcher
        self.counters = Counters()
        self.declared: dict[int, Declared] = {}
        """What the standbys of groups remember, as far as is known here."""
        self.reconciling: dict[int, asyncio.Task[None]] = {}
        self._answering: frozenset[str] = frozenset()
        self._not_before: dict[int, float] = {}
        self._leaving: set[int] = set()
        self._kick_at = 0.0
        self._news: set[str] = set()
        self._wake, self._look = asyncio.Event(), asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def groups(self) -> dict[int, Placement]:
        """The groups whose home this server is."""
        return homes(self._parts.me, self._parts.view.placements)

    def changed(self, event: Event) -> None:
        """Take note of an event; the table is written as soon as no other event is waiting."""
        if event.saved:
            for scripts in (self._parts.scripts, self._parts.joining_scripts):
                scripts.saved(event.user, event.saved)
        if event.removes_folder:
            self._pusher.folders_removed.add(event.user)
        group = self._parts.members.group_of(event.user)
        if event.removed and group in self.groups:
            for scripts in (self._parts.scripts, self._parts.joining_scripts):
                scripts.removal(event.user, self.groups[group].epoch, event.removed, time.time())
        self._pusher.telling.changed(group, [event.user])
        if not self._news:
            asyncio.get_running_loop().call_soon(self._flush)
        self._news.add(event.user)

    def _flush(self) -> None:
        news, self._news = self._news, set()
        self._dirty.mark(news, time.time())
        self._wake.set()

    def lost(self) -> None:
        """Take every mailbox whose home is here for changed."""
        users = [user for group in self.groups for user in self._parts.members.users_of(group)]
        self._dirty.mark(users, time.time())
        for group in self.groups:
            self._pusher.telling.changed(group, self._parts.members.users_of(group))
        self.counters.refreshed += len(users)
        self._wake.set()

    async def run(self) -> None:
        """Run all loops until cancelled; an error in one ends all, and systemd starts the service anew."""
        self.lost()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._workers())
                group.create_task(self._follow())
                group.create_task(self._readiness())
        finally:
            for task in (*self._tasks, *self.reconciling.values()):
                task.cancel()

    def placed(self, user: str) -> tuple[int, Placement] | None:
        """Return group and placement of a user whose mailbox may be synchronised now."""
        group = self._parts.members.group_of(user)
        placement = None if group is None else self._parts.view.placements.get(group)
        if group is None or placement is None or not self._parts.view.leads:
            return None
        if self._parts.frozen.server(group, placement) is not None:
            return None
        may = may_synchronise(self._parts.me, user, placement, self._parts.view.alive, self.declared.get(group))
        return (group, placement) if may else None

    def _may(self, entry: Dirty) -> bool | None:
        group = self._parts.members.group_of(entry.user)
        if group is None:
            return None if self._parts.members.read_at > entry.last + STRANGER_S else False
        placement = self._parts.view.placements.get(group)
        if placement is not None and placement.home != self._parts.me:
            return None
        return self.placed(entry.user) is not None

    async def _workers(self) -> None:
        while True:
            free = self._parts.settings.workers - len(self._tasks)
            for entry in self._dirty.claim(time.time(), free, self._may) if free > 0 else ():
                self._spawn(self._push(entry))
            self._wake.clear()
            await _waited(self._wake, POLL_S)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._wake.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a worker failed", exc_info=error)

    async def _push(self, entry: Dirty) -> None:
        place = self.placed(entry.user)
        if place is None:
            self._dirty.released(entry.user)
            return
        try:
            await self._pusher.push(entry.user, *place)
        except FAILURES as error:
            if isinstance(error, DovecotError) and error.code == NO_USER and not self._known(entry.user):
                self._dirty.done(entry.user)
                return
            self.counters.retries += 1
            wait_s = self._dirty.failed(entry.user, time.time())
            log.log(logging.WARNING if entry.attempts > 1 else logging.INFO, "%s; again in %.1f s", error, wait_s)
        except BaseException:
            self._dirty.failed(entry.user, time.time())
            raise
        else:
            self._dirty.done(entry.user)
            self.counters.synchronised(entry.first, time.time())

    def _known(self, user: str) -> bool:
        return self._parts.members.group_of(user) is not None

    async def _follow(self) -> None:
        """Follow the map: end sessions of mailboxes that moved away, and reconcile standbys that need it."""
        view = self._parts.view
        before: PlacementMap = dict(view.placements)
        while True:
            view.poll()
            if view.placements != before:
                self._moved(before, view.placements)
                before = dict(view.placements)
            if self._leaving and time.monotonic() >= self._kick_at:
                await self._kick()
            await asyncio.to_thread(self._parts.merging.tidy, self._parts.me, dict(view.placements))
            await self._switcher.tidy(dict(view.placements))
            for number, placement in self.groups.items():
                self._consider(number, placement)
            await asyncio.sleep(POLL_S)

    def _moved(self, before: PlacementMap, after: PlacementMap) -> None:
        self._leaving = (self._leaving | moved_away(self._parts.me, before, after)) - self.groups.keys()
        self._kick_at = 0.0
        came = [n for n in self.groups if n not in before or before[n].home != self._parts.me]
        # Who joined is ready, or it would not be the standby; what came since it was brought is still to go there.
        joined = [n for n, p in self.groups.items() if n in before and before[n].joining == p.standby]
        for number in joined:
            self.declared[number] = Declared(self._parts.me, self.groups[number].epoch)
        users = [user for group in (*came, *joined) for user in self._parts.members.users_of(group)]
        self._dirty.mark(users, time.time())
        self._dirty.wake(users)
        self._look.set()

    async def _kick(self) -> None:
        users = [user for group in self._leaving for user in self._parts.members.users_of(group)]
        try:
            self.counters.kicked += await asyncio.to_thread(dovecot.kick, self._parts.upkeep, users)
            self._leaving.clear()
        except DovecotError as error:
            self._kick_at = time.monotonic() + RETRY_S
            log.warning("sessions of %d groups that moved away may be alive: %s", len(self._leaving), error)

    def _consider(self, number: int, placement: Placement) -> None:
        self._consider_standby(number, placement)
        merging = self.reconciling.get(number)
        if merging and placement.joining:
            other = placement.standby if merging.get_name() == STANDBY else placement.joining
            if other not in self._parts.view.alive:
                merging.cancel()  # as if this service had died: a dead server does not hold up the other one
        if number not in self.reconciling and self._parts.view.leads and self._switcher.due(number, placement):
            self.reconciling[number] = asyncio.create_task(self._merge(number, placement))

    async def _merge(self, number: int, placement: Placement) -> None:
        try:
            await self._switcher.merge(number, placement)
            self._adopted(number)
        finally:
            self.reconciling.pop(number, None)

    def _adopted(self, number: int) -> None:
        """Bring what a merge changed here to the standby, and to who joins."""
        news = self._reconciler.adopted & (members := self._parts.members.users_of(number))
        self._reconciler.adopted -= news
        self._dirty.mark(news, time.time())
        self._pusher.telling.changed(number, news)
        self._dirty.wake(members)
        self._wake.set()

    def _consider_standby(self, number: int, placement: Placement) -> None:
        # A standby that has not said what it remembers may be ready: reconciling it would be in vain.
        if number in self.reconciling or placement.standby not in self._answering or not self._parts.view.leads:
            return
        if time.monotonic() < self._not_before.get(number, 0.0):
            return
        if needs_reconciling(self._parts.me, placement, self._parts.view.alive, self.declared.get(number)):
            self.reconciling[number] = asyncio.create_task(self._reconcile(number, placement), name=STANDBY)

    async def _reconcile(self, number: int, placement: Placement) -> None:
        members = self._parts.members.users_of(number)
        users = due_without(self.declared.get(number), self._parts.me, placement, members)
        try:
            failed = await self._reconciler.group(number, placement, users)
            self.declared[number] = Declared(self._parts.me, placement.epoch, failed)
            self._adopted(number)
            if failed:
                self._not_before[number] = time.monotonic() + RETRY_S
        except FAILURES as error:
            self._not_before[number] = time.monotonic() + SOON_S
            log.warning("group %d is not reconciled with %s: %s", number, placement.standby, error)
        finally:
            self.reconciling.pop(number, None)

    async def _readiness(self) -> None:
        """Ask the standbys what they remember: one that lost its disk says less than before."""
        while True:
            asked = {n: (p, self.declared.get(n)) for n, p in self.groups.items() if n not in self.reconciling}
            standbys = sorted({p.standby for p in self.groups.values()} & self._parts.view.alive)
            answers = await asyncio.gather(*(self._ask(name) for name in standbys))
            said = {name: answer for name, answer in zip(standbys, answers, strict=True) if answer is not None}
            for number, (placement, before) in asked.items():
                if placement.standby in said and self.declared.get(number) == before and number not in self.reconciling:
                    self._learn(number, placement.standby, said[placement.standby].get(number))
            self._answering = frozenset(said)
            self._look.clear()
            await _waited(self._look, READINESS_S if len(said) == len(standbys) else RETURN_S)

    def _learn(self, number: int, standby: str, declared: Declared | None) -> None:
        if declared == self.declared.get(number):
            return
        self._pusher.shipped.forget(standby)
        if declared is None:
            self.declared.pop(number, None)
        else:
            self.declared[number] = declared
        self._dirty.wake(self._parts.members.users_of(number))
        self._wake.set()

    async def _ask(self, standby: str) -> dict[int, Declared] | None:
        try:
            return await self._parts.peers.readiness(standby)
        except (ChannelError, AnswerError) as error:
            log.info("%s", error)
            return None


async def _waited(event: asyncio.Event, bound_s: float) -> None:
    """Wait for an event, but not longer than bound_s."""
    try:
        async with asyncio.timeout(bound_s):
            await event.wait()
    except TimeoutError:
        return
