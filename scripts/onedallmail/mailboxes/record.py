"""What a server must remember about groups across a restart: declarations taken as standby, epochs prepared as home."""

import json
import logging
import threading
from pathlib import Path

from onedallmail.mailboxes import durable
from onedallmail.mailboxes.rules import Declared

NAME = "groups.json"
VERSION = 1

log = logging.getLogger("mailboxes.record")


class Record:
    """Flushed to disk with each change. A file that can't be read is as none: groups are reconciled again."""

    def __init__(self, directory: Path) -> None:
        """Read what an earlier run left."""
        self._path = directory / NAME
        self._lock = threading.Lock()
        self._declared: dict[int, Declared] = {}
        self._prepared: dict[int, int] = {}
        self._raised: dict[int, int] = {}
        try:
            self._load(self._path.read_bytes())
        except FileNotFoundError:
            log.info("%s is not there: no group has been declared or prepared here", self._path)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            log.error("%s can't be read (%s): every group is reconciled again", self._path, error)  # noqa: TRY400

    def declared(self, group: int) -> Declared | None:
        """Return what this server was declared ready for as the standby of a group."""
        return self._declared.get(group)

    def declared_by(self, home: str) -> dict[int, Declared]:
        """Return all declarations of a home."""
        return {group: declared for group, declared in self._declared.items() if declared.home == home}

    def declare(self, group: int, declared: Declared) -> None:
        """Remember a declaration; raises OSError."""
        with self._lock:
            self._declared[group] = declared
            self._write()

    def prepared(self, group: int) -> int:
        """Return the newest epoch in which this server set out to be home of a group; 0 for never."""
        return self._prepared.get(group, 0)

    def prepare(self, epochs: dict[int, int]) -> None:
        """Remember that this server sets out to be home of groups; raises OSError."""
        with self._lock:
            self._prepared.update({group: max(epoch, self.prepared(group)) for group, epoch in epochs.items()})
            self._write()

    def raised(self, group: int) -> int:
        """Return the newest epoch for which the counters of a group's mailboxes were raised here."""
        return self._raised.get(group, 0)

    def raise_to(self, group: int, epoch: int) -> None:
        """Remember that the counters of a group's mailboxes are raised for an epoch; raises OSError."""
        with self._lock:
            self._raised[group] = max(epoch, self.raised(group))
            self._write()

    def _load(self, content: bytes) -> None:
        raw = json.loads(content)
        if raw["version"] != VERSION:
            msg = f"version {raw['version']} is unknown"
            raise ValueError(msg)
        declared = {
            int(group): Declared(str(entry["home"]), int(entry["epoch"]), frozenset(entry["without"]))
            for group, entry in raw["declared"].items()
        }
        prepared = {int(group): int(epoch) for group, epoch in raw["prepared"].items()}
        raised = {int(group): int(epoch) for group, epoch in raw["raised"].items()}
        self._declared, self._prepared, self._raised = declared, prepared, raised

    def _write(self) -> None:
        declared = {
            str(group): {"home": entry.home, "epoch": entry.epoch, "without": sorted(entry.without)}
            for group, entry in sorted(self._declared.items())
        }
        document = {
            "version": VERSION,
            "declared": declared,
            "prepared": {str(group): epoch for group, epoch in sorted(self._prepared.items())},
            "raised": {str(group): epoch for group, epoch in sorted(self._raised.items())},
        }
        durable.replace(self._path, json.dumps(document).encode())
