"""What is known of the platform in Prometheus' text format 0.0.4: every metric, declared once. Pure.

Names follow Prometheus' rules: base units, and the unit at the end. What was not measured has no sample: an alert asks
for `onedallmail_check_level`, which says that it is not known.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from onedallmail.health.judge import Level
from onedallmail.health.overview import Overview, ServerView

Labels = tuple[tuple[str, str], ...]
Sample = tuple[Labels, float]
DAY_S = 86400.0
LEVELS = (Level.OK, Level.WARNING, Level.UNKNOWN, Level.CRITICAL)
"""From well to bad, as numbers of `onedallmail_check_level`."""
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of the platform: its name, what it says, and its value; all of them are gauges."""

    name: str
    text: str
    value: Callable[[Overview], float]


@dataclass(frozen=True, slots=True)
class ServerMetric:
    """One metric of each server. `shared` ones come from etcd; the others a server can tell of itself."""

    name: str
    text: str
    samples: Callable[[ServerView], Iterator[Sample]]
    shared: bool = False


def _one(value: Callable[[ServerView], float | None]) -> Callable[[ServerView], Iterator[Sample]]:
    def samples(server: ServerView) -> Iterator[Sample]:
        if (found := value(server)) is not None:
            yield (), found

    return samples


def _each(
    label: str, values: Callable[[ServerView], Mapping[str, float]], factor: float = 1.0
) -> Callable[[ServerView], Iterator[Sample]]:
    def samples(server: ServerView) -> Iterator[Sample]:
        for name, value in sorted(values(server).items()):
            yield ((label, name),), value * factor

    return samples


def _checks(server: ServerView) -> Iterator[Sample]:
    for check, level in sorted(server.checks.items()):
        yield (("check", check),), LEVELS.index(Level(level))


def _failover(what: Callable[[Mapping[str, object]], float | None]) -> Callable[[ServerView], Iterator[Sample]]:
    def samples(server: ServerView) -> Iterator[Sample]:
        if server.last_failover and (value := what(server.last_failover)) is not None:
            yield (), value

    return samples


def _moment(record: Mapping[str, object]) -> float:
    return datetime.fromisoformat(str(record["at"])).timestamp()


def _number(name: str) -> Callable[[Mapping[str, object]], float | None]:
    def value(record: Mapping[str, object]) -> float | None:
        found = record[name]
        return float(found) if isinstance(found, int | float) else None

    return value


QUORUM = ("onedallmail_quorum", "Whether a majority of etcd's voters answers the witness (1) or not (0).")

PLATFORM = (
    Metric("onedallmail_groups", "Placement groups in the map.", lambda v: v.groups),
    Metric("onedallmail_groups_without_home", "Groups whose home holds no lease.", lambda v: v.without_home),
    Metric("onedallmail_groups_without_standby", "Groups whose standby holds no lease.", lambda v: v.without_standby),
)

SERVERS = (
    ServerMetric(
        "onedallmail_lease_held",
        "Whether the server's lease stands in etcd; a witness has none.",
        _one(lambda s: None if s.alive is None else float(s.alive)),
        shared=True,
    ),
    ServerMetric("onedallmail_home_groups", "Groups whose home it is.", _one(lambda s: s.homes), shared=True),
    ServerMetric("onedallmail_standby_groups", "Groups whose standby it is.", _one(lambda s: s.standbys), shared=True),
    ServerMetric(
        "onedallmail_server_silent",
        "Whether the server told nothing of itself for a minute.",
        _one(lambda s: float(s.level == "silent")),
        shared=True,
    ),
    ServerMetric(
        "onedallmail_server_healthy",
        "Whether no check of it is critical or unknown.",
        _one(lambda s: float(s.level in (Level.OK, Level.WARNING))),
    ),
    ServerMetric("onedallmail_check_level", "Outcome of a check: 0 ok, 1 warning, 2 not known, 3 critical.", _checks),
    ServerMetric(
        "onedallmail_fence_open",
        "Whether the kernel lets anybody to its mailboxes.",
        _one(lambda s: None if s.fence_open is None else float(s.fence_open)),
    ),
    ServerMetric(
        "onedallmail_groups_not_ready",
        "Groups at home on it whose standby is not declared ready for every user.",
        _one(lambda s: s.groups_not_ready),
    ),
    ServerMetric(
        "onedallmail_sync_lag_seconds",
        "Age of the oldest change of a mailbox that its standby does not have yet.",
        _one(lambda s: s.lag_s),
    ),
    ServerMetric("onedallmail_copies_waiting", "Sealed copies in its store.", _one(lambda s: s.copies_waiting)),
    ServerMetric("onedallmail_oldest_copy_seconds", "Age of the oldest of them.", _one(lambda s: s.oldest_copy_s)),
    ServerMetric("onedallmail_queue_messages", "Messages in Postfix's queue.", _one(lambda s: s.queued)),
    ServerMetric("onedallmail_queue_oldest_seconds", "Age of the oldest of them.", _one(lambda s: s.oldest_queued_s)),
    ServerMetric(
        "onedallmail_closed_ports",
        "Public ports that it closed, because it can't do their work.",
        _one(lambda s: len(s.closed_ports) if s.level != "silent" else None),
    ),
    ServerMetric(
        "onedallmail_certificate_remaining_seconds",
        "Time that a certificate is still valid; negative when it has expired.",
        _each("file", lambda s: s.certificate_days, DAY_S),
    ),
    ServerMetric(
        "onedallmail_disk_free_ratio",
        "Free part of a file system, of its space or its inodes the lesser.",
        _each("path", lambda s: s.disk_free),
    ),
    ServerMetric(
        "onedallmail_clock_error_seconds",
        "The most that the clock may be off, as the kernel reckons.",
        _one(lambda s: s.clock_error_s),
    ),
    ServerMetric(
        "onedallmail_last_failover_timestamp_seconds",
        "When the server last began to take over groups.",
        _failover(_moment),
    ),
    ServerMetric(
        "onedallmail_last_failover_duration_seconds",
        "How long that took until all were served; absent while it is under way.",
        _failover(_number("seconds")),
    ),
    ServerMetric("onedallmail_last_failover_groups", "How many groups it took over.", _failover(_number("groups"))),
)

NAMES = frozenset({QUORUM[0], *(m.name for m in PLATFORM), *(m.name for m in SERVERS)})
"""Every metric that the status page may expose."""


def metrics(view: Overview) -> str:
    """Return everything that the overview says; it came from etcd, so there is a quorum."""
    lines = _family(*QUORUM, [((), 1.0)])
    for metric in PLATFORM:
        lines += _family(metric.name, metric.text, [((), metric.value(view))])
    return "\n".join([*lines, *_servers(SERVERS, view.servers)]) + "\n"


def without_quorum() -> str:
    """Return what can be said when etcd gives no answer."""
    return "\n".join(_family(*QUORUM, [((), 0.0)])) + "\n"


def own_metrics(server: ServerView) -> str:
    """Return what a server tells of itself, without what etcd knows of it."""
    return "\n".join(_servers([m for m in SERVERS if not m.shared], [server])) + "\n"


def _servers(wanted: Sequence[ServerMetric], servers: Sequence[ServerView]) -> Iterator[str]:
    for metric in wanted:
        samples = [
            ((("server", s.name), ("region", s.region), *labels), value)
            for s in servers
            for labels, value in metric.samples(s)
        ]
        yield from _family(metric.name, metric.text, samples)


def _family(name: str, text: str, samples: Sequence[Sample]) -> list[str]:
    head = [f"# HELP {name} {_help(text)}", f"# TYPE {name} gauge"]
    return [*head, *(f"{name}{_labels(labels)} {_figure(value)}" for labels, value in samples)]


def _labels(labels: Labels) -> str:
    return "{" + ",".join(f'{name}="{_quoted(value)}"' for name, value in labels) + "}" if labels else ""


def _quoted(value: str) -> str:
    """Return a label's value as both text formats want it: backslash, quote and line feed are escaped."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _help(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _figure(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))
