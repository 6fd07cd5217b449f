"""What an operation reports while it runs, and what it returns."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Op(StrEnum):
    """What happened, or in a preview would happen, to one resource."""

    SAME = "same"
    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"
    READ = "read"


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
        return self.urn.rsplit("::", 1)[-1]


Progress = Callable[[Event], None]


def silent(_: Event) -> None:
    """Report nothing."""


@dataclass(frozen=True, kw_only=True)
class UpResult:
    """How a preview, up or destroy went; `outputs` have their secrets masked."""

    counts: Mapping[str, int]
    outputs: Mapping[str, Any]
    errors: tuple[str, ...]
    duration_s: float
    pending: tuple[str, ...] = field(default=())

    @property
    def ok(self) -> bool:
        """Nothing failed."""
        return not self.errors

    @property
    def changes(self) -> int:
        """Number of resources that were, or would be, changed."""
        return sum(n for op, n in self.counts.items() if op not in (Op.SAME, Op.READ))
