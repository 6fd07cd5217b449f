"""What makes each alert fire, and what is nearly so and must not: values of the series that the status page exposes.

Values are in promtool's notation, one every 30 s: `5+0x240` stays, `600+10x240` grows, `stale` ends a series.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

A1 = 'server="a1",region="eu-central-1"'
STEPS = 240
Changes = Mapping[str, str | None]
"""Series (as the page writes it) to its values, None for a series that is gone; `*` stands for all."""


def steady(value: float) -> str:
    """Return two hours of one value."""
    return f"{value!r}+0x{STEPS}"


@dataclass(frozen=True)
class Case:
    """One rule: what makes it fire after a time (minutes), its labels then, and what must leave it silent."""

    alert: str
    severity: str
    fires: Changes
    after: float
    near: tuple[Changes, ...]
    labels: Mapping[str, str] = field(default_factory=lambda: {"server": "a1", "region": "eu-central-1"})

    def __str__(self) -> str:
        """Return the name for test ids."""
        return f"{self.alert}-{self.severity}"


def _level(rule: tuple[str, str], series: str, bad: float, well: float, after: float, **labels: str) -> Case:
    """Return a case of a figure of a1 that is beyond a bound, or just not."""
    more = "".join(f',{label}="{value}"' for label, value in labels.items())
    name = f"onedallmail_{series}{{{A1}{more}}}"
    own = {"server": "a1", "region": "eu-central-1", **labels}
    return Case(*rule, {name: steady(bad)}, after, ({name: steady(well)},), own)


DAY_S = 86400
LEASE, FENCE = f"onedallmail_lease_held{{{A1}}}", f"onedallmail_fence_open{{{A1}}}"
QUEUE = f"onedallmail_queue_messages{{{A1}}}"
DISK = f'onedallmail_disk_free_ratio{{{A1},path="/var/vmail"}}'
FAILOVER = f"onedallmail_last_failover_timestamp_seconds{{{A1}}}"

CASES = (
    Case("WitnessSilent", "critical", {"*": None}, 3, ({"onedallmail_quorum": f"1 stale _x3 {steady(1)}"},), {}),
    Case(
        "QuorumLost",
        "critical",
        {"*": None, "onedallmail_quorum": steady(0)},
        1,
        ({"onedallmail_quorum": f"0 {steady(1)}"},),
        {},
    ),
    Case(
        "GroupsWithoutHome",
        "critical",
        {"onedallmail_groups_without_home": steady(4)},
        1,
        ({"onedallmail_groups_without_home": f"4 4 {steady(0)}"},),
        {},
    ),
    Case(
        "GroupsWithoutStandby",
        "warning",
        {"onedallmail_groups_without_standby": steady(4)},
        10,
        ({"onedallmail_groups_without_standby": f"4+0x18 {steady(0)}"},),
        {},
    ),
    Case("FailoverHappened", "info", {FAILOVER: steady(60)}, 0, ({FAILOVER: steady(-900)},)),
    Case("ServerHasNoLease", "critical", {LEASE: steady(0)}, 1, ({LEASE: f"0 0 {steady(1)}"},)),
    _level(("ServerSilent", "warning"), "server_silent", 1, 0, 3),
    _level(("CheckCritical", "critical"), "check_level", 3, 1, 2, check="services"),
    _level(("CheckUnknown", "warning"), "check_level", 2, 1, 10, check="disk"),
    Case("FenceClosed", "critical", {FENCE: steady(0)}, 2, ({FENCE: steady(0), LEASE: steady(0)}, {LEASE: steady(0)})),
    Case(
        "StandbyNotReady",
        "warning",
        {f"onedallmail_groups_not_ready{{{A1}}}": steady(2)},
        15,
        ({f"onedallmail_groups_not_ready{{{A1}}}": f"16+0x28 {steady(0)}"},),
    ),
    _level(("SyncLagHigh", "warning"), "sync_lag_seconds", 301, 300, 1),
    _level(("SyncLagHigh", "warning"), "sync_lag_seconds", 900, 901, 1),
    _level(("SyncLagHigh", "critical"), "sync_lag_seconds", 901, 900, 1),
    _level(("CopiesWaiting", "warning"), "oldest_copy_seconds", 901, 900, 5),
    Case(
        "QueueGrowing",
        "warning",
        {QUEUE: f"600+10x{STEPS}"},
        10.5,
        ({QUEUE: steady(9000)}, {QUEUE: "9000-30x240"}, {QUEUE: "20+2x240"}),
    ),
    _level(
        ("CertificateExpires", "warning"),
        "certificate_remaining_seconds",
        14 * DAY_S - 1,
        14 * DAY_S,
        10,
        file="server.crt",
    ),
    _level(
        ("CertificateExpires", "critical"),
        "certificate_remaining_seconds",
        3 * DAY_S - 1,
        3 * DAY_S,
        1,
        file="server.crt",
    ),
    _level(("DiskFills", "warning"), "disk_free_ratio", 0.149, 0.15, 15, path="/var/vmail"),
    Case(
        "DiskFills",
        "warning",
        {DISK: f"0.49-0.0005x{STEPS}"},
        15.5,
        ({DISK: f"0.49-0.0001x{STEPS}"}, {DISK: f"0.95-0.0005x{STEPS}"}),
        {"server": "a1", "region": "eu-central-1", "path": "/var/vmail"},
    ),
    _level(("DiskFills", "critical"), "disk_free_ratio", 0.079, 0.08, 2, path="/var/vmail"),
    _level(("ClockOff", "warning"), "clock_error_seconds", 0.51, 0.5, 10),
    _level(("ClockOff", "critical"), "clock_error_seconds", 10.1, 10, 1),
)
