"""What the service of one server is told: its configuration file, written by role mailboxes, as values."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onedallmail.channel.settings import ChannelSettings, parse_channel


class SettingsError(ValueError):
    """The configuration file is not what role mailboxes writes."""


@dataclass(frozen=True, slots=True)
class DoveadmApi:
    """The two loopback ports of Dovecot's HTTP API, and the file with its key."""

    home_port: int
    upkeep_port: int
    key_file: Path
    host: str = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Directory:
    """How the local directory replica is asked who belongs to which placement group."""

    socket: str
    database: str
    role: str


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything the service needs. {loopback} in sync_destination stands for the peer's address with 127 in front."""

    server: str
    groups: int
    mail_directory: Path
    placement_directory: Path
    state_directory: Path
    events_socket: Path
    control_socket: Path
    sync_destination: str
    workers: int
    sync_timeout_s: int
    walk_interval_s: int
    api: DoveadmApi
    directory: Directory
    channel: ChannelSettings

    @property
    def sync_port(self) -> int | None:
        """The local port that other servers' synchronisations come in by: the same as theirs; None without a number."""
        port = self.sync_destination.rpartition(":")[2]
        return int(port) if port.isdecimal() else None

    def destination(self, server: str) -> str:
        """Return where doveadm reaches a fellow server's mailboxes: this server's tunnel to it."""
        address = self.channel.addresses[server]
        loopback = "127." + address.partition(".")[2]
        return self.sync_destination.replace("{loopback}", loopback).replace("{address}", address)


def load_settings(path: Path) -> Settings:
    """Return the settings of a file; raises SettingsError with the file and the reason."""
    try:
        return parse_settings(json.loads(path.read_text()))
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        msg = f"{path}: {type(error).__name__}: {error}; run role mailboxes again"
        raise SettingsError(msg) from error


def parse_settings(raw: dict[str, Any]) -> Settings:
    """Return the settings of a JSON object; raises KeyError, TypeError or ValueError."""
    paths = ("mail_directory", "placement_directory", "state_directory", "events_socket", "control_socket")
    settings = Settings(
        **{
            **raw,
            **{name: Path(raw[name]) for name in paths},
            "api": DoveadmApi(**{**raw["api"], "key_file": Path(raw["api"]["key_file"])}),
            "directory": Directory(**raw["directory"]),
            "channel": parse_channel(raw["channel"]),
        }
    )
    if settings.server != settings.channel.server:
        msg = f"server is {settings.server!r}, but the channel's is {settings.channel.server!r}"
        raise ValueError(msg)
    for name in ("groups", "workers", "sync_timeout_s", "walk_interval_s"):
        if getattr(settings, name) < 1:
            msg = f"{name} is {getattr(settings, name)}: it must be at least 1"
            raise ValueError(msg)
    return settings
