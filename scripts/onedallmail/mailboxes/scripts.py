"""Which Sieve scripts home and standby had in common: one that the home has no longer was removed by its user.

Dovecot's synchronisation keeps no account of removed scripts, and would bring them back from the standby.
"""

import json
import sqlite3
import threading
from collections.abc import Collection
from pathlib import Path

NAME = "scripts.sqlite"
SCHEMA = """
CREATE TABLE IF NOT EXISTS scripts (user TEXT PRIMARY KEY, epoch INTEGER NOT NULL, names TEXT NOT NULL) WITHOUT ROWID;
"""


class Scripts:
    """A table on disk. Without it a removed script comes back: no harm to mail, so nothing is flushed."""

    def __init__(self, directory: Path) -> None:
        """Open or make the table; raises sqlite3.Error."""
        self._lock = threading.Lock()
        self._db = sqlite3.connect(directory / NAME, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=OFF")
        self._db.executescript(SCHEMA)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def removed(self, user: str, epoch: int, names: Collection[str]) -> frozenset[str]:
        """Return what both had in this epoch and the home, with these names now, has no longer."""
        return self._known(user, epoch) - frozenset(names)

    def note(self, user: str, epoch: int, names: Collection[str]) -> None:
        """Remember what both have after a synchronisation."""
        if frozenset(names) != self._known(user, epoch):
            with self._lock:
                row = (user, epoch, json.dumps(sorted(names)))
                self._db.execute("INSERT OR REPLACE INTO scripts (user, epoch, names) VALUES (?, ?, ?)", row)

    def _known(self, user: str, epoch: int) -> frozenset[str]:
        with self._lock:
            query = "SELECT names FROM scripts WHERE user = ? AND epoch = ?"
            row = self._db.execute(query, (user, epoch)).fetchone()
        return frozenset(json.loads(row[0])) if row else frozenset()
