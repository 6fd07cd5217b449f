"""Ports on loopback that roles of a mail server share, and which accounts may use them, read where both are written."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from onedallmail.paths import ROOT

WRITTEN = ROOT / "ansible" / "group_vars" / "mail.yml"


@dataclass(frozen=True)
class LocalPort:
    """A port on loopback with the accounts whose processes may connect, besides root."""

    service: str
    port: int
    users: tuple[str, ...]


@cache
def local_ports(path: Path = WRITTEN) -> dict[str, LocalPort]:
    """Return the ports by the name of their service."""
    variables = yaml.safe_load(path.read_text())
    return {
        entry["service"]: LocalPort(entry["service"], _number(variables, entry["port"]), tuple(entry["users"]))
        for entry in variables["firewall_local_services"]
    }


def _number(variables: dict[str, Any], value: str | int) -> int:
    named = re.fullmatch(r"\{\{ (\w+) \}\}", str(value))
    return int(variables[named[1]] if named else value)
