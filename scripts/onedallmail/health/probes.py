"""Measures one server: its replica, lease, queue, disks, clock, certificates, services, copies and synchronisation.

A probe that fails leaves its fact empty and its reason in words; the others go on.
"""

import ctypes
import json
import os
import subprocess
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
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
    placement = (
        of(Check.LEASE, lambda: status(STATE / "placement" / "status.json", now)) if settings.mail else None
    ) or {}
    return Facts(
        reasons=reasons,
        directory_ready=of(Check.DIRECTORY, directory_ready),
        disk_free=of(Check.DISK, lambda: disk_free(settings.file_systems)),
        clock_error_s=of(Check.CLOCK, clock_error_s),
        certificate_days=of(Check.CERTIFICATE, lambda: certificate_days(settings.certificates, now)),
        services_down=of(Check.SERVICES, lambda: services_down(settings.units, SLICE)),
        oldest_copy_s=of(Check.COPIES, lambda: float(copies["oldest_s"])) if copies else None,
        copies_alarm="; ".join(map(str, copies.get("alarms", {}).values())) or None,
        lease_held=bool(placement["lease"]) if "lease" in placement else None,
        failovers=tuple(placement.get("failovers", ())),
        queued=of(Check.QUEUE, queued) if settings.mail else None,
        lag_s=of(Check.SYNCHRONISATION, lambda: lag_s(now)) if settings.mail else None,
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


def queued() -> int:
    """Return how many messages are in Postfix's queue."""
    done = subprocess.run(["/usr/sbin/postqueue", "-j"], capture_output=True, timeout=TIMEOUT_S, check=False)
    if done.returncode != 0:
        msg = f"postqueue failed: {done.stderr.decode(errors='replace').strip()}"
        raise ProbeError(msg)
    return done.stdout.count(b"\n")


def lag_s(now: datetime) -> float:
    """Return by how much the worst mailbox's standby is behind, or was in the last minute."""
    found = status(STATE / "mailboxes" / "status.json", now)
    return max(float(found["lag_recent_s"]["worst"]), float(found["oldest_dirty_s"]))


def status(path: Path, now: datetime) -> dict[str, Any]:
    """Return what a service says of itself; raises ProbeError when that is old."""
    found: dict[str, Any] = json.loads(path.read_text())
    age_s = now.timestamp() - path.stat().st_mtime
    if age_s > STALE_S:
        msg = f"{path} was last written {age_s:.0f} s ago, at {datetime.fromtimestamp(path.stat().st_mtime, UTC):%F %T}"
        raise ProbeError(msg)
    return found
