"""Measures one server: its replica, lease, queue, disks, clock, certificates, services, copies and synchronisation.

A probe that fails leaves its fact empty and its reason in words; the others go on.
"""

import ctypes
import json
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from cryptography import x509

from onedallmail.health.judge import Check, Facts
from onedallmail.health.settings import Settings

T = TypeVar("T")
STATE = Path("/var/lib/onedallmail")
SLICE = Path("/sys/fs/cgroup/system.slice")
STALE_S = 60
"""A status that is older says nothing about now."""
PG_ISREADY = "/usr/lib/postgresql/17/bin/pg_isready"
TIMEOUT_S = 5
STA_UNSYNC = 0x40


class ProbeError(Exception):
    """A fact could not be had, and why."""


def measure(settings: Settings, now: datetime) -> Facts:
    """Return everything that could be measured."""
    reasons: dict[Check, str] = {}

    def of(check: Check, probe: Callable[[], T]) -> T | None:
        try:
            return probe()
        except (ProbeError, OSError, ValueError, KeyError, TypeError, subprocess.TimeoutExpired) as error:
            reasons[check] = str(error) or type(error).__name__
            return None

    copies = of(Check.COPIES, lambda: status(STATE / "copies" / "status.json", now)) or {}
    placement, mailboxes = (
        (of(check, partial(status, STATE / room / "status.json", now)) if settings.mail else None) or {}
        for check, room in ((Check.LEASE, "placement"), (Check.SYNCHRONISATION, "mailboxes"))
    )
    queue = of(Check.QUEUE, lambda: queued(now)) if settings.mail else None
    return Facts(
        reasons=reasons,
        directory_ready=of(Check.DIRECTORY, directory_ready),
        disk_free=of(Check.DISK, lambda: disk_free(settings.file_systems)),
        clock_error_s=of(Check.CLOCK, clock_error_s),
        certificate_days=of(Check.CERTIFICATE, lambda: certificate_days(settings.certificates, now)),
        services_down=of(Check.SERVICES, lambda: services_down(settings.units, SLICE)),
        copies_waiting=copies.get("waiting"),
        oldest_copy_s=of(Check.COPIES, lambda: float(copies["oldest_s"])) if copies else None,
        copies_alarm="; ".join(map(str, copies.get("alarms", {}).values())) or None,
        lease_held=bool(placement["lease"]) if "lease" in placement else None,
        fence_open=placement["fence"]["open_for_s"] > 0 if "fence" in placement else None,
        failovers=tuple(placement.get("failovers", ())),
        queued=queue.messages if queue else None,
        oldest_queued_s=queue.oldest_s if queue else None,
        lag_s=of(Check.SYNCHRONISATION, lambda: lag_s(mailboxes)) if mailboxes else None,
        groups_not_ready=len(mailboxes["groups_not_ready"]) if "groups_not_ready" in mailboxes else None,
    )


def directory_ready() -> bool:
    """Return whether the local replica takes connections."""
    done = subprocess.run(
        [PG_ISREADY, "--host=/var/run/postgresql", "--quiet", "--timeout=3"],
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    return done.returncode == 0


def disk_free(paths: Sequence[str]) -> dict[str, float]:
    """Return the free part of each file system, of its space and of its inodes the lesser."""
    found = {}
    for path in paths:
        about = os.statvfs(path)
        space = about.f_bavail / about.f_blocks if about.f_blocks else 1.0
        inodes = about.f_favail / about.f_files if about.f_files else 1.0
        found[path] = min(space, inodes)
    return found


class _Timex(ctypes.Structure):
    """The kernel's clock (adjtimex(2)): its beginning, and room for what follows."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),
    )


def clock_error_s() -> float:
    """Return the most that the kernel's clock may be off; raises ProbeError while nothing keeps it."""
    clock = _Timex()
    if ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(clock)) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    if clock.status & STA_UNSYNC:
        msg = "no time source keeps the kernel's clock, so its error is not known"
        raise ProbeError(msg)
    return float(clock.maxerror) / 1e6


def certificate_days(files: Sequence[str], now: datetime) -> dict[str, float]:
    """Return the days that each file's first certificate is still valid."""
    ends = {name: x509.load_pem_x509_certificate(Path(name).read_bytes()).not_valid_after_utc for name in files}
    return {name: (end - now).total_seconds() / 86400 for name, end in ends.items()}


def services_down(units: Sequence[str], place: Path) -> tuple[str, ...]:
    """Return the units without a process."""

    def runs(unit: str) -> bool:
        return any(file.read_text().strip() for file in (place / f"{unit}.service").rglob("cgroup.procs"))

    return tuple(unit for unit in units if not runs(unit))


@dataclass(frozen=True, slots=True)
class Queue:
    """How many messages wait, and how long the oldest has; 0 when there is none."""

    messages: int
    oldest_s: float


def queued(now: datetime) -> Queue:
    """Return what is in Postfix's queue."""
    done = subprocess.run(["/usr/sbin/postqueue", "-j"], capture_output=True, timeout=TIMEOUT_S, check=False)
    if done.returncode != 0:
        msg = f"postqueue failed: {done.stderr.decode(errors='replace').strip()}"
        raise ProbeError(msg)
    return queue_of(done.stdout.splitlines(), now)


def queue_of(lines: Sequence[bytes], now: datetime) -> Queue:
    """Return what `postqueue -j` (a JSON object a message) says of the queue."""
    arrivals = [float(json.loads(line)["arrival_time"]) for line in lines]
    return Queue(len(arrivals), max(0.0, now.timestamp() - min(arrivals)) if arrivals else 0.0)


def lag_s(mailboxes: Mapping[str, Any]) -> float:
    """Return by how much the worst mailbox's standby is behind, or was in the last minute."""
    return max(float(mailboxes["lag_recent_s"]["worst"]), float(mailboxes["oldest_dirty_s"]))


def status(path: Path, now: datetime) -> dict[str, Any]:
    """Return what a service says of itself; raises ProbeError when that is old."""
    found: dict[str, Any] = json.loads(path.read_text())
    age_s = now.timestamp() - path.stat().st_mtime
    if age_s > STALE_S:
        msg = f"{path} was last written {age_s:.0f} s ago, at {datetime.fromtimestamp(path.stat().st_mtime, UTC):%F %T}"
        raise ProbeError(msg)
    return found
