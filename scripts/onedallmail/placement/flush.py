"""Asks Postfix to try waiting mail again. The service may not do so itself: a path unit watches a file of its own."""

from collections.abc import Callable
from pathlib import Path

from onedallmail.placement import files
from onedallmail.placement.clock import iso_now, moment

AFTER_S = (0.0, 1.5, 6.0, 20.0)
"""After a move. Dovecot looks at its files once a second, and another new home may need some time to be ready."""


class Flusher:
    """Writes the file at the times that are due."""

    def __init__(self, directory: Path, clock: Callable[[], float] = moment) -> None:
        """Begin with nothing due."""
        self._file = directory / files.FLUSH
        self._clock = clock
        self._due: list[float] = []

    def schedule(self) -> None:
        """Groups have moved: mail that waits for them should be tried again, now and a few times later."""
        now = self._clock()
        self._due = [now + after_s for after_s in AFTER_S]

    def turn(self) -> float | None:
        """Write the file if it is time; return the seconds to the next time, None when nothing is due."""
        now = self._clock()
        if any(at <= now for at in self._due):
            self._file.write_text(iso_now() + "\n")
            self._file.chmod(files.MODE)
            self._due = [at for at in self._due if at > now]
        return max(0.0, min(self._due) - now) if self._due else None
