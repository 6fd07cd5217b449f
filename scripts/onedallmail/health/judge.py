"""From what was measured to findings: which check failed, how badly, and in words. Pure.

A failed check closes the server's public ports only when the server could not do that port's work anyway: balancers,
name service and clients then turn to another server.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Check(StrEnum):
    """What is looked at."""

    DIRECTORY = "directory"
    LEASE = "lease"
    QUEUE = "queue"
    DISK = "disk"
    CLOCK = "clock"
    CERTIFICATE = "certificate"
    SERVICES = "services"
    COPIES = "copies"
    SYNCHRONISATION = "synchronisation"


class Level(StrEnum):
    """How badly a check failed."""

    OK = "ok"
    WARNING = "warning"
    CRITICAL = "critical"
    UNKNOWN = "unknown"
    """It could not be looked at, which is never well."""


CLOSES_ALL = frozenset({Check.DIRECTORY, Check.DISK, Check.CLOCK, Check.CERTIFICATE})
CLOSES_CLIENTS = frozenset({Check.LEASE})
"""Without a lease a server can't know where mailboxes live; it still accepts mail: copies are made elsewhere."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds between ok, warning and critical."""

    disk_free_warning: float = 0.15
    disk_free_critical: float = 0.04
    clock_error_warning_s: float = 0.5
    clock_error_critical_s: float = 30.0
    certificate_warning_days: float = 14.0
    queue_warning: int = 500
    oldest_copy_warning_s: float = 900.0
    lag_warning_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Facts:
    """What was measured; None where it could not be, with the reason in `reasons` by check."""

    reasons: dict[Check, str]
    directory_ready: bool | None = None
    lease_held: bool | None = None
    fence_open: bool | None = None
    """Whether the kernel lets anybody to this server's mailboxes."""
    queued: int | None = None
    oldest_queued_s: float | None = None
    disk_free: dict[str, float] | None = None
    """Part of the space that is free, by file system's path."""
    clock_error_s: float | None = None
    certificate_days: dict[str, float] | None = None
    """Days of life that are left, by file."""
    services_down: tuple[str, ...] | None = None
    copies_waiting: int | None = None
    oldest_copy_s: float | None = None
    copies_alarm: str | None = None
    lag_s: float | None = None
    """Age of the oldest change of a mailbox that its standby does not have yet."""
    groups_not_ready: int | None = None
    """Groups at home here whose standby is not declared ready for every user."""
    failovers: tuple[dict[str, object], ...] = ()
    """The last take-overs by this server, as the placement agent tells them."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one check."""

    check: Check
    level: Level
    text: str


def findings(facts: Facts, limits: Limits, *, mail: bool, own_clock: bool = True) -> list[Finding]:
    """Return the outcome of every check that a server of this kind has.

    A witness holds no lease and no mailboxes; a container's clock is the machine's below it.
    """
    judged = [_directory(facts), _disk(facts, limits), _certificate(facts, limits), _services(facts)]
    judged.append(_copies(facts, limits))
    if own_clock:
        judged.append(_clock(facts, limits))
    if mail:
        judged += [_lease(facts), _queue(facts, limits), _synchronisation(facts, limits)]
    return judged


def closed_ports(found: Sequence[Finding], mail_ports: Sequence[int], client_ports: Sequence[int]) -> frozenset[int]:
    """Return the public ports that this server had better close."""
    critical = {f.check for f in found if f.level is Level.CRITICAL}
    if critical & CLOSES_ALL:
        return frozenset((*mail_ports, *client_ports))
    return frozenset(client_ports) if critical & CLOSES_CLIENTS else frozenset()


def worst(found: Sequence[Finding]) -> Level:
    """Return the worst level; unknown stands between warning and critical."""
    order = (Level.OK, Level.WARNING, Level.UNKNOWN, Level.CRITICAL)
    return max((f.level for f in found), key=order.index, default=Level.UNKNOWN)


def _unknown(check: Check, facts: Facts) -> Finding:
    return Finding(check, Level.UNKNOWN, facts.reasons.get(check, "not measured"))


def _directory(facts: Facts) -> Finding:
    if facts.directory_ready is None:
        return _unknown(Check.DIRECTORY, facts)
    if not facts.directory_ready:
        return Finding(Check.DIRECTORY, Level.CRITICAL, "this server's replica takes no connections")
    return Finding(Check.DIRECTORY, Level.OK, "the local replica answers")


def _disk(facts: Facts, limits: Limits) -> Finding:
    if not facts.disk_free:
        return _unknown(Check.DISK, facts)
    path, free = min(facts.disk_free.items(), key=lambda item: item[1])
    text = f"{free:.0%} of {path} is free"
    if free < limits.disk_free_critical:
        return Finding(Check.DISK, Level.CRITICAL, text)
    return Finding(Check.DISK, Level.WARNING if free < limits.disk_free_warning else Level.OK, text)


def _clock(facts: Facts, limits: Limits) -> Finding:
    if facts.clock_error_s is None:
        return _unknown(Check.CLOCK, facts)
    text = f"at most {facts.clock_error_s:.3f} s off"
    if facts.clock_error_s > limits.clock_error_critical_s:
        return Finding(Check.CLOCK, Level.CRITICAL, text)
    return Finding(Check.CLOCK, Level.WARNING if facts.clock_error_s > limits.clock_error_warning_s else Level.OK, text)


def _certificate(facts: Facts, limits: Limits) -> Finding:
    if not facts.certificate_days:
        return _unknown(Check.CERTIFICATE, facts)
    path, days = min(facts.certificate_days.items(), key=lambda item: item[1])
    if days <= 0:
        return Finding(Check.CERTIFICATE, Level.CRITICAL, f"{path} expired {-days:.1f} days ago")
    level = Level.WARNING if days < limits.certificate_warning_days else Level.OK
    return Finding(Check.CERTIFICATE, level, f"{path} is valid for {days:.0f} days")


def _services(facts: Facts) -> Finding:
    if facts.services_down is None:
        return _unknown(Check.SERVICES, facts)
    if facts.services_down:
        return Finding(Check.SERVICES, Level.CRITICAL, f"not running: {', '.join(facts.services_down)}")
    return Finding(Check.SERVICES, Level.OK, "all services run")


def _copies(facts: Facts, limits: Limits) -> Finding:
    if facts.oldest_copy_s is None:
        return _unknown(Check.COPIES, facts)
    if facts.copies_alarm:
        return Finding(Check.COPIES, Level.WARNING, facts.copies_alarm)
    text = f"the oldest waiting copy is {facts.oldest_copy_s:.0f} s old"
    late = facts.oldest_copy_s > limits.oldest_copy_warning_s
    return Finding(Check.COPIES, Level.WARNING if late else Level.OK, text)


def _lease(facts: Facts) -> Finding:
    if facts.lease_held is None:
        return _unknown(Check.LEASE, facts)
    if not facts.lease_held:
        text = "no lease: mailboxes of this server are closed and move to their standbys"
        return Finding(Check.LEASE, Level.CRITICAL, text)
    return Finding(Check.LEASE, Level.OK, "the lease is held")


def _queue(facts: Facts, limits: Limits) -> Finding:
    if facts.queued is None:
        return _unknown(Check.QUEUE, facts)
    level = Level.WARNING if facts.queued > limits.queue_warning else Level.OK
    return Finding(Check.QUEUE, level, f"{facts.queued} messages wait")


def _synchronisation(facts: Facts, limits: Limits) -> Finding:
    if facts.lag_s is None:
        return _unknown(Check.SYNCHRONISATION, facts)
    level = Level.WARNING if facts.lag_s > limits.lag_warning_s else Level.OK
    return Finding(Check.SYNCHRONISATION, level, f"the standby is at most {facts.lag_s:.1f} s behind")
