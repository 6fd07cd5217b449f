"""What the placement service of one server is told: its configuration file, written by role placement, as values."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onedallmail.placement.fleet import Pin, pin_from
from onedallmail.placement.map import MAX_GROUPS

SHORTEST_LEASE_S = 4


class SettingsError(ValueError):
    """The configuration file is not what role placement writes."""


@dataclass(frozen=True, slots=True)
class MailServer:
    """A mail server of the platform."""

    region: str
    address: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Ports:
    """Where a mail server takes over messages, IMAP and ManageSieve from the others, and the latter two from itself."""

    handover: int
    imap: int
    sieve: int
    imap_local: int
    sieve_local: int


@dataclass(frozen=True, slots=True)
class Etcd:
    """How etcd is reached: mutual TLS with this server's certificate; nearest endpoint first."""

    endpoints: tuple[str, ...]
    certificate: str
    key: str
    ca: str
    request_timeout_s: float


@dataclass(frozen=True, slots=True)
class Lease:
    """How long this server's lease lasts, how long one endpoint may take to renew it, and how patient it is.

    A server that was never seen alive is taken for gone only by one that has had its own lease for `patience_s`.
    """

    ttl_s: int
    request_timeout_s: float
    patience_s: float


@dataclass(frozen=True, slots=True)
class FenceSettings:
    """The ports that are open under a lease only, and the file that puts their table in place."""

    ports: tuple[int, ...]
    file: Path


@dataclass(frozen=True, slots=True)
class Preparation:
    """The socket of the service that prepares mailboxes for a new home, and how long that may take.

    `merging` is the file in which it lists groups that are being merged into this server, their standby.
    """

    socket: Path
    wait_s: float
    merging: Path


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything the service of one server needs.

    In transports and fields, {name} {ip} {loopback} {port} stand for the home server; loopback is its address with 127
    in front, where this server's tunnel to it listens.
    """

    server: str
    groups: int
    servers: dict[str, MailServer]
    ports: Ports
    etcd: Etcd
    lease: Lease
    fence: FenceSettings
    preparation: Preparation
    directory: Path
    interval_s: float
    transport_local: str
    transport_remote: str
    proxy_fields: str
    proxy_fields_local: str
    absent_fields: str
    pins: tuple[Pin, ...] = ()
    """Groups of the first map that are reserved for regions."""

    @property
    def regions(self) -> dict[str, str]:
        """Name to region of every mail server."""
        return {name: server.region for name, server in self.servers.items()}


def load_settings(path: Path) -> Settings:
    """Return the settings of a file; raises SettingsError with the file and the reason."""
    try:
        return parse_settings(json.loads(path.read_text()))
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        msg = f"{path}: {type(error).__name__}: {error}; run role placement again"
        raise SettingsError(msg) from error


def parse_settings(raw: dict[str, Any]) -> Settings:
    """Return the settings of a JSON object; raises KeyError, TypeError or ValueError."""
    etcd, fence, preparation = dict(raw["etcd"]), dict(raw["fence"]), dict(raw["preparation"])
    settings = Settings(
        **{
            **raw,
            "servers": {name: MailServer(**server) for name, server in raw["servers"].items()},
            "ports": Ports(**raw["ports"]),
            "etcd": Etcd(**{**etcd, "endpoints": tuple(etcd["endpoints"])}),
            "lease": Lease(**raw["lease"]),
            "fence": FenceSettings(**{**fence, "ports": tuple(fence["ports"]), "file": Path(fence["file"])}),
            "preparation": Preparation(
                Path(preparation["socket"]), preparation["wait_s"], Path(preparation["merging"])
            ),
            "directory": Path(raw["directory"]),
            "pins": tuple(pin_from(record) for record in raw.get("pins", ())),
        }
    )
    _check(settings)
    return settings


def _check(settings: Settings) -> None:
    if settings.server not in settings.servers:
        msg = f"server {settings.server!r} is not among servers ({', '.join(sorted(settings.servers))})"
        raise SettingsError(msg)
    if not 1 <= settings.groups <= MAX_GROUPS:
        msg = f"groups is {settings.groups}: choose 1 to {MAX_GROUPS}"
        raise SettingsError(msg)
    if not settings.etcd.endpoints:
        msg = "etcd.endpoints is empty: name at least one voter"
        raise SettingsError(msg)
    if settings.lease.ttl_s < SHORTEST_LEASE_S:
        msg = f"lease.ttl_s is {settings.lease.ttl_s}: choose {SHORTEST_LEASE_S} or more, or a slow answer ends service"
        raise SettingsError(msg)
    if not settings.fence.ports:
        msg = "fence.ports is empty: name the ports at which this server serves its mailboxes"
        raise SettingsError(msg)
