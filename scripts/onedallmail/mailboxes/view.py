"""The placement map and the living servers, as the placement service's files say; read again when they are replaced."""

import json
import logging
from pathlib import Path

from onedallmail.placement.files import GROUPS, read_groups
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
        self.poll()

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
        return (self.placements, self.alive) != before

    def _living(self) -> frozenset[str]:
        try:
            return frozenset(json.loads((self._directory / ALIVE).read_text())["servers"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.error("%s can't be read (%s): what was known stays", self._directory / ALIVE, error)  # noqa: TRY400
            return self.alive

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
