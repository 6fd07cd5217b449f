"""What an operation reports while it runs, and what it returns."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

_UNCHANGED = ("same", "read", "delete-replaced", "remove-pending-replace")


class Op(StrEnum):
    """What happened, or in a preview would happen, to one resource; Pulumi's words."""

    SAME = "same"
    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"
    READ = "read"
    REFRESH = "refresh"
    DELETE_REPLACED = "delete-replaced"
    """The predecessor of a replacement goes: before it (delete before replace) or at the end of the run."""
    REMOVE_PENDING = "remove-pending-replace"
    """A resource that was deleted to make way for others is not wanted again: it leaves the state."""


@dataclass(frozen=True, kw_only=True)
class Event:
    """A finished step (`op` set) or a message (`op` is None, `severity` is info, warning or error)."""

    urn: str
    text: str
    op: Op | None = None
    severity: str = "info"

    @property
    def type(self) -> str:
        """Type token of the resource, such as aws:ec2/vpc:Vpc."""
        return self.urn.split("::")[2].split("$")[-1] if self.urn.count("::") > 2 else ""  # noqa: PLR2004

    @property
    def name(self) -> str:
        """Name that the program gave the resource."""
        return name_of(self.urn)

    @property
    def internal(self) -> bool:
        """It is about a default provider, which no program asked for."""
        return self.type.startswith("pulumi:providers:") and self.name.startswith("default")


Progress = Callable[[Event], None]


def name_of(urn: str) -> str:
    """Return the name in a URN."""
    return urn.rsplit("::", 1)[-1]


def silent(_: Event) -> None:
    """Report nothing."""


@dataclass(frozen=True, kw_only=True)
class Violation:
    """A policy that a resource does not meet; `level` is advisory or mandatory."""

    policy: str
    urn: str
    level: str
    message: str


@dataclass(frozen=True, kw_only=True)
class UpResult:
    """How a preview, up, destroy or refresh went; `outputs` have their secrets masked."""

    counts: Mapping[str, int]
    outputs: Mapping[str, Any]
    errors: tuple[str, ...]
    duration_s: float
    pending: tuple[str, ...] = field(default=())
    """URNs of operations that were interrupted: what they made may exist unrecorded."""
    violations: tuple[Violation, ...] = field(default=())
    registered: tuple[Mapping[str, Any], ...] = field(default=())
    """What the program asked for, as urn, type and inputs, secrets masked."""
    not_asked: tuple[str, ...] = field(default=())
    """What an offline run took for granted instead of asking the cloud."""

    @property
    def ok(self) -> bool:
        """Nothing failed."""
        return not self.errors

    @property
    def changes(self) -> int:
        """Number of resources that were, or would be, changed."""
        return sum(n for op, n in self.counts.items() if op not in _UNCHANGED)
