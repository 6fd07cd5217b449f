"""Groups that are being merged into this server, their standby, as the mailboxes service lists them in a file.

Until such a group is declared ready this server must not become its home.
"""

import json
import logging
from pathlib import Path

log = logging.getLogger("placement")


class Merging:
    """Reads the file; logs why when it can't be read."""

    def __init__(self, path: Path) -> None:
        """Keep the path."""
        self._path = path
        self._error: str | None = None

    def groups(self) -> frozenset[int] | None:
        """Return the groups; none without a file; None when it can't be read, so that any group may be listed."""
        try:
            found = self._read()
        except (OSError, ValueError, KeyError, TypeError) as error:
            self._complain(f"{self._path}: {type(error).__name__}: {error}")
            return None
        self._complain(None)
        return found

    def _read(self) -> frozenset[int]:
        try:
            numbers = json.loads(self._path.read_text())["groups"]
        except FileNotFoundError:
            return frozenset()
        if not isinstance(numbers, list) or not all(type(number) is int for number in numbers):
            msg = 'expected is {"groups": [numbers]}'
            raise ValueError(msg)
        return frozenset(numbers)

    def _complain(self, error: str | None) -> None:
        if error != self._error:
            if error:
                log.error("no group is taken over: what is being merged can't be read (%s); look at mailboxes", error)
            else:
                log.info("what is being merged can be read again")
        self._error = error
