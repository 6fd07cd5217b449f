"""Moves groups from this server, their home, to their standbys when an operator asks for it, without losing a change.

Order: the standby gets up to date while the group is served; the group is closed (it leaves the file `home`); what came
in meanwhile is handed over; only then the map changes. Nothing of this is kept: a service that starts anew begins anew.
"""

import logging
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

from onedallmail.placement import rules
from onedallmail.placement.clock import moment
from onedallmail.placement.courier import Answer, Courier, Job, Verb
from onedallmail.placement.request import as_result, requested
from onedallmail.placement.store import MapStore, group_key, move_key
from onedallmail.placement.view import View

AT_ONCE = 8
"""Groups that are closed at a time: so few that it is over in seconds."""
CLOSED_S = 20.0
"""How long a group may be closed before it is served here again."""
SYNC_S = 120.0
"""How long a standby may take to get up to date, from the first time that it was asked for."""
RETRY_S = 0.5
LOOK_S = 1.0
"""How often is looked at the time while groups are closed."""

log = logging.getLogger("placement")


@dataclass(slots=True)
class _Moving:
    """A group under way. `request` is the revision of its key."""

    to: str
    request: int
    epoch: int
    tries: int = 0
    first_tried_at: float | None = None
    closed_at: float | None = None
    asked: bool = False
    handed: bool = False
    reason: str = "not asked for yet"

    @property
    def phase(self) -> str:
        if self.closed_at is None:
            return "waiting" if self.first_tried_at is None else "synchronising"
        return "handed over" if self.handed else "closed"


class Mover:
    """Moves the groups of one server."""

    def __init__(
        self,
        server: str,
        store: MapStore,
        courier: Courier,
        settled_s: float,
        clock: Callable[[], float] = moment,
    ) -> None:
        """Begin with nothing under way; a file is known to Dovecot `settled_s` after it was written."""
        self._server, self._store, self._courier = server, store, courier
        self._settled_s, self._clock = settled_s, clock
        self._moving: dict[int, _Moving] = {}

    @property
    def closed(self) -> frozenset[int]:
        """Groups that must not be served here now."""
        return frozenset(n for n, moving in self._moving.items() if moving.closed_at is not None)

    @property
    def pause_s(self) -> float | None:
        """After how long the follower should look again; None when nothing presses."""
        return LOOK_S if self.closed else None

    def advance(self, view: View, served: Collection[int]) -> bool:
        """Go on with what is asked for, under a lease; return whether keys were changed. Raises EtcdError."""
        refused = self._follow(view)
        answer = self._courier.fetch()
        if answer:
            self._note(answer)
        late = {n: moving for n, moving in self._moving.items() if self._overdue(moving)}
        overdue = {n: f"{moving.phase} for too long: {moving.reason}" for n, moving in late.items()}
        given_up = {**overdue, **refused}
        changed = [self._withdraw(n, view, reason) for n, reason in given_up.items()]
        handed = sorted(n for n, moving in self._moving.items() if moving.handed and n not in given_up)
        changes = {**view.changes, **view.requests.changes}
        for transaction in rules.handovers(handed, view.placements, changes, view.leases, self._server):
            changed.append(self._store.commit(transaction))
        if not self.closed:
            self._close(n for n, m in self._moving.items() if not m.reason and n in served and n not in given_up)
        return any(changed)

    def give(self, served: Collection[int]) -> None:
        """Give the next job, after the files were written: what is closed comes first."""
        if self._courier.busy:
            return
        now = self._clock()
        closed = [n for n, moving in self._moving.items() if moving.closed_at is not None and not moving.handed]
        if closed:
            pause_s = RETRY_S if all(self._moving[n].asked for n in closed) else self._settled_s
            self._job(Verb.HANDOVER, closed, now + pause_s)
        elif not self.closed:
            waiting = sorted((m.tries, n) for n, m in self._moving.items() if n in served)
            numbers = [n for _, n in waiting[:AT_ONCE]]
            again = any(self._moving[n].tries for n in numbers)
            self._job(Verb.SYNC, numbers, now + RETRY_S if again else now)

    def records(self) -> list[dict[str, Any]]:
        """Return what is under way for status.json."""
        return [
            {"group": n, "to": m.to, "phase": m.phase, "reason": m.reason or None}
            for n, m in sorted(self._moving.items())
        ]

    def _follow(self, view: View) -> dict[int, str]:
        """Forget what is no longer asked for, begin with what is new; return what is refused, with the reason."""
        found, refused = {}, {}
        for number, request, wrong in requested(view.requests):
            placement = view.placements.get(number)
            if placement is None or placement.home != self._server or group_key(number) not in view.changes:
                continue
            revision = view.requests.changes[move_key(number)]
            reason = wrong or rules.move_refused(placement, request.to, self._server, view.alive)
            if reason:
                refused[number] = reason
            now = self._moving.get(number)
            same = now is not None and (now.request, now.epoch) == (revision, placement.epoch)
            found[number] = now if now and same else _Moving(request.to, revision, placement.epoch)
        self._moving = found
        return refused

    def _note(self, answer: Answer) -> None:
        for number in answer.job.groups:
            moving = self._moving.get(number)
            if moving is None or moving.request != answer.job.requests[number]:
                continue
            moving.reason = answer.why(number)
            moving.tries += 1
            if answer.job.verb is Verb.HANDOVER:
                moving.asked, moving.handed = True, not moving.reason

    def _overdue(self, moving: _Moving) -> bool:
        now = self._clock()
        if moving.closed_at is not None:
            return now - moving.closed_at >= CLOSED_S
        return moving.first_tried_at is not None and now - moving.first_tried_at >= SYNC_S

    def _withdraw(self, number: int, view: View, reason: str) -> bool:
        """Give a request up; return whether it is, so that the group may be served here again. Raises EtcdError."""
        result = as_result(self._moving[number].to, reason)
        if not self._store.commit(rules.withdrawal(number, view.requests.changes[move_key(number)], result)):
            return False
        log.warning("group %d stays: %s", number, reason)
        del self._moving[number]
        return True

    def _close(self, numbers: Iterable[int]) -> None:
        ready = sorted(numbers)[:AT_ONCE]
        for number in ready:
            self._moving[number].closed_at = self._clock()
        if ready:
            log.info("groups %s are closed here: they move to their standbys", ready)

    def _job(self, verb: Verb, numbers: list[int], not_before: float) -> None:
        if not numbers:
            return
        for number in numbers:
            moving = self._moving[number]
            moving.first_tried_at = self._clock() if moving.first_tried_at is None else moving.first_tried_at
        epochs = {n: self._moving[n].epoch for n in numbers}
        self._courier.give(Job(verb, epochs, {n: self._moving[n].request for n in numbers}, not_before))
