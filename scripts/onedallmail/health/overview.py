"""The platform at one glance, from what etcd holds: servers, leases, groups, lag, waiting copies, failovers. Pure."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

HEALTH = "/onedallmail/health/"
ALIVE = "/onedallmail/placement/alive/"
GROUPS = "/onedallmail/placement/groups/"
STALE_S = 60
FAILOVERS_SHOWN = 10
MEASURED = (
    "queued",
    "oldest_queued_s",
    "lag_s",
    "groups_not_ready",
    "copies_waiting",
    "oldest_copy_s",
    "fence_open",
    "clock_error_s",
)
"""Figures of a server's report that are passed on as they are."""


@dataclass(frozen=True, slots=True)
class ServerView:
    """One server as the platform sees it."""

    name: str
    region: str
    role: str
    alive: bool | None
    """Whether a mail server holds its lease; a witness has none."""
    level: str
    """As the server judges itself; `silent` when it told nothing for a minute."""
    homes: int
    standbys: int
    queued: int | None
    lag_s: float | None
    oldest_copy_s: float | None
    closed_ports: tuple[int, ...]
    problems: tuple[str, ...]
    oldest_queued_s: float | None = None
    copies_waiting: int | None = None
    fence_open: bool | None = None
    groups_not_ready: int | None = None
    clock_error_s: float | None = None
    checks: Mapping[str, str] = field(default_factory=dict)
    """Level by check."""
    disk_free: Mapping[str, float] = field(default_factory=dict)
    """Free part by file system's path."""
    certificate_days: Mapping[str, float] = field(default_factory=dict)
    """Days of life that are left, by file."""
    last_failover: Mapping[str, Any] | None = None
    """The last take-over by this server, also when it is silent now."""


@dataclass(frozen=True, slots=True)
class Overview:
    """All servers and what follows from them."""

    at: datetime
    servers: tuple[ServerView, ...]
    groups: int
    without_standby: int
    """Groups whose standby is away: their next failure is an outage until it returns, and no mail is lost."""
    without_home: int
    """Groups whose home holds no lease: being taken over, or waiting for a server to return."""
    failovers: tuple[dict[str, Any], ...]

    @property
    def problems(self) -> tuple[str, ...]:
        """Everything that somebody should look at, in words."""
        told = [f"{s.name}: {text}" for s in self.servers for text in s.problems]
        if self.without_home:
            told.insert(0, f"{self.without_home} of {self.groups} groups have no living home")
        if self.without_standby:
            told.insert(0, f"{self.without_standby} of {self.groups} groups have no living standby")
        return tuple(told)


def overview(values: Mapping[str, bytes], expected: Mapping[str, tuple[str, str]], now: datetime) -> Overview:
    """Return the overview of etcd's keys under /onedallmail/; expected has region and role of each server's name."""
    alive = {key.removeprefix(ALIVE) for key in values if key.startswith(ALIVE)}
    groups = [json.loads(value) for key, value in values.items() if key.startswith(GROUPS)]
    homes, standbys = Counter(g["home"] for g in groups), Counter(g["standby"] for g in groups)
    told = {key.removeprefix(HEALTH): json.loads(value) for key, value in values.items() if key.startswith(HEALTH)}
    servers = []
    for name, (region, role) in sorted(expected.items()):
        leased = name in alive if role == "mail" else None
        seen = server_view(name, region, role, told.get(name), now, leased=leased)
        servers.append(replace(seen, homes=homes[name], standbys=standbys[name]))
    failovers = sorted((f for name, document in told.items() for f in _failovers(name, document)), key=_moment)
    return Overview(
        at=now,
        servers=tuple(servers),
        groups=len(groups),
        without_standby=sum(g["standby"] not in alive for g in groups),
        without_home=sum(g["home"] not in alive for g in groups),
        failovers=tuple(failovers[-FAILOVERS_SHOWN:]),
    )


def server_view(
    name: str, region: str, role: str, document: Mapping[str, Any] | None, now: datetime, *, leased: bool | None
) -> ServerView:
    """Return what a server's report says, home of nothing yet; nothing of it when it is old or absent."""
    fresh = document if document and _age_s(document, now) <= STALE_S else {}
    measured: dict[str, Any] = {field_: fresh.get(field_) for field_ in MEASURED}
    by_name: dict[str, Any] = {field_: fresh.get(field_) or {} for field_ in ("disk_free", "certificate_days")}
    failovers = sorted(_failovers(name, document or {}), key=_moment)
    return ServerView(
        name=name,
        region=region,
        role=role,
        alive=leased,
        level=fresh.get("level", "silent"),
        homes=0,
        standbys=0,
        closed_ports=tuple(fresh.get("closed_ports", ())),
        problems=tuple(_problems(document, fresh, leased=leased)),
        checks={check: about["level"] for check, about in fresh.get("checks", {}).items()},
        last_failover=failovers[-1] if failovers else None,
        **measured,
        **by_name,
    )


def _failovers(name: str, document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the take-overs by a server; `seconds` is None while one is under way."""
    for record in document.get("failovers", ()):
        figures = {field_: record[field_] for field_ in ("groups", "seconds")}
        yield {"at": record["at"], "from": record["from_server"], "to": name, **figures}


def _moment(record: Mapping[str, Any]) -> str:
    return str(record["at"])


def _age_s(document: Mapping[str, Any], now: datetime) -> float:
    return (now - datetime.fromisoformat(document["at"])).total_seconds()


def _problems(document: Mapping[str, Any] | None, fresh: Mapping[str, Any], *, leased: bool | None) -> Iterator[str]:
    if leased is False:
        yield "holds no lease"
    if not fresh:
        yield f"told nothing since {document['at']}" if document else "never told anything"
    for check, about in fresh.get("checks", {}).items():
        if about["level"] != "ok":
            yield f"{check}: {about['text']}"
    if fresh.get("closed_ports"):
        yield f"closed its ports {', '.join(map(str, fresh['closed_ports']))}"
