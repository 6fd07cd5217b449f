"""Wakes the follower of the map when etcd tells of a change: a lease that ended is known within milliseconds."""

import logging
import time
from collections.abc import Callable

from onedallmail.placement.store import PREFIX, EtcdError, MapStore

PAUSE_S = 1.0
"""After a watch that broke."""
CAUGHT_UP_S = 0.02
"""How often it is looked whether a change that was told of has been read."""

log = logging.getLogger("placement")


class Watcher:
    """Watches from the revision that was read last. One thread runs it."""

    def __init__(
        self, store: MapStore, interval_s: float, revision: Callable[[], int | None], wake: Callable[[], None]
    ) -> None:
        """Keep whom to wake, and whom to ask what has been read."""
        self._store, self._interval_s, self._revision, self._wake = store, interval_s, revision, wake
        self._told: int | None = None

    def run(self) -> None:
        """Watch until the process is ended."""
        while True:
            time.sleep(self.turn())

    def turn(self) -> float:
        """Watch once; return the seconds to wait before the next time."""
        revision = self._revision()
        if revision is None or revision == self._told:
            return CAUGHT_UP_S
        try:
            news = self._store.wait(PREFIX, revision, self._interval_s)
        except EtcdError as error:
            log.info("%s", error)  # the next read says whether it matters
            self._wake()
            return PAUSE_S
        if news:
            self._told = revision
            self._wake()
        return 0.0
