"""CPU time of the lab's nodes, by their control groups: a figure that other work on the machine hardly changes."""

import time
from pathlib import Path

from onedallmail.lab import naming, nodes
from onedallmail.paths import lab_id

IDLE_S = 5.0


def used_s() -> float:
    """Return the CPU seconds that all nodes of this lab together have used so far."""
    places = (Path("/sys/fs/cgroup"), nodes.RUN_DIR / "cgroup")
    place = next(path for path in places if (path / "cgroup.controllers").exists())
    files = place.glob(f"{naming.prefix(lab_id())}*/cpu.stat")
    return sum(int(file.read_text().split()[1]) for file in files) / 1e6


class Meter:
    """Measures what a piece of work costs beyond what the nodes use anyway."""

    def __init__(self) -> None:
        """Look for a moment how much the nodes use when nothing is asked of them."""
        begun = used_s()
        time.sleep(IDLE_S)
        self.idle = (used_s() - begun) / IDLE_S
        """CPU seconds a second."""
        self._used, self._at = used_s(), time.monotonic()

    def spent_s(self) -> float:
        """Return the CPU seconds since the beginning beyond those of idleness."""
        return used_s() - self._used - self.idle * (time.monotonic() - self._at)
