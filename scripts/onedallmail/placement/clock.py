"""The clock that leases and the fence are reckoned by: it also counts the time in which the machine was suspended."""

import time
from datetime import UTC, datetime


def moment() -> float:
    """Return seconds since boot (CLOCK_BOOTTIME); only differences mean something."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def iso_now() -> str:
    """Return the time of day in UTC, to the second, for people and files."""
    return datetime.now(UTC).isoformat(timespec="seconds")
