"""What a caller may ask of an operation on a stack."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from .events import Progress, silent


class Operation(StrEnum):
    """What can be done to a stack."""

    PREVIEW = "preview"
    UP = "up"
    DESTROY = "destroy"
    REFRESH = "refresh"


@dataclass(frozen=True, kw_only=True)
class Options:
    """Configuration overrides, who is told of progress, and what the operation is limited to or begins with."""

    config: Mapping[str, str] = field(default_factory=dict)
    secret_config: Mapping[str, str] = field(default_factory=dict)
    progress: Progress = silent
    targets: tuple[str, ...] = ()
    """URNs or names (`*` stands for any text) that the operation is limited to; none means all."""
    refresh: bool = False
    """Whether the state is compared with the provider first."""
    settled: Mapping[str, str] = field(default_factory=dict)
    """By URN or name of an interrupted create: the id of what it made, "" when it made nothing (refresh only)."""
