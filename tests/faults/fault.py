"""What a fault is."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """One drawn fault: what happens where, and the two actions."""

    text: str
    inject: Callable[[], object]
    end: Callable[[], object]
    down: frozenset[str] = frozenset()
    """Servers that answer nobody while it lasts."""
