"""The placement map and the living servers, as the placement service's files say; read again when they are replaced."""

import json
import logging
import time
from pathlib import Path

from onedallmail.mailboxes.rules import leads
from onedallmail.placement.files import GROUPS, STATUS, read_groups
from onedallmail.placement.map import PlacementMap

ALIVE = "alive.json"

log = logging.getLogger("mailboxes.view")

_Mark = tuple[int, int] | None


class View:
    """What this server knows of places. Only `poll` reads files."""

    def __init__(self, directory: Path) -> None:
        """Read what is there."""
        self._directory = directory
        self._marks: dict[str, _Mark] = {}
        self.placements: PlacementMap = {}
        self.alive: frozenset[str] = frozenset()
        self._lease: object = None
        self._open_for_s = self._asked_at = 0.0
        self.poll()

    @property
    def leads(self) -> bool:
        """Whether this server's lease stands and its fence is open, as far as the placement service has said."""
        return leads(self._lease, self._open_for_s, time.time() - self._asked_at)

    def poll(self) -> bool:
        """Read replaced files; return whether anything differs."""
        before = self.placements, self.alive
        if self._replaced(GROUPS):
            found = read_groups(self._directory)
            if found or not self.placements:
                self.placements = found
            else:
                log.error("%s can't be read: the map of before stays", self._directory / GROUPS)
        if self._replaced(ALIVE):
            self.alive = self._living()
        if self._replaced(STATUS):
            self._read_lease()
        return (self.placements, self.alive) != before

    def _living(self) -> frozenset[str]:
        try:
            return frozenset(json.loads((self._directory / ALIVE).read_text())["servers"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.error("%s can't be read (%s): what was known stays", self._directory / ALIVE, error)  # noqa: TRY400
            return self.alive

    def _read_lease(self) -> None:
        path = self._directory / STATUS
        try:
            asked_at, status = path.stat().st_mtime, json.loads(path.read_text())  # in this order: never too fresh
            lease, open_for_s = status["lease"], float(status["fence"]["open_for_s"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.error("%s can't be read (%s): nothing is begun at a standby", path, error)  # noqa: TRY400
            lease, open_for_s, asked_at = None, 0.0, 0.0
        self._lease, self._open_for_s, self._asked_at = lease, open_for_s, asked_at

    def _replaced(self, name: str) -> bool:
        try:
            status = (self._directory / name).stat()
            mark: _Mark = (status.st_ino, status.st_mtime_ns)
        except OSError:
            mark = None
        if mark is None or self._marks.get(name) == mark:
            return False
        self._marks[name] = mark
        return True
