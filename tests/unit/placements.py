"""Settings, etcd and clock of placement services for tests: the lab's four mail servers, seen from a1."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from onedallmail.placement.settings import Settings, parse_settings
from onedallmail.placement.store import (
    Compare,
    EtcdError,
    Renewal,
    Snapshot,
    Target,
    Transaction,
    alive_key,
    group_key,
)


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
        "lease": {"ttl_s": 8, "request_timeout_s": 1.5, "patience_s": 60},
        "fence": {"ports": [10024, 10993], "file": str(directory / "fence.nft")},
        "preparation": {"socket": str(directory / "mailboxes.sock"), "wait_s": 10},
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


@dataclass
class Clock:
    """A clock that stands until it is moved."""

    now: float = 1000.0

    def __call__(self) -> float:
        """Return the moment."""
        return self.now


@dataclass
class MemoryStore:
    """etcd's promises in memory: revisions, conditions, leases that end by the clock."""

    clock: Clock = field(default_factory=Clock)
    values: dict[str, bytes] = field(default_factory=dict)
    changes: dict[str, int] = field(default_factory=dict)
    births: dict[str, int] = field(default_factory=dict)
    bound: dict[str, int] = field(default_factory=dict)
    leases: dict[int, tuple[float, float]] = field(default_factory=dict)
    revision: int = 1
    created: int = 0
    gone: bool = False
    committed: list[Transaction] = field(default_factory=list)
    _ids: "count[int]" = field(default_factory=lambda: count(7000))

    def put_group(self, number: int, home: str, standby: str, epoch: int) -> None:
        """Write a group, as an operator does."""
        self.put(group_key(number), json.dumps({"home": home, "standby": standby, "epoch": epoch}), 0)

    def arrive(self, server: str, ttl_s: int = 8) -> int:
        """Give a server a lease and its key, as its own service does."""
        lease = self.grant(ttl_s).lease
        self.put(alive_key(server), "{}", lease)
        return lease

    def read(self, prefix: str) -> Snapshot:
        """Return what is under the prefix."""
        self._expire()
        found = {k: v for k, v in self.values.items() if k.startswith(prefix)}
        return Snapshot(
            found, self.revision, {k: self.changes[k] for k in found}, {k: self.bound.get(k, 0) for k in found}
        )

    def create(self, prefix: str, values: Mapping[str, str]) -> bool:
        """Write the values if nothing is under the prefix."""
        self._expire()
        if any(key.startswith(prefix) for key in self.values):
            return False
        self.created += 1
        self._write(values, 0)
        return True

    def commit(self, transaction: Transaction) -> bool:
        """Carry out a transaction."""
        self._expire()
        if not all(self._holds(compare) for compare in transaction.compares):
            return False
        self.committed.append(transaction)
        self._write(transaction.puts, 0)
        return True

    def wait(self, prefix: str, after_revision: int, timeout_s: float) -> bool:  # noqa: ARG002 - time stands
        """Return whether there was a change."""
        self._expire()
        return any(self.changes[k] > after_revision for k in self.values if k.startswith(prefix))

    def grant(self, ttl_s: int) -> Renewal:
        """Return a new lease."""
        self._expire()
        lease = next(self._ids)
        self.leases[lease] = (self.clock.now + ttl_s, ttl_s)
        return Renewal(lease, ttl_s, self.clock.now)

    def keepalive(self, lease: int) -> Renewal:
        """Renew a lease."""
        self._expire()
        if lease not in self.leases:
            return Renewal(lease, 0, self.clock.now)
        ttl_s = self.leases[lease][1]
        self.leases[lease] = (self.clock.now + ttl_s, ttl_s)
        return Renewal(lease, ttl_s, self.clock.now)

    def revoke(self, lease: int) -> None:
        """End a lease."""
        self._expire()
        if self.leases.pop(lease, None):
            for key in [k for k, of in self.bound.items() if of == lease]:
                self._delete(key)

    def put(self, key: str, value: str, lease: int) -> None:
        """Write a key."""
        self._expire()
        self._write({key: value}, lease)

    def delete(self, key: str) -> None:
        """Delete a key."""
        self.revision += 1
        self._delete(key)

    def _holds(self, compare: Compare) -> bool:
        found = {Target.CHANGED: self.changes, Target.CREATED: self.births, Target.LEASE: self.bound}[compare.target]
        return found.get(compare.key, 0) == compare.value

    def _write(self, values: Mapping[str, str], lease: int) -> None:
        self.revision += 1
        for key, value in values.items():
            self.values[key], self.changes[key], self.bound[key] = value.encode(), self.revision, lease
            self.births.setdefault(key, self.revision)

    def _delete(self, key: str) -> None:
        for found in (self.values, self.changes, self.births, self.bound):
            found.pop(key, None)  # type: ignore[attr-defined] # every one is a dict by key

    def _expire(self) -> None:
        if self.gone:
            msg = "etcd gives no answer"
            raise EtcdError(msg)
        for lease in [n for n, (until, _) in self.leases.items() if until <= self.clock.now]:
            self.revision += 1
            self.revoke_expired(lease)

    def revoke_expired(self, lease: int) -> None:
        """End a lease whose time is over."""
        del self.leases[lease]
        for key in [k for k, of in self.bound.items() if of == lease]:
            self._delete(key)
