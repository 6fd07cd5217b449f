"""The lease of this server: kept alive every quarter of its time, and the fence opened for as long as it is good."""

import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from onedallmail.placement import rules
from onedallmail.placement.clock import iso_now, moment
from onedallmail.placement.fence import Fence
from onedallmail.placement.store import EtcdError, LeaseStore, Renewal, alive_key

RENEWALS = 4
"""How often a lease is renewed in its time."""
RETRY_S = 0.3

log = logging.getLogger("placement")


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease that etcd granted. `asked_at` is the moment before the request that renewed it last."""

    id: int
    ttl_s: float
    since: str
    granted_at: float
    asked_at: float

    def stands(self, now: float) -> bool:
        """Return whether etcd still has it, as far as this server can know."""
        return now < self.asked_at + self.ttl_s


class LeaseKeeper:
    """Holds the lease of one server. One thread runs it; others ask for the present lease and admit the map."""

    def __init__(
        self,
        *,
        server: str,
        region: str,
        ttl_s: int,
        store: LeaseStore,
        fence: Fence,
        on_change: Callable[[], None],
        clock: Callable[[], float] = moment,
    ) -> None:
        """Begin without a lease; `on_change` is called when one came or went."""
        self._server, self._region, self._ttl_s = server, region, ttl_s
        self._store, self._fence, self._on_change, self._clock = store, fence, on_change, clock
        self._lock = threading.Lock()
        self._lease: Lease | None = None
        self._applied: int | None = None
        self.error: str | None = None

    @property
    def current(self) -> Lease | None:
        """The lease, if this server may believe that it stands."""
        with self._lock:
            return self._lease if self._lease and self._lease.stands(self._clock()) else None

    def run(self) -> None:
        """Keep a lease until the process is ended."""
        while True:
            time.sleep(self.turn())

    def turn(self) -> float:
        """Get or renew the lease once; return the seconds to the next turn."""
        with self._lock:
            lease = self._lease
        try:
            self._renew(lease) if lease else self._acquire()
        except EtcdError as error:
            self._complain(str(error))
            return RETRY_S
        self._complain(None)
        with self._lock:
            lease = self._lease
        if lease is None:
            return 0.0
        return max(0.0, lease.asked_at + lease.ttl_s / RENEWALS - self._clock())

    def admit(self, lease: int) -> None:
        """Let the fence open under this lease: the map was read and written under it."""
        with self._lock:
            news = self._applied != lease
            self._applied = lease
        if news:
            self._refresh()

    def abandon(self, lease: int) -> None:
        """Close the fence and give up a lease whose key is not as it was written: others may be home by now."""
        with self._lock:
            if self._lease is None or self._lease.id != lease:
                return
            self._lease = self._applied = None
        self._fence.close()
        log.error("%s is not bound to this server's lease any more; closed, and begun anew", alive_key(self._server))

    def _acquire(self) -> None:
        granted = self._store.grant(self._ttl_s)
        since = iso_now()
        value = json.dumps({"since": since, "region": self._region}, separators=(",", ":"))
        try:
            self._store.put(alive_key(self._server), value, granted.lease)
        except EtcdError:
            self._revoke(granted)
            raise
        with self._lock:
            self._lease = Lease(granted.lease, granted.ttl_s, since, granted.asked_at, granted.asked_at)
        log.info("lease %x for %g s", granted.lease, granted.ttl_s)
        self._on_change()

    def _revoke(self, granted: Renewal) -> None:
        try:
            self._store.revoke(granted.lease)
        except EtcdError as error:
            log.info("%s", error)  # it ends by itself

    def _renew(self, lease: Lease) -> None:
        renewal = self._store.keepalive(lease.id)
        if renewal.ttl_s > 0:
            with self._lock:
                if self._lease is not None and self._lease.id == lease.id:
                    self._lease = replace(lease, ttl_s=renewal.ttl_s, asked_at=renewal.asked_at)
            self._refresh()
            return
        with self._lock:
            self._lease = self._applied = None
        self._fence.close()
        log.warning("lease %x is lost: mailboxes here stay closed until the map was read under a new one", lease.id)
        self._on_change()

    def _refresh(self) -> None:
        with self._lock:
            lease, applied = self._lease, self._applied
        if lease is not None and rules.fence_may_open(lease.id, applied):
            self._fence.open(rules.fence_until(lease.ttl_s, lease.asked_at))

    def _complain(self, error: str | None) -> None:
        if error != self.error:
            log.warning("lease: %s", error) if error else log.info("the lease can be renewed again")
        self.error = error
