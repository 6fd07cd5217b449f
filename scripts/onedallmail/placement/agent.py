"""The service onedallmail-placement: holds this server's lease, follows the placement map, and takes over groups.

Threads: the lease (lease.py), the watch (watch.py), preparation (prepare.py), hand-over (courier.py), one that keeps
status.json fresh, and this one, which reads etcd, takes over, moves, and writes files. Without etcd the last files
stay, status.json says since when and why, and the fence closes.
"""

import json
import logging
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from onedallmail.placement import files, rules
from onedallmail.placement.clock import iso_now, moment
from onedallmail.placement.courier import Courier
from onedallmail.placement.etcd import EtcdClient
from onedallmail.placement.fence import Fence, FenceError
from onedallmail.placement.flush import Flusher
from onedallmail.placement.joins import Joins
from onedallmail.placement.lease import Lease, LeaseKeeper
from onedallmail.placement.map import PlacementError
from onedallmail.placement.merging import Merging
from onedallmail.placement.mover import Mover
from onedallmail.placement.prepare import Preparer
from onedallmail.placement.seeding import seed
from onedallmail.placement.settings import Settings, SettingsError, load_settings
from onedallmail.placement.store import GROUPS, PREFIX, SEEDING, EtcdError, MapStore, Snapshot
from onedallmail.placement.takeover import TakeOver, past_failovers
from onedallmail.placement.view import View, judged
from onedallmail.placement.watch import Watcher

CONFIGURATION = Path("/etc/onedallmail/placement.json")
PAUSE_S = 1.0
"""Between two attempts while etcd gives no answer."""
SETTLED_S = 1.1
"""Dovecot looks at its files once a second; so long after a change the fence is opened for the first time."""
TELL_S = 2.0
"""status.json is written so often also while nothing changes or etcd is slow: readers take an old one for no answer."""
USAGE = 2

log = logging.getLogger("placement")


class Agent:
    """Keeps the files of one server equal to the map, and takes over what is orphaned."""

    def __init__(
        self,
        settings: Settings,
        store: MapStore,
        keeper: LeaseKeeper,
        preparer: Preparer,
        fence: Fence,
        *,
        courier: Courier,
        joiner: Courier,
        settled_s: float = SETTLED_S,
        clock: Callable[[], float] = moment,
    ) -> None:
        """Begin with what an earlier run left in the directory."""
        self._settings, self._store = settings, store
        self._keeper, self._preparer, self._fence = keeper, preparer, fence
        self._clock = clock
        self._flusher = Flusher(settings.directory, clock)
        self._placements = files.read_groups(settings.directory)
        self._here = files.read_served(settings.directory)
        self._settled_s, self._written_at = settled_s, 0.0
        self._status = _last_status(settings.directory / files.STATUS)
        past = past_failovers(self._status)
        merging = Merging(settings.preparation.merging).groups
        patience_s = settings.lease.patience_s
        self._takeover = TakeOver(settings.server, patience_s, store, past, merging=merging, clock=clock)
        self._mover = Mover(settings.server, store, courier, settled_s, clock)
        self._joins = Joins(settings.server, store, joiner, clock)
        self._error: str | None = None
        self._told: dict[str, Any] = {}
        self._telling = threading.Lock()
        self._admitted: int | None = None
        self.revision: int | None = None

    def run(self, wake: threading.Event) -> None:
        """Follow the map until the process is ended."""
        while True:
            pause_s = self._settings.interval_s if self.step() else PAUSE_S
            dues_s = (self._flusher.turn(), self._mover.pause_s, self._joins.pause_s)
            wake.wait(min([pause_s, *(due_s for due_s in dues_s if due_s is not None)]))
            wake.clear()

    def step(self) -> bool:
        """Read etcd, take over what is orphaned, write what differs; return whether all of it could be done."""
        lease = self._keeper.current
        try:
            view = self._read()
            if lease and not rules.own_lease_stands(view.leases, self._settings.server, lease.id):
                self._keeper.abandon(lease.id)
                lease = None
            if lease and self._takeover.take(view, lease):
                view = self._read()
            if lease and self._mover.advance(view, self._here):
                view = self._read()
            if lease and self._joins.advance(view):
                view = self._read()
            self._apply(view, lease)
        except (EtcdError, PlacementError, OSError) as error:
            self._report(str(error))
            return False
        if lease:
            self._admit(lease)
            self._mover.give(self._here)
            self._joins.give()
        self._report("; ".join(view.wrong) or None)
        self.revision = view.revision
        return True

    def _read(self) -> View:
        snapshot = self._store.read(PREFIX)
        if SEEDING in snapshot.values or not snapshot.under(GROUPS).values:
            snapshot = self._seeded(snapshot)
        return judged(snapshot, self._placements, self._settings)

    def _seeded(self, snapshot: Snapshot) -> Snapshot:
        if self._placements:
            known = self._settings.directory / files.GROUPS
            msg = f"etcd has no map under {GROUPS}, but {known} knows one: restore etcd's data"
            msg += f", or remove {files.GROUPS} on every mail server and restart the service to begin anew"
            raise PlacementError(msg)
        return seed(self._store, snapshot, self._settings)

    def _apply(self, view: View, lease: Lease | None) -> None:
        """Write the files. A group that comes here is served once its mailboxes are prepared, under a lease."""
        server, directory = self._settings.server, self._settings.directory
        here = rules.served(view.placements, server, self._preparer.allowed) - self._mover.closed
        if lease is None:
            here &= self._here
        known = self._placements
        moved = [n for n, p in view.placements.items() if n in known and known[n].home != p.home]
        if files.write_map(view.placements, view.changed, self._settings, here):
            log.info("files follow revision %d; groups with a new home: %s", view.changed, moved or "none")
            self._written_at = self._clock()
        self._preparer.want(rules.unprepared(view.placements, server, self._preparer.prepared))
        files.write_prepared(self._preparer.prepared, directory)
        now = iso_now()
        files.write_alive(view.alive, now, directory)
        if moved or here - self._here:
            self._flusher.schedule()
        self._placements, self._here = view.placements, here
        self._takeover.account(known, view.placements, here)
        self._status |= {"revision": view.changed, "groups": len(view.placements), "checked_at": now}

    def _admit(self, lease: Lease) -> None:
        if lease.id != self._admitted:
            time.sleep(max(0.0, self._written_at + self._settled_s - self._clock()))
        self._keeper.admit(lease.id)
        if lease.id != self._admitted:
            log.info("the map was read under lease %x: mailboxes may be served", lease.id)
            self._admitted = lease.id

    def _report(self, error: str | None) -> None:
        if error != self._error:
            log.warning("%s", error) if error else log.info("the map can be read again")
        self._error = error
        groups = self._settings.directory / files.GROUPS
        changed = datetime.fromtimestamp(groups.stat().st_mtime, UTC) if groups.exists() else None
        standby = files.standby_groups(self._placements, self._settings.server)
        self._told = {
            "server": self._settings.server,
            **self._status,
            "changed_at": changed and changed.isoformat(timespec="seconds"),
            "error": error,
            "served": len(self._here),
            "standby": len(standby),
            "unprepared": sorted(rules.unprepared(self._placements, self._settings.server, self._preparer.prepared)),
            "failovers": self._takeover.records(),
            "moves": self._mover.records(),
            "joins": self._joins.records(),
        }
        self.tell()

    def tell(self) -> None:
        """Write status.json: what the last look at the map gave, with lease and fence as they are now. For any thread.

        The document of the last look is replaced as a whole and never changed, so it needs no lock; the file does.
        """
        told, lease = self._told, self._keeper.current
        if not told:
            return
        now = {
            "told_at": iso_now(),
            "lease": {"id": f"{lease.id:x}", "ttl_s": lease.ttl_s, "since": lease.since} if lease else None,
            "fence": {"open_for_s": round(self._fence.open_for(), 1), "error": self._fence.error},
        }
        with self._telling:
            files.write_status({**told, **now}, self._settings.directory)

    def keep_telling(self) -> None:
        """Write it again and again until the process is ended."""
        while True:
            time.sleep(TELL_S)
            self.tell()


def _last_status(path: Path) -> dict[str, Any]:
    empty: dict[str, Any] = {"revision": None, "groups": None, "checked_at": None, "failovers": []}
    try:
        last = json.loads(path.read_text())
        return {name: last[name] for name in empty}
    except (OSError, ValueError, KeyError, TypeError):
        return empty


def serve(settings: Settings) -> None:
    """Start every thread; return never. A thread that fails ends the process, which systemd starts anew."""
    threading.excepthook = _end
    wake = threading.Event()
    etcd, own = settings.etcd, settings.servers[settings.server]
    fence = Fence(settings.fence.ports, settings.fence.file)
    try:
        fence.load()
    except FenceError as error:
        log.error("%s", error)  # noqa: TRY400 - the message is for an operator
    leases = EtcdClient(etcd, settings.lease.request_timeout_s)
    keeper = LeaseKeeper(
        server=settings.server,
        region=own.region,
        ttl_s=settings.lease.ttl_s,
        store=leases,
        fence=fence,
        on_change=wake.set,
    )
    prepared = files.read_prepared(settings.directory)
    preparer = Preparer(settings.preparation.socket, settings.preparation.wait_s, prepared, wake.set)
    courier = Courier(settings.preparation.socket, wake.set)
    joiner = Courier(settings.preparation.socket, wake.set)
    agent = Agent(settings, EtcdClient(etcd), keeper, preparer, fence, courier=courier, joiner=joiner)
    watcher = Watcher(EtcdClient(etcd), settings.interval_s, lambda: agent.revision, wake.set)
    for name, work in (
        ("lease", keeper.run),
        ("watch", watcher.run),
        ("prepare", preparer.run),
        ("courier", courier.run),
        ("tell", agent.keep_telling),
        ("joiner", joiner.run),
    ):
        _start(name, work)
    agent.run(wake)


def _start(name: str, work: Callable[[], None]) -> None:
    threading.Thread(target=work, name=name, daemon=True).start()


def _end(failure: threading.ExceptHookArgs) -> None:
    traceback.print_exception(failure.exc_type, failure.exc_value, failure.exc_traceback)
    os._exit(1)


def main(arguments: list[str]) -> int:
    """Run the service, or with --check FILE say whether a configuration is right."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
    if arguments and (arguments[0] != "--check" or len(arguments) != 2):  # noqa: PLR2004 - the option and its file
        log.error("usage: agent [--check FILE]")
        return USAGE
    try:
        settings = load_settings(Path(arguments[1]) if arguments else CONFIGURATION)
    except SettingsError as error:
        log.error("%s", error)  # noqa: TRY400 - the message is for an operator
        return 1
    if not arguments:
        serve(settings)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
