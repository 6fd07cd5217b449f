"""Who lives and where mailboxes live, as this server knows it: the placement service's files, or etcd at a witness."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from onedallmail.placement.map import Placement

ALIVE = "alive.json"
GROUPS = "groups.json"
ALIVE_PREFIX = "/onedallmail/placement/alive/"
STALE_S = 30.0
"""A list of living servers that is older says nothing."""


@dataclass(frozen=True, slots=True)
class Places:
    """A moment's knowledge."""

    alive: frozenset[str] | None
    """None when it can't be known at present."""
    groups: Mapping[int, Placement] = field(default_factory=dict)


class PlacesSource(Protocol):
    """Where that knowledge comes from."""

    def read(self) -> Places:
        """Return what is known now; blocks, raises nothing."""


class PlacementFiles:
    """The files that the placement service writes on a mail server. The map is parsed when its file was replaced."""

    def __init__(self, directory: Path) -> None:
        """Read nothing yet."""
        self._directory = directory
        self._mark: tuple[int, int] | None = None
        self._groups: dict[int, Placement] = {}

    def read(self) -> Places:
        """Return what the files say; a file that can't be read says nothing."""
        self._follow_map()
        return Places(_alive(self._directory / ALIVE), self._groups)

    def _follow_map(self) -> None:
        path = self._directory / GROUPS
        try:
            stat = path.stat()
            mark = (stat.st_mtime_ns, stat.st_ino)
            if mark != self._mark:
                groups = json.loads(path.read_text())["groups"]
                self._groups = {int(number): Placement(**record) for number, record in groups.items()}
                self._mark = mark
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return  # the map of before stays; the placement service reports


class KeyReader(Protocol):
    """What is needed of etcd's client."""

    def read(self, prefix: str) -> Any:
        """Return an object whose `values` are keyed by their names; raises an exception without a majority."""


class AliveKeys:
    """The keys of living servers in etcd. An answer is used for a moment only."""

    def __init__(self, etcd: KeyReader, errors: type[Exception], *, kept_s: float = 2.0) -> None:
        """Read nothing yet; `errors` is what the client raises."""
        self._etcd = etcd
        self._errors = errors
        self._kept_s = kept_s
        self._read_at = float("-inf")
        self._known = Places(None)

    def read(self) -> Places:
        """Return who lives; nobody knows it without a majority of voters."""
        if time.monotonic() - self._read_at > self._kept_s:
            try:
                keys = self._etcd.read(ALIVE_PREFIX).values
                self._known = Places(frozenset(key.removeprefix(ALIVE_PREFIX) for key in keys))
            except self._errors:
                self._known = Places(None)
            self._read_at = time.monotonic()
        return self._known


def _alive(path: Path) -> frozenset[str] | None:
    try:
        record = json.loads(path.read_text())
        age_s = (datetime.now(UTC) - datetime.fromisoformat(record["at"])).total_seconds()
        return frozenset(record["servers"]) if age_s < STALE_S else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
