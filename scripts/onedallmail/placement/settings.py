"""What the placement service of one server is told: its configuration file, written by role placement, as values."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onedallmail.placement.map import MAX_GROUPS


class SettingsError(ValueError):
    """The configuration file is not what role placement writes."""


@dataclass(frozen=True, slots=True)
class MailServer:
    """A mail server of the platform."""

    region: str
    address: str


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
    directory: Path
    interval_s: float
    transport_local: str
    transport_remote: str
    proxy_fields: str
    proxy_fields_local: str
    absent_fields: str

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
    etcd = dict(raw["etcd"])
    settings = Settings(
        **{
            **raw,
            "servers": {name: MailServer(**server) for name, server in raw["servers"].items()},
            "ports": Ports(**raw["ports"]),
            "etcd": Etcd(**{**etcd, "endpoints": tuple(etcd["endpoints"])}),
            "directory": Path(raw["directory"]),
        }
    )
    if settings.server not in settings.servers:
        msg = f"server {settings.server!r} is not among servers ({', '.join(sorted(settings.servers))})"
        raise SettingsError(msg)
    if not 1 <= settings.groups <= MAX_GROUPS:
        msg = f"groups is {settings.groups}: choose 1 to {MAX_GROUPS}"
        raise SettingsError(msg)
    if not settings.etcd.endpoints:
        msg = "etcd.endpoints is empty: name at least one voter"
        raise SettingsError(msg)
    return settings
