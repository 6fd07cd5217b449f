"""What the service tells of itself: status.json for people and tests, metrics.prom for monitoring."""

import json
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

KEPT = 1000
RECENT_S = 60.0
STATUS = "status.json"
METRICS = "metrics.prom"
MODE = 0o644


@dataclass(slots=True)
class Counters:
    """What happened since the start of the service."""

    syncs: int = 0
    retries: int = 0
    refreshed: int = 0
    """Mailboxes that were taken for changed without an event."""
    walked: int = 0
    repaired: int = 0
    healed_records: int = 0
    kicked: int = 0
    unequal: dict[str, list[str]] = field(default_factory=dict)
    """User -> parts that differ although they were synchronised."""
    lags: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT))
    """Seconds from the first change to its synchronisation, the last KEPT ones."""
    recent: deque[tuple[float, float]] = field(default_factory=deque)
    """Those of the last RECENT_S: time of the synchronisation, seconds."""

    def synchronised(self, first: float, now: float) -> None:
        """Count a synchronisation that ended now, of changes since a time."""
        self.syncs += 1
        self.lags.append(now - first)
        self.recent.append((now, now - first))
        self.forget(now)

    def forget(self, now: float) -> None:
        """Let go of what is not recent any more."""
        while self.recent and self.recent[0][0] < now - RECENT_S:
            self.recent.popleft()


def quantile(values: list[float], share: float) -> float:
    """Return the value below which that share of the values lies; 0 without values."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def quantiles(values: list[float]) -> dict[str, float]:
    """Return worst, median and 95th percentile, to the millisecond; zeros without values."""
    found = {"worst": max(values, default=0.0), "median": quantile(values, 0.5), "p95": quantile(values, 0.95)}
    return {name: round(value, 3) for name, value in found.items()}


def status(counters: Counters, now: Mapping[str, Any]) -> dict[str, Any]:
    """Return the status document: counters, lag in seconds, and what is true now."""
    counters.forget(time.time())
    recent = [lag for _, lag in counters.recent]
    return {
        **now,
        "lag_s": quantiles(list(counters.lags)),
        "lag_recent_s": {**quantiles(recent), "syncs": len(recent), "seconds": RECENT_S},
        "syncs": counters.syncs,
        "retries": counters.retries,
        "marked_without_event": counters.refreshed,
        "walked": counters.walked,
        "repaired": counters.repaired,
        "healed_records": counters.healed_records,
        "kicked": counters.kicked,
        "unequal": counters.unequal,
    }


METRIC_TEXTS = {
    "lag_worst_seconds": ("gauge", "Longest time from a change to its synchronisation among the last ones."),
    "lag_median_seconds": ("gauge", "Median of the same."),
    "lag_p95_seconds": ("gauge", "95th percentile of the same."),
    "dirty": ("gauge", "Mailboxes with changes that the standby does not have yet."),
    "oldest_dirty_seconds": ("gauge", "Age of the oldest such change."),
    "groups_home": ("gauge", "Groups that have their home here."),
    "groups_ready": ("gauge", "Groups among them whose standby is declared ready for every user."),
    "syncs_total": ("counter", "Synchronisations that succeeded."),
    "retries_total": ("counter", "Synchronisations that have to be tried again."),
    "walked_total": ("counter", "Mailboxes compared with their standby."),
    "repaired_total": ("counter", "Mailboxes that differed and were repaired."),
    "unequal": ("gauge", "Mailboxes that differ although they were synchronised."),
    "healed_records_total": ("counter", "Deliveries that Dovecot's ledger had lost."),
    "dropped_total": ("counter", "Messages removed because a replay had brought them as well."),
    "kicked_total": ("counter", "Sessions ended because the mailbox moved away."),
    "broken_events_total": ("counter", "Events of Dovecot that could not be read."),
}


def metrics(document: Mapping[str, Any]) -> str:
    """Return the status document in Prometheus' text format."""
    values = {
        **{f"lag_{name}_seconds": value for name, value in document["lag_s"].items()},
        "dirty": document["dirty"],
        "oldest_dirty_seconds": document["oldest_dirty_s"],
        "groups_home": document["groups_home"],
        "groups_ready": document["groups_ready"],
        "unequal": len(document["unequal"]),
        **{f"{n}_total": document[n] for n in ("syncs", "retries", "walked", "repaired", "healed_records", "kicked")},
        "dropped_total": document["dropped"],
        "broken_events_total": document["broken_events"],
    }
    lines = []
    for name, (kind, text) in METRIC_TEXTS.items():
        full = f"onedallmail_mailboxes_{name}"
        lines += [f"# HELP {full} {text}", f"# TYPE {full} {kind}", f"{full} {values[name]}"]
    return "\n".join(lines) + "\n"


def write(directory: Path, document: Mapping[str, Any]) -> None:
    """Replace both files; raises OSError."""
    for name, text in ((STATUS, json.dumps(document, indent=1) + "\n"), (METRICS, metrics(document))):
        new = directory / f"{name}.new"
        new.write_text(text)
        new.chmod(MODE)
        new.replace(directory / name)
