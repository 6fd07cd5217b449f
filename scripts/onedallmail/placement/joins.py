"""Gives groups of this server, their home, the standbys that the map says join them, once these have everything.

Nothing of this is kept: the map itself is the request, so a service that starts anew goes on with what it finds there.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from onedallmail.placement import rules
from onedallmail.placement.clock import moment
from onedallmail.placement.courier import Answer, Courier, Job, Verb
from onedallmail.placement.map import Placement
from onedallmail.placement.request import as_result
from onedallmail.placement.store import MapStore, alive_key, group_key
from onedallmail.placement.view import View

AT_ONCE = 8
"""Groups that are asked for at a time: while they are switched their old standbys are told nothing."""
AWAY_S = 120.0
"""How long a server that joins may be without a lease, as one that is started again is."""
RETRY_S = 1.0

log = logging.getLogger("placement")


@dataclass(slots=True)
class _Joining:
    """A server that joins a group. `changed` is the revision of the group's key."""

    to: str
    changed: int
    epoch: int
    lease: int = 0
    """Of the server that joins, when the home was asked last: one that was started anew may have lost its disk."""
    tries: int = 0
    away_since: float | None = None
    joined: bool = False
    stale: bool = False
    reason: str = "not asked for yet"


class Joins:
    """Changes the standbys of the groups of one server."""

    def __init__(self, server: str, store: MapStore, courier: Courier, clock: Callable[[], float] = moment) -> None:
        """Begin with nothing under way."""
        self._server, self._store, self._courier, self._clock = server, store, courier, clock
        self._joining: dict[int, _Joining] = {}
        self._leases: Mapping[str, int] = {}

    @property
    def pause_s(self) -> float | None:
        """After how long the follower should look again; None when nothing presses."""
        return RETRY_S if self._joining else None

    def advance(self, view: View) -> bool:
        """Go on with what the map says, under a lease; return whether keys were changed. Raises EtcdError."""
        self._follow(view)
        answer = self._courier.fetch()
        if answer:
            self._note(answer)
        changed = False
        for number, joining in tuple(self._joining.items()):
            reason = self._hopeless(joining)
            if reason:
                changed |= self._give_up(number, view.placements[number], reason)
            elif joining.joined and rules.may_switch(view.placements[number], self._server, view.leases):
                changed |= self._switch(number, view)
        return changed

    def give(self) -> None:
        """Give the next job."""
        if self._courier.busy:
            return
        waiting = sorted((j.tries, n) for n, j in self._joining.items() if j.away_since is None)
        numbers = [n for _, n in waiting[:AT_ONCE]]
        if numbers:
            again = any(self._joining[n].tries for n in numbers)
            epochs = {n: self._joining[n].epoch for n in numbers}
            for number in numbers:
                self._joining[number].joined = False
                self._joining[number].lease = self._leases.get(alive_key(self._joining[number].to), 0)
            changes = {n: self._joining[n].changed for n in numbers}
            self._courier.give(Job(Verb.JOIN, epochs, changes, self._clock() + (RETRY_S if again else 0)))

    def records(self) -> list[dict[str, Any]]:
        """Return what is under way for status.json."""
        return [{"group": n, "to": j.to, "reason": j.reason or None} for n, j in sorted(self._joining.items())]

    def _follow(self, view: View) -> None:
        """Forget what the map does not say any more, begin with what is new, and note who has no lease."""
        found, self._leases = {}, view.leases
        for number, placement in view.placements.items():
            if placement.home != self._server or placement.joining is None or group_key(number) not in view.changes:
                continue
            changed = view.changes[group_key(number)]
            known = self._joining.get(number)
            same = known is not None and known.changed == changed
            joining = known if known and same else _Joining(placement.joining, changed, placement.epoch)
            there = placement.joining in view.alive
            joining.away_since = None if there else joining.away_since or self._clock()
            found[number] = joining
        self._joining = found

    def _note(self, answer: Answer) -> None:
        for number in answer.job.groups:
            joining = self._joining.get(number)
            if joining is None or joining.changed != answer.job.requests[number]:
                continue
            joining.reason = answer.why(number)
            joining.tries += 1
            joining.joined, joining.stale = not joining.reason, number in answer.stale

    def _hopeless(self, joining: _Joining) -> str | None:
        """Return why a server does not become the standby; None while it may."""
        away = joining.away_since is not None
        if away and (joining.joined or self._clock() - (joining.away_since or 0.0) >= AWAY_S):
            return f"{joining.to} has no lease: start it, then ask again"
        if joining.stale:
            return f"the mailboxes service of {self._server} was started anew in the middle of it: ask again"
        return None

    def _give_up(self, number: int, placement: Placement, reason: str) -> bool:
        joining = self._joining[number]
        if not self._store.commit(rules.unjoined(number, placement, joining.changed, as_result(joining.to, reason))):
            return False
        log.warning("group %d keeps its standby %s: %s", number, placement.standby, reason)
        del self._joining[number]
        return True

    def _switch(self, number: int, view: View) -> bool:
        placement = view.placements[number]
        leases = {**view.leases, alive_key(self._joining[number].to): self._joining[number].lease}
        done = self._store.commit(rules.switch(number, placement, view.changes, leases, self._server))
        if done:
            log.info("group %d: %s is its standby now, no longer %s", number, placement.joining, placement.standby)
            del self._joining[number]
        else:
            self._joining[number].joined = False  # asked again: the leases or the group are not what they were
        return done
