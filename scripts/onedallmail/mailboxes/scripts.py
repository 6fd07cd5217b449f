"""Which Sieve scripts a user has removed: Dovecot's synchronisation would bring them back from the standby.

Known by events (a synchronisation under way may bring one back at once), and by what home and standby had in common.
"""

import json
import sqlite3
import threading
from collections.abc import Collection, Mapping
from pathlib import Path

NAME = "scripts.sqlite"
JOINING_NAME = "joining-scripts.sqlite"
SCHEMA = """
CREATE TABLE IF NOT EXISTS scripts (user TEXT PRIMARY KEY, epoch INTEGER NOT NULL, names TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS removed (
  user TEXT NOT NULL, name TEXT NOT NULL, epoch INTEGER NOT NULL, at REAL NOT NULL, PRIMARY KEY (user, name)
) WITHOUT ROWID;
"""


class Scripts:
    """A table on disk. Without it a removed script comes back: no harm to mail, so nothing is flushed."""

    def __init__(self, directory: Path, name: str = NAME) -> None:
        """Open or make the table; raises sqlite3.Error."""
        self._lock = threading.Lock()
        self._db = sqlite3.connect(directory / name, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=OFF")
        self._db.executescript(SCHEMA)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def removal(self, user: str, epoch: int, name: str, at: float) -> None:
        """Take note of an event: the user removed a script."""
        with self._lock:
            row = (user, name, epoch, at)
            self._db.execute("INSERT OR REPLACE INTO removed (user, name, epoch, at) VALUES (?, ?, ?, ?)", row)

    def saved(self, user: str, name: str) -> None:
        """Take note of an event: the user saved a script."""
        with self._lock:
            self._db.execute("DELETE FROM removed WHERE user = ? AND name = ?", (user, name))

    def removals(self, user: str, epoch: int) -> dict[str, float]:
        """Return which scripts were removed in this epoch as home, and when; earlier ones are forgotten."""
        with self._lock:
            self._db.execute("DELETE FROM removed WHERE user = ? AND epoch <> ?", (user, epoch))
            return dict(self._db.execute("SELECT name, at FROM removed WHERE user = ?", (user,)))

    def settled(self, user: str, removals: Mapping[str, float]) -> None:
        """Forget removals that are synchronised, unless the script was removed once more."""
        with self._lock:
            rows = [(user, name, at) for name, at in removals.items()]
            self._db.executemany("DELETE FROM removed WHERE user = ? AND name = ? AND at = ?", rows)

    def missing(self, user: str, epoch: int, names: Collection[str]) -> frozenset[str]:
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
