"""What a service that speaks over the channel is told: addresses, its identity's files, bounds."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PIN_CHARACTERS = 64
"""A SHA-256 in hexadecimal."""


class ChannelSettingsError(ValueError):
    """A file of the configuration is not what its role writes."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Bounds of everything that waits, in seconds."""

    connect_s: float = 3.0
    """TCP and TLS to a peer."""
    frame_s: float = 30.0
    """From the first byte of a frame to its last, and for a frame to be taken over by the peer."""
    call_s: float = 20.0
    """A whole call, when the caller names no other bound."""
    idle_s: float = 120.0
    """A connection on which nothing is asked; clients give one up at half of it."""


@dataclass(frozen=True, slots=True)
class ChannelSettings:
    """One port of the channel, as one server uses it: for its own service there, and to call the others'."""

    server: str
    """The name of this server."""
    port: int
    addresses: dict[str, str]
    """Private address of every server that takes part, by name; with this server's own one."""
    certificate: str
    key: str
    ca: str
    pins: Path
    """JSON object: server name -> SHA-256 pins of its public keys, the current one and the next."""
    max_body_bytes: int = 64 * 1024 * 1024
    max_connections: int = 256
    """Of all peers together, to this server."""
    max_connections_to_peer: int = 16
    timeouts: Timeouts = field(default_factory=Timeouts)


def parse_channel(raw: Mapping[str, Any]) -> ChannelSettings:
    """Return the settings of a JSON object; raises ChannelSettingsError."""
    try:
        timeouts = Timeouts(**raw.get("timeouts", {}))
        settings = ChannelSettings(**{**raw, "pins": Path(raw["pins"]), "timeouts": timeouts})
        addresses = dict(settings.addresses)
    except (KeyError, TypeError, ValueError) as error:
        msg = f"channel: {type(error).__name__}: {error}; run the role of this service again"
        raise ChannelSettingsError(msg) from error
    if settings.server not in addresses:
        msg = f"channel: server {settings.server!r} is not among addresses ({', '.join(sorted(addresses))})"
        raise ChannelSettingsError(msg)
    return settings


def load_pins(path: Path) -> dict[str, frozenset[str]]:
    """Return the pins by server, lower case without colons; raises ChannelSettingsError."""
    try:
        raw = json.loads(path.read_text())
        pins = {name: frozenset(_pin(name, text) for text in texts) for name, texts in raw.items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        msg = f"{path}: {type(error).__name__}: {error}; it must be an object of server names with lists of pins"
        raise ChannelSettingsError(msg) from error
    return pins


def _pin(name: str, text: str) -> str:
    pin = text.replace(":", "").lower()
    if len(pin) != PIN_CHARACTERS or set(pin) - set("0123456789abcdef"):
        msg = f"{name}: pin {text!r} is no SHA-256 in hexadecimal"
        raise ValueError(msg)
    return pin
