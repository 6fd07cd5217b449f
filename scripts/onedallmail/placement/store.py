"""What the placement service asks of etcd, as values: keys, snapshots, transactions, and the promises it relies on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, TypeVar

T = TypeVar("T")
PREFIX = "/onedallmail/placement/"
GROUPS = f"{PREFIX}groups/"
ALIVE = f"{PREFIX}alive/"
SERVERS = f"{PREFIX}servers/"
"""States of servers ({"state": ...}); without one a server serves if the map names it, and is new otherwise."""
MOVES = f"{PREFIX}moves/"
"""Groups that an operator wants moved; the group's home carries it out and deletes the key."""
RESULTS = f"{PREFIX}results/"
"""Why a group was not moved that was to be."""
SEEDING = f"{PREFIX}seeding"
"""Stands while the first map is being written."""


def group_key(number: int) -> str:
    """Return the key of a placement group."""
    return f"{GROUPS}{number}"


def move_key(number: int) -> str:
    """Return the key by which a group is wanted elsewhere."""
    return f"{MOVES}{number}"


def result_key(number: int) -> str:
    """Return the key that tells why a group was not moved."""
    return f"{RESULTS}{number}"


def server_key(server: str) -> str:
    """Return the key of a server's state."""
    return f"{SERVERS}{server}"


def alive_key(server: str) -> str:
    """Return the key that stands as long as a server's lease does."""
    return f"{ALIVE}{server}"


class EtcdError(Exception):
    """No endpoint gave an answer, with what each of them said."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All keys under a prefix at one revision of the store: their values, last changes, and leases (0: none)."""

    values: dict[str, bytes]
    revision: int
    changes: dict[str, int] = field(default_factory=dict)
    leases: dict[str, int] = field(default_factory=dict)

    def under(self, prefix: str) -> "Snapshot":
        """Return the part of it under a longer prefix."""

        def part(found: dict[str, T]) -> dict[str, T]:
            return {key: value for key, value in found.items() if key.startswith(prefix)}

        return Snapshot(part(self.values), self.revision, part(self.changes), part(self.leases))

    @property
    def changed(self) -> int:
        """The revision of the newest change to these keys."""
        return max(self.changes.values(), default=0)


class Target(StrEnum):
    """What of a key is compared: the revision of its last change, that of its creation (0: absent), its lease."""

    CHANGED = "MOD"
    CREATED = "CREATE"
    LEASE = "LEASE"


@dataclass(frozen=True, slots=True)
class Compare:
    """A condition of a transaction: something of a key equals a number, or of every key under a prefix."""

    key: str
    target: Target
    value: int
    prefix: bool = False


@dataclass(frozen=True, slots=True)
class Transaction:
    """Values to be put and keys to be deleted if every condition holds, all at once or not at all."""

    compares: tuple[Compare, ...]
    puts: Mapping[str, str] = field(default_factory=dict)
    deletes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Renewal:
    """A lease as etcd sees it: seconds left (0: it is gone) from `asked_at`, the moment before the request."""

    lease: int
    ttl_s: float
    asked_at: float


class LeaseStore(Protocol):
    """What the keeper of the lease needs of etcd; everything raises EtcdError."""

    def grant(self, ttl_s: int) -> Renewal:
        """Return a new lease."""

    def keepalive(self, lease: int) -> Renewal:
        """Renew a lease."""

    def revoke(self, lease: int) -> None:
        """End a lease; its keys go."""

    def put(self, key: str, value: str, lease: int) -> None:
        """Write a key that goes with the lease."""


class MapStore(Protocol):
    """What the follower of the map needs of etcd; everything raises EtcdError."""

    def read(self, prefix: str) -> Snapshot:
        """Return everything under the prefix, by agreement of a majority."""

    def commit(self, transaction: Transaction) -> bool:
        """Carry out a transaction; return whether its conditions held."""

    def wait(self, prefix: str, after_revision: int, timeout_s: float) -> bool:
        """Wait for a change under the prefix; return whether there was one in time."""
