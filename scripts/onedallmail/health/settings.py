"""What the health service of one server is told: its configuration file, written by role health, as values."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from onedallmail.health.judge import Limits
from onedallmail.placement.settings import Etcd


class SettingsError(ValueError):
    """The configuration file is not what role health writes."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that the service of one server needs."""

    server: str
    region: str
    mail: bool
    """Whether this is a mail server; otherwise it is a witness."""
    own_clock: bool
    """Whether this server keeps its own clock; a container's is the machine's below it."""
    units: tuple[str, ...]
    """Services that must run."""
    file_systems: tuple[str, ...]
    certificates: tuple[str, ...]
    mail_ports: tuple[int, ...]
    client_ports: tuple[int, ...]
    etcd: Etcd
    directory: Path
    interval_s: float
    limits: Limits = field(default_factory=Limits)


def load_settings(path: Path) -> Settings:
    """Return the settings of a file; raises SettingsError with the file and the reason."""
    try:
        return _parsed(json.loads(path.read_text()))
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        msg = f"{path}: {type(error).__name__}: {error}; run role health again"
        raise SettingsError(msg) from error


def _parsed(raw: dict[str, Any]) -> Settings:
    etcd = dict(raw["etcd"])
    tuples = ("units", "file_systems", "certificates", "mail_ports", "client_ports")
    return Settings(
        **{
            **raw,
            **{name: tuple(raw[name]) for name in tuples},
            "etcd": Etcd(**{**etcd, "endpoints": tuple(etcd["endpoints"])}),
            "directory": Path(raw["directory"]),
            "limits": Limits(**raw["limits"]),
        }
    )
