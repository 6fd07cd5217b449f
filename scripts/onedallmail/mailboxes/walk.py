"""Compares every mailbox with its standby, slowly and for ever, and repairs what differs: events can be lost."""

import asyncio
import logging
from collections.abc import Callable

from onedallmail.mailboxes.measures import Counters
from onedallmail.mailboxes.parts import FAILURES, Parts
from onedallmail.mailboxes.places import digests
from onedallmail.mailboxes.push import Pusher
from onedallmail.mailboxes.rules import differing
from onedallmail.mailboxes.wire import Claim
from onedallmail.placement.map import Placement

IDLE_S = 5.0
SHORTEST_S = 0.05
LONGEST_S = 30.0
"""Bounds of the pause between two mailboxes."""
SETTLE_S = 1.0

log = logging.getLogger("mailboxes.walk")

Placed = Callable[[str], tuple[int, Placement] | None]


class Walker:
    """One mailbox at a time; a whole round takes about walk_interval_s."""

    def __init__(self, parts: Parts, pusher: Pusher, counters: Counters, placed: Placed) -> None:
        """Keep the parts. `placed` says where a mailbox that may be synchronised lives."""
        self._parts = parts
        self._pusher = pusher
        self._counters = counters
        self._placed = placed

    async def run(self) -> None:
        """Walk until cancelled."""
        while True:
            everybody = (u for n in range(self._parts.settings.groups) for u in sorted(self._parts.members.users_of(n)))
            users = [user for user in everybody if self._placed(user)]
            self._counters.unequal = {u: parts for u, parts in self._counters.unequal.items() if u in set(users)}
            if not users:
                await asyncio.sleep(IDLE_S)
            for user in users:
                pause_s = self._parts.settings.walk_interval_s / len(users)
                await asyncio.sleep(min(max(pause_s, SHORTEST_S), LONGEST_S))
                try:
                    await self.visit(user)
                except FAILURES as error:
                    log.info("%s is not compared: %s", user, error)

    async def visit(self, user: str) -> list[str]:
        """Compare a mailbox with its standby's and repair it; return what differs even then. Raises FAILURES."""
        place = self._placed(user)
        if place is None:
            return []
        group, placement = place
        parts = await self._differing(user, group, placement)
        self._counters.healed_records += await self._pusher.heal(user)
        if parts:
            log.info("%s differs from its standby in %s: it is synchronised", user, ", ".join(parts))
            await self._pusher.push(user, group, placement, whole=True)
            await asyncio.sleep(SETTLE_S)
            parts = await self._differing(user, group, placement)
            self._counters.repaired += not parts
        elif self._parts.store.stored(user):
            await self._pusher.push(user, group, placement, whole=True)
        self._counters.walked += 1
        if parts:
            self._counters.unequal[user] = parts
            log.warning("%s differs from its standby in %s after it was synchronised", user, ", ".join(parts))
        else:
            self._counters.unequal.pop(user, None)
        return parts

    async def _differing(self, user: str, group: int, placement: Placement) -> list[str]:
        claim = Claim(group, placement.epoch, self._parts.me, user)
        here, there = await asyncio.gather(
            asyncio.to_thread(digests, self._parts.upkeep, self._parts.store, user),
            self._parts.peers.digests(placement.standby, claim),
        )
        return differing(here, there)
