"""The home's side of another standby: the server that joins is merged beside the standby, then takes its place.

Before that the old standby is frozen: it is told nothing more, so that it vouches for nothing that the next one lacks.
The placement service asks, and changes the map when it has the answer. The home and its epoch stay, sessions go on.
"""

import asyncio
import logging
import time
from collections.abc import Collection
from dataclasses import dataclass

from onedallmail.mailboxes.parts import FAILURES, Parts, PlaceError
from onedallmail.mailboxes.push import Pusher
from onedallmail.mailboxes.reconcile import Reconciler
from onedallmail.mailboxes.rules import Declared, declared_by, may_join, toward
from onedallmail.placement.map import Placement, PlacementMap

ANSWER_S = 20.0
"""An answer comes within that time; groups that take longer go on, and are done when somebody asks again."""
TOLD_S = 10.0
"""For shipments to the old standby to end, which the channel bounds."""
FEW = 16
"""Mailboxes that may be left to bring while the old standby is frozen."""
ROUNDS = 5
RETRY_S = 5.0
"""After mailboxes failed: often Dovecot there has read its file of places a moment later."""
SOON_S = 3.0

log = logging.getLogger("mailboxes.switching")


@dataclass(frozen=True, slots=True)
class Outcome:
    """Groups whose joining server may become the standby, why others may not, and those that must begin anew."""

    done: list[int]
    failed: dict[str, str]
    stale: list[int]
    """Frozen by an earlier run or answer that does not hold any more: nobody must join them before they are asked
    for again, for a change of the map may be on its way."""


class Switcher:
    """One task a group. What a server remembers of an earlier joining counts for nothing: it missed what came since."""

    def __init__(self, parts: Parts, pusher: Pusher, reconciler: Reconciler) -> None:
        """Keep the parts; nobody has been merged in this run."""
        self._parts, self._pusher, self._reconciler = parts, pusher, reconciler
        self._telling = pusher.telling
        self._places = asyncio.Semaphore(parts.settings.workers)
        self._merged: dict[int, tuple[str, Declared]] = {}
        """By group: who joined, and as what this run declared it."""
        self._not_before: dict[int, float] = {}
        self._running: dict[tuple[int, int], asyncio.Task[None]] = {}

    def due(self, number: int, placement: Placement) -> bool:
        """Return whether a server that joins has to be merged now."""
        if placement.joining is None or placement.joining not in self._parts.view.alive:
            return False
        known = self._declared(number, placement)
        return (known is None or bool(known.without)) and time.monotonic() >= self._not_before.get(number, 0.0)

    async def merge(self, number: int, placement: Placement) -> None:
        """Merge the server that joins and declare it ready, as a standby is; what fails is tried again later."""
        server = placement.joining or ""
        known = self._declared(number, placement)
        members = self._parts.members.users_of(number)
        users = members if known is None else known.without & members
        self._telling.begin(number, server, placement.epoch)
        try:
            failed = await self._reconciler.group(number, toward(placement, server), users)
        except FAILURES as error:
            self._not_before[number] = time.monotonic() + SOON_S
            log.warning("group %d is not merged with %s, which joins: %s", number, server, error)
            return
        self._merged[number] = server, Declared(self._parts.me, placement.epoch, failed)
        if failed:
            self._not_before[number] = time.monotonic() + RETRY_S

    def _declared(self, number: int, placement: Placement) -> Declared | None:
        server, declared = self._merged.get(number, ("", None))
        same = server == placement.joining and declared_by(declared, self._parts.me, placement.epoch)
        return declared if same else None

    async def tidy(self, placements: PlacementMap) -> None:
        """Forget what the map does not ask for any more: it has been switched, or given up. Raises OSError."""
        for number in [n for n in self._merged if not self._asked_for(placements.get(n), *self._merged[n])]:
            del self._merged[number]
            self._telling.end(number)
        if self._parts.frozen.any:
            await asyncio.to_thread(self._parts.frozen.tidy, self._parts.me, placements)

    def _asked_for(self, placement: Placement | None, server: str, declared: Declared) -> bool:
        return (
            placement is not None
            and placement.joining == server
            and declared_by(declared, placement.home, placement.epoch)
        )

    async def join(self, epochs: dict[int, int]) -> Outcome:
        """Bring all that their standbys vouch for to the servers that join groups. Asking again is harmless."""
        frozen = frozenset(n for n in epochs if self._frozen(n))
        tasks = {}
        for pair in epochs.items():
            if pair not in self._running:
                self._running[pair] = asyncio.ensure_future(self._join(*pair))
            tasks[pair] = self._running[pair]
        if tasks:
            await asyncio.wait(tasks.values(), timeout=ANSWER_S)
        done, failed, stale = [], {}, []
        for (number, epoch), task in tasks.items():
            if not task.done():
                failed[str(number)] = "it takes longer; ask again"
                continue
            self._running.pop((number, epoch), None)
            error = None if task.cancelled() else task.exception()
            if task.cancelled() or error is not None:
                failed[str(number)] = str(error or "cancelled") or type(error).__name__
                stale += [number] if number in frozen and self._forgotten(number) else []
            else:
                done.append(number)
        return Outcome(done, failed, stale)

    def _forgotten(self, number: int) -> bool:
        """Return whether a group is frozen for a server that this run has not merged."""
        placement = self._parts.view.placements.get(number)
        return placement is not None and self._frozen(number) and self._declared(number, placement) is None

    def _frozen(self, number: int) -> bool:
        placement = self._parts.view.placements.get(number)
        return placement is not None and self._parts.frozen.server(number, placement) is not None

    async def _join(self, number: int, epoch: int) -> None:
        """Bring one group's joining server to where it may become the standby. Raises one of FAILURES."""
        target = self._target(number, epoch)
        before = self._frozen(number)
        for _ in range(ROUNDS if not before else 0):
            if len(self._behind(number, target)) <= FEW:
                break
            await self._bring(number, target, self._behind(number, target))
        await asyncio.to_thread(self._parts.frozen.begin, number, epoch, target.standby)
        try:
            await self._finish(number, epoch, target)
        except BaseException:
            if not before:  # nobody has been told that it may be switched
                await asyncio.to_thread(self._parts.frozen.end, number)
            raise

    async def _finish(self, number: int, epoch: int, target: Placement) -> None:
        if not await self._telling.ended(number, TOLD_S):
            msg = f"shipments to the standby of group {number} do not end within {TOLD_S:g} s"
            raise PlaceError(msg)
        # Others are brought after the switch, as to any standby: nobody vouches for their news yet.
        self._behind(number, target)
        joining = self._telling.joining(number)
        await self._bring(number, target, frozenset(joining.told) if joining else ())
        remembers = (await self._parts.peers.readiness(target.standby)).get(number)
        self._target(number, epoch)
        joining = self._telling.joining(number)
        told = frozenset(joining.told) if joining else frozenset({"?"})
        whole = declared_by(remembers, self._parts.me, epoch) and remembers is not None and not remembers.without
        if not whole:
            self._merged.pop(number, None)
        if not may_join(bool(whole), told, self._frozen(number), self._telling.running(number)):
            msg = f"{target.standby} does not have all of group {number} yet"
            raise PlaceError(msg)
        log.info("group %d: %s has all that its standby vouches for, and may take its place", number, target.standby)

    def _target(self, number: int, epoch: int) -> Placement:
        """Return the place with the server that joins as standby; raises PlaceError unless it is merged."""
        placement = self._parts.view.placements.get(number)
        if placement is None or placement.epoch != epoch or placement.joining is None:
            msg = f"this server knows {placement} of group {number}: nobody joins it in epoch {epoch}"
            raise PlaceError(msg)
        target = toward(placement, placement.joining)
        self._parts.must_lead(number, target)
        declared = self._declared(number, placement)
        if declared is None:
            msg = f"{placement.joining} is being merged with group {number}, or can't be reached"
            raise PlaceError(msg)
        if declared.without:
            msg = f"{placement.joining} is ready without {', '.join(sorted(declared.without))}: repair these mailboxes"
            raise PlaceError(msg)
        return target

    def _behind(self, number: int, target: Placement) -> frozenset[str]:
        joining = self._telling.joining(number)
        if joining is None or (joining.server, joining.epoch) != (target.standby, target.epoch):
            msg = f"{target.standby} does not join group {number} any more"
            raise PlaceError(msg)
        return joining.behind

    async def _bring(self, number: int, target: Placement, users: Collection[str]) -> None:
        """Bring mailboxes; raises the last failure, after which all that failed are still to be brought."""
        outcomes = await asyncio.gather(*(self._one(u, number, target) for u in sorted(users)), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome

    async def _one(self, user: str, number: int, target: Placement) -> None:
        joining = self._telling.joining(number)
        if joining is None:
            return
        async with self._places:
            told = user in joining.told
            joining.told.discard(user)
            joining.changed.discard(user)
            try:
                await self._pusher.push(user, number, target, whole=True)
            except BaseException:
                (joining.told if told else joining.changed).add(user)
                raise
