"""Makes this server the home of groups whose home is gone, and keeps account of it."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, astuple, dataclass, replace
from typing import Any

from onedallmail.placement import rules
from onedallmail.placement.clock import iso_now, moment
from onedallmail.placement.lease import Lease
from onedallmail.placement.map import PlacementMap
from onedallmail.placement.store import MapStore, group_key
from onedallmail.placement.view import View

KEPT = 20
"""Failovers that status.json tells of."""

log = logging.getLogger("placement")


@dataclass(frozen=True, slots=True)
class Failover:
    """Groups that this server took over: from whom, when, and how long from noticing to serving the last of them."""

    from_server: str
    groups: int
    at: str
    seconds: float | None


@dataclass(slots=True)
class _Open:
    failover: Failover
    numbers: frozenset[int]
    noticed_at: float


class TakeOver:
    """Takes over for one server."""

    def __init__(
        self,
        server: str,
        patience_s: float,
        store: MapStore,
        past: list[Failover],
        *,
        merging: Callable[[], frozenset[int] | None],
        clock: Callable[[], float] = moment,
    ) -> None:
        """Begin with the failovers that an earlier run told of; `merging` tells which groups must not come here now."""
        self._server, self._patience_s, self._store, self._clock = server, patience_s, store, clock
        self._merging = merging
        self._seen: set[str] = set()
        self._done = past[-KEPT:]
        self._open: list[_Open] = []
        self._noticed: dict[str, tuple[float, str]] = {}

    def take(self, view: View, lease: Lease) -> bool:
        """Become home of what may be taken over; return whether the map was changed. Raises EtcdError."""
        self._seen |= set(view.alive)
        patient = self._clock() - lease.granted_at >= self._patience_s
        servers = {placement.home for placement in view.placements.values()}
        gone = rules.gone(servers, view.alive, self._seen, patient)
        self._noticed = {home: self._noticed.get(home) or (self._clock(), iso_now()) for home in gone}
        orphans = rules.orphans(view.placements, gone, self._server, self._merging()) if gone else ()
        numbers = [n for n in orphans if group_key(n) in view.changes]
        transactions = rules.flips(numbers, view.placements, view.changes, self._server, lease.id)
        outcomes = [self._store.commit(transaction) for transaction in transactions]
        return any(outcomes)

    def account(self, known: PlacementMap, placements: PlacementMap, here: frozenset[int]) -> None:
        """Note the groups that came from servers that are gone, and those of which the last is served now."""
        came: dict[str, list[int]] = {}
        for number, placement in placements.items():
            old = known.get(number, placement).home
            if placement.home == self._server != old and old in self._noticed:
                came.setdefault(old, []).append(number)
        for home, numbers in came.items():
            log.warning("%s is gone: this server is home of its groups %s", home, numbers)
            noticed_at, at = self._noticed[home]
            self._open.append(_Open(Failover(home, len(numbers), at, None), frozenset(numbers), noticed_at))
        for entry in tuple(self._open):
            if not {n for n in entry.numbers if placements[n].home == self._server} - here:
                self._open.remove(entry)
                seconds = round(self._clock() - entry.noticed_at, 3)
                self._done = [*self._done, replace(entry.failover, seconds=seconds)][-KEPT:]
                log.warning("%d groups of %s are served here after %g s", *astuple(entry.failover)[1::-1], seconds)

    def records(self) -> list[dict[str, Any]]:
        """Return the last failovers for status.json; those under way have no seconds."""
        return [asdict(failover) for failover in (*self._done, *(entry.failover for entry in self._open))]


def past_failovers(status: Mapping[str, Any]) -> list[Failover]:
    """Return the failovers of an earlier status.json; none where they can't be read."""
    try:
        return [Failover(**record) for record in status["failovers"]]
    except (KeyError, TypeError):
        return []
