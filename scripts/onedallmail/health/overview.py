"""The platform at one glance, from what etcd holds: servers, leases, groups, lag, waiting copies, failovers. Pure."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

HEALTH = "/onedallmail/health/"
ALIVE = "/onedallmail/placement/alive/"
GROUPS = "/onedallmail/placement/groups/"
STALE_S = 60
FAILOVERS_SHOWN = 10


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
        document = told.get(name)
        fresh = document if document and _age_s(document, now) <= STALE_S else {}
        servers.append(
            ServerView(
                name=name,
                region=region,
                role=role,
                alive=leased,
                level=fresh.get("level", "silent"),
                homes=homes[name],
                standbys=standbys[name],
                queued=fresh.get("queued"),
                lag_s=fresh.get("lag_s"),
                oldest_copy_s=fresh.get("oldest_copy_s"),
                closed_ports=tuple(fresh.get("closed_ports", ())),
                problems=tuple(_problems(document, fresh, leased=leased)),
            )
        )
    failovers = sorted((f for document in told.values() for f in document["failovers"]), key=lambda f: str(f["at"]))
    return Overview(
        at=now,
        servers=tuple(servers),
        groups=len(groups),
        without_standby=sum(g["standby"] not in alive for g in groups),
        without_home=sum(g["home"] not in alive for g in groups),
        failovers=tuple(failovers[-FAILOVERS_SHOWN:]),
    )


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
