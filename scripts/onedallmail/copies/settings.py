"""What the services of room copies are told by role copies: their configuration file as values."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from onedallmail.channel.settings import ChannelSettings, ChannelSettingsError, parse_channel
from onedallmail.placement.settings import Etcd

CONFIGURATION = Path("/etc/onedallmail/copies.json")


class SettingsError(ValueError):
    """The configuration file is not what role copies writes."""


class WithoutSecondPlace(StrEnum):
    """What happens to a message for which no server of another region can be reached."""

    REFUSE = "refuse"
    """A temporary error: the client keeps it. Nothing that was accepted can be lost."""
    ACCEPT = "accept"
    """It is taken with a copy on this server only, and an alarm: the loss of this server loses it."""


@dataclass(frozen=True, slots=True)
class Kms:
    """The key that wraps data keys: its ARN in each region, the server's own first; empty on a witness."""

    arns: tuple[str, ...]
    context: dict[str, str]


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that the store, the custodian and the milter of one server need."""

    channel: ChannelSettings
    """Of the copies' port; addresses of mail servers and witnesses."""
    sync_port: int
    """Where a mail server says what its mailboxes hold."""
    regions: dict[str, str]
    """Of every mail server and witness."""
    witnesses: tuple[str, ...]
    kms: Kms
    directory: Path
    """Holds the store and status files."""
    placement: Path
    """Files of the placement service; not on a witness."""
    etcd: Etcd | None
    """On a witness: how it learns who lives."""
    database: str
    """Of the directory, and whom to be there."""
    database_user: str
    reinjection_port: int
    socket: Path
    """Of the milter."""
    message_bytes: int
    """Postfix's limit of a message."""
    buffered_bytes: int
    """Bound of all messages in the milter's memory together."""
    min_free_bytes: int
    without_second_place: WithoutSecondPlace

    @property
    def server(self) -> str:
        """The name of this server."""
        return self.channel.server

    @property
    def delivers(self) -> bool:
        """Whether this is a mail server."""
        return self.server not in self.witnesses

    @property
    def mail_regions(self) -> dict[str, str]:
        """Region of every mail server."""
        return {name: region for name, region in self.regions.items() if name not in self.witnesses}

    @property
    def sync_channel(self) -> ChannelSettings:
        """The channel's settings for the port of synchronisation."""
        return replace(self.channel, port=self.sync_port)


def load_settings(path: Path) -> Settings:
    """Return the settings of a file; raises SettingsError with the file and the reason."""
    try:
        return parse_settings(json.loads(path.read_text()))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, ChannelSettingsError) as error:
        msg = f"{path}: {type(error).__name__}: {error}; run role copies again"
        raise SettingsError(msg) from error


def parse_settings(raw: Mapping[str, Any]) -> Settings:
    """Return the settings of a JSON object; raises KeyError, TypeError or ValueError."""
    settings = Settings(
        **{
            **raw,
            "channel": parse_channel(raw["channel"]),
            "regions": dict(raw["regions"]),
            "witnesses": tuple(raw["witnesses"]),
            "kms": Kms(tuple(raw["kms"]["arns"]), dict(raw["kms"]["context"])),
            "directory": Path(raw["directory"]),
            "placement": Path(raw["placement"]),
            "etcd": _etcd(raw["etcd"]),
            "socket": Path(raw["socket"]),
            "without_second_place": WithoutSecondPlace(raw["without_second_place"]),
        }
    )
    missing = sorted(set(settings.channel.addresses) ^ set(settings.regions))
    if missing:
        msg = f"{', '.join(missing)}: each server needs an address and a region"
        raise ValueError(msg)
    if settings.delivers and not settings.kms.arns:
        msg = "kms.arns is empty: a mail server seals copies under the platform's key of mail"
        raise ValueError(msg)
    if not settings.delivers and settings.etcd is None:
        msg = "etcd is missing: a witness learns from it who lives"
        raise ValueError(msg)
    return settings


def _etcd(raw: Mapping[str, Any] | None) -> Etcd | None:
    return None if raw is None else Etcd(**{**raw, "endpoints": tuple(raw["endpoints"])})
