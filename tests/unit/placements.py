"""Settings, etcd and clock of placement services for tests: the lab's four mail servers, seen from a1."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from onedallmail.placement import files
from onedallmail.placement.agent import Agent
from onedallmail.placement.courier import Answer, Courier, Job, Verb
from onedallmail.placement.fence import Fence
from onedallmail.placement.lease import LeaseKeeper
from onedallmail.placement.prepare import Preparer
from onedallmail.placement.request import as_request
from onedallmail.placement.settings import Settings, parse_settings
from onedallmail.placement.store import (
    SEEDING,
    Compare,
    EtcdError,
    Renewal,
    Snapshot,
    Target,
    Transaction,
    alive_key,
    group_key,
    move_key,
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
        "preparation": {
            "socket": str(directory / "mailboxes.sock"),
            "wait_s": 10,
            "merging": str(directory / "merging.json"),
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


def stand_in_postmap(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a program that makes SOURCE.lmdb as postmap does; the real one is checked in the lab."""
    program = folder / "postmap"
    program.write_text('#!/bin/sh\nsource="${1#lmdb:}"\nexec cp "$source" "$source.lmdb"\n')
    program.chmod(0o755)
    monkeypatch.setattr(files, "POSTMAP", str(program))
    return program


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

    def ask_for(self, number: int, to: str) -> None:
        """Want a group elsewhere, as an operator's command does."""
        self.put(move_key(number), as_request(to), 0)

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

    def commit(self, transaction: Transaction) -> bool:
        """Carry out a transaction."""
        self._expire()
        if not all(self._holds(compare) for compare in transaction.compares):
            return False
        self.created += any(compare.prefix for compare in transaction.compares)
        if not any(compare.key == SEEDING for compare in transaction.compares):
            self.committed.append(transaction)
        self._write(transaction.puts, 0)
        for key in transaction.deletes:
            self._delete(key)
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
        if compare.prefix:
            return all(value == compare.value for key, value in found.items() if key.startswith(compare.key))
        return found.get(compare.key, 0) == compare.value

    def _write(self, values: Mapping[str, str], lease: int) -> None:
        self.revision += 1
        for key, value in values.items():
            self.values[key], self.changes[key], self.bound[key] = value.encode(), self.revision, lease
            self.births.setdefault(key, self.revision)

    def _delete(self, key: str) -> None:
        for found in (self.values, self.changes, self.births, self.bound):
            found.pop(key, None)

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


class RecordedFence(Fence):
    """A fence without a kernel: until when it is open by the test's clock."""

    def __init__(self, clock: Clock) -> None:
        """Begin closed."""
        super().__init__((10024,), Path("fence.nft"), clock)

    def open(self, until: float) -> None:
        """Open it up to a moment."""
        self._until = until

    def close(self) -> None:
        """Close it."""
        self._until = 0.0


class StandInPreparer(Preparer):
    """A mailboxes service that prepares what it is asked for, unless it is told to fail."""

    def __init__(self, directory: Path, prepared: Mapping[int, int], clock: Callable[[], float]) -> None:
        """Begin with what was prepared."""
        super().__init__(directory / "mailboxes.sock", 10, prepared, lambda: None, clock)
        self.failure: Exception | None = None
        self.asked: list[dict[int, int]] = []

    def work(self) -> None:
        """Do what the thread would, without waiting."""
        if self._wanted:
            self.turn()

    def _ask(self, wanted: Mapping[int, int]) -> dict[int, int]:
        self.asked.append(dict(wanted))
        if self.failure:
            raise self.failure
        return dict(wanted)


class StandInCourier(Courier):
    """A mailboxes service that does what it is asked for, unless it is told to refuse a verb of some groups."""

    def __init__(self, directory: Path, clock: Callable[[], float]) -> None:
        """Begin willing."""
        super().__init__(directory / "mailboxes.sock", lambda: None, clock)
        self.refused: dict[Verb, set[int]] = {verb: set() for verb in Verb}
        self.stale: set[int] = set()
        self.asked: list[tuple[Verb, set[int], set[int]]] = []
        self.serves: Callable[[], set[int]] = set
        self.waits = False

    def work(self) -> None:
        """Carry out the job if it is time."""
        if self._job is not None and self._job.not_before <= self._clock() and not self.waits:
            super().work()

    def _asked(self, job: Job) -> Answer:
        self.asked.append((job.verb, set(job.groups), self.serves()))
        refused = self.refused[job.verb]
        done, why = frozenset(set(job.groups) - refused), dict.fromkeys(refused, "the standby is not ready")
        return Answer(job, done, why, stale=frozenset(self.stale))


class Service:
    """One placement service without threads: each of its turns is a call."""

    def __init__(self, directory: Path, store: MemoryStore, server: str = "a1") -> None:
        """Start it, as systemd does; it has no lease yet."""
        directory.mkdir(exist_ok=True)
        self.directory = directory
        self.fence = RecordedFence(store.clock)
        self.keeper = LeaseKeeper(
            server=server,
            region="eu-central-1",
            ttl_s=8,
            store=store,
            fence=self.fence,
            on_change=lambda: None,
            clock=store.clock,
        )
        own = settings(directory, server=server)
        self.preparer = StandInPreparer(directory, files.read_prepared(directory), store.clock)
        self.courier = StandInCourier(directory, store.clock)
        self.courier.serves = lambda: self.serves
        self.joiner = StandInCourier(directory, store.clock)
        self.agent = Agent(
            own,
            store,
            self.keeper,
            self.preparer,
            self.fence,
            courier=self.courier,
            joiner=self.joiner,
            settled_s=0,
            clock=store.clock,
        )

    def turn(self) -> bool:
        """Renew the lease, follow the map, prepare, and follow again; return whether etcd answered."""
        self.keeper.turn()
        self.agent.step()
        self.preparer.work()
        self.courier.work()
        self.joiner.work()
        return self.agent.step()

    @property
    def is_open(self) -> bool:
        """Whether the fence is open."""
        return self.fence.open_for() > 0

    @property
    def status(self) -> dict[str, Any]:
        """status.json."""
        found: dict[str, Any] = json.loads((self.directory / "status.json").read_text())
        return found

    @property
    def serves(self) -> set[int]:
        """The groups that the file `home` lets in."""
        return set(files.read_served(self.directory))

    def line(self, name: str, number: int) -> str:
        """Return a group's line in a file."""
        return (self.directory / name).read_text().splitlines()[number]
