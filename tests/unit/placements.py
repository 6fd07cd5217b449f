"""Settings of a placement service for tests: the lab's four mail servers, seen from a1."""

from pathlib import Path
from typing import Any

from onedallmail.placement.settings import Settings, parse_settings


def raw_settings(directory: Path, **changes: Any) -> dict[str, Any]:
    """Return what role placement would write for a1, with some fields changed."""
    servers = {"a1": "eu-central-1", "a2": "eu-central-1", "b1": "eu-west-1", "b2": "eu-west-1"}
    return {
        "server": "a1",
        "groups": 8,
        "servers": {n: {"region": r, "address": f"10.0.0.{i}"} for i, (n, r) in enumerate(servers.items(), 1)},
        "ports": {"handover": 10025, "imap": 10993, "sieve": 14190, "imap_local": 11993, "sieve_local": 15190},
        "etcd": {
            "endpoints": ["https://127.0.0.1:2379"],
            "certificate": str(directory / "server.crt"),
            "key": str(directory / "server.key"),
            "ca": str(directory / "ca.crt"),
            "request_timeout_s": 2,
        },
        "directory": str(directory),
        "interval_s": 5,
        "transport_local": "lmtp:unix:private/lmtp",
        "transport_remote": "smtp:[{name}.internal]:{port}",
        "proxy_fields": "proxy=y host={name}.internal hostip={loopback} port={port}",
        "proxy_fields_local": "proxy=y host={name}.internal hostip=127.0.0.1 port={port}",
        "absent_fields": "userdb_tempfail=y",
        **changes,
    }


def settings(directory: Path, **changes: Any) -> Settings:
    """Return the same as Settings."""
    return parse_settings(raw_settings(directory, **changes))
