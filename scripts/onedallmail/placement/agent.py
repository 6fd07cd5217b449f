"""The service onedallmail-placement: seeds the placement map when there is none, and keeps this server's files current.

When etcd can't be read the last files stay, and status.json says since when and why.
"""

import json
import logging
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from onedallmail.placement import files
from onedallmail.placement.etcd import EtcdClient, EtcdError, Snapshot
from onedallmail.placement.map import Placement, PlacementError, PlacementMap, from_json, initial, to_json, validate
from onedallmail.placement.settings import Settings, SettingsError, load_settings

PREFIX = "/onedallmail/placement/groups/"
CONFIGURATION = Path("/etc/onedallmail/placement.json")
PAUSE_S = 1.0
"""Between two attempts while etcd gives no answer."""
USAGE = 2

log = logging.getLogger("placement")


class Store(Protocol):
    """What the agent needs of etcd."""

    def read(self, prefix: str) -> Snapshot:
        """Return everything under the prefix."""

    def create(self, prefix: str, values: dict[str, str]) -> bool:
        """Write the values if nothing is under the prefix."""

    def wait(self, prefix: str, after_revision: int, timeout_s: float) -> bool:
        """Wait for a change under the prefix."""


class Agent:
    """Keeps the files of one server equal to the map."""

    def __init__(self, settings: Settings, store: Store) -> None:
        """Begin with what an earlier run left in the directory."""
        self._settings = settings
        self._store = store
        self._placements = files.read_groups(settings.directory)
        self._status = _last_status(settings.directory / files.STATUS)
        self._error: str | None = None

    def run(self) -> None:
        """Follow the map until the process is ended."""
        while True:
            if not self.step():
                time.sleep(PAUSE_S)

    def step(self) -> bool:
        """Read the map, write what differs, wait for a change; return whether etcd answered."""
        try:
            snapshot = self._read()
            self._apply(snapshot)
        except (EtcdError, PlacementError, OSError) as error:
            self._report(str(error))
            return False
        try:
            self._store.wait(PREFIX, snapshot.revision, self._settings.interval_s)
        except EtcdError as error:
            log.info("%s", error)  # the next read says whether it matters
            return False
        return True

    def _read(self) -> Snapshot:
        snapshot = self._store.read(PREFIX)
        if snapshot.values:
            return snapshot
        if self._placements:
            known = self._settings.directory / files.GROUPS
            msg = f"etcd has no key under {PREFIX}, but {known} knows a map: restore etcd's data"
            msg += f", or remove {files.GROUPS} on every mail server and restart the service to begin anew"
            raise PlacementError(msg)
        first = initial(self._settings.groups, self._settings.regions)
        if self._store.create(PREFIX, {f"{PREFIX}{n}": to_json(p) for n, p in first.items()}):
            log.info("seeded the map: %d groups on %d servers", len(first), len(self._settings.servers))
        return self._store.read(PREFIX)

    def _apply(self, snapshot: Snapshot) -> None:
        placements, wrong = self._judged(snapshot)
        moved = [n for n, p in placements.items() if n in self._placements and self._placements[n].home != p.home]
        here = {number for number, placement in placements.items() if placement.home == self._settings.server}
        if files.write_map(placements, snapshot.changed, self._settings, here):
            log.info("files follow revision %d; groups with a new home: %s", snapshot.changed, moved or "none")
        self._placements = placements
        self._status |= {"revision": snapshot.changed, "groups": len(placements), "checked_at": _now()}
        self._report("; ".join(wrong) or None)

    def _judged(self, snapshot: Snapshot) -> tuple[PlacementMap, list[str]]:
        """Return the map and what is wrong with it. A wrong group keeps the place that this server knew before.

        Raises PlacementError for a wrong group that had no place before.
        """
        placements, wrong = {}, _strangers(snapshot, self._settings.groups)
        for number in range(self._settings.groups):
            try:
                placement = _found(number, snapshot)
                validate(number, placement, self._settings.regions)
            except PlacementError as error:
                wrong.append(str(error))
                if number not in self._placements:
                    raise
                placement = self._placements[number]
            placements[number] = placement
        return placements, wrong

    def _report(self, error: str | None) -> None:
        if error != self._error:
            log.warning("%s", error) if error else log.info("the map can be read again")
        self._error = error
        groups = self._settings.directory / files.GROUPS
        changed = datetime.fromtimestamp(groups.stat().st_mtime, UTC) if groups.exists() else None
        status = {
            "server": self._settings.server,
            **self._status,
            "changed_at": changed and changed.isoformat(timespec="seconds"),
            "error": error,
        }
        files.write_status(status, self._settings.directory)


def _found(number: int, snapshot: Snapshot) -> Placement:
    try:
        return from_json(number, snapshot.values[f"{PREFIX}{number}"])
    except KeyError as error:
        msg = f"placement group {number}: etcd has no key {PREFIX}{number}; write it again"
        raise PlacementError(msg) from error


def _strangers(snapshot: Snapshot, groups: int) -> list[str]:
    strangers = sorted(set(snapshot.values) - {f"{PREFIX}{number}" for number in range(groups)})
    return [f"etcd has {key}, which is no group of this platform (0 to {groups - 1}); delete it" for key in strangers]


def _last_status(path: Path) -> dict[str, str | int | None]:
    empty: dict[str, str | int | None] = {"revision": None, "groups": None, "checked_at": None}
    try:
        last = json.loads(path.read_text())
        return {name: last[name] for name in empty}
    except (OSError, ValueError, KeyError, TypeError):
        return empty


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


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
        Agent(settings, EtcdClient(settings.etcd)).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
