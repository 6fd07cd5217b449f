"""Processes known by pid and start time, so that a pid used again is never taken for the one that was recorded."""

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_START_FIELD = 19
"""Position of starttime in /proc/<pid>/stat after the command's closing bracket (proc_pid_stat(5), field 22)."""


@dataclass(frozen=True)
class Process:
    """One process of this boot of the machine; `start` is its start time in clock ticks."""

    pid: int
    start: int

    @classmethod
    def of(cls, pid: int) -> "Process | None":
        """Return the process that has this pid now, or None."""
        start = _start(pid)
        return cls(pid, start) if start is not None else None

    @property
    def alive(self) -> bool:
        """Whether it still runs (a zombie does not)."""
        return _start(self.pid) == self.start

    def send(self, number: signal.Signals | int) -> None:
        """Send a signal if it still runs."""
        if self.alive:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def wait(self, timeout_s: float) -> bool:
        """Return whether it ended within the time."""
        end = time.monotonic() + timeout_s
        while self.alive:
            if time.monotonic() > end:
                return False
            time.sleep(0.05)
        return True


def _start(pid: int) -> int | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else int(fields[_START_FIELD])


def children(pid: int) -> list[int]:
    """Return the pids of a process's children."""
    found: list[int] = []
    with suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += [int(word) for word in (task / "children").read_text().split()]
    return found
