"""Geometry of the report's pictures, in units of a fixed view box: a bar of verdicts, and phases along a line of time.

Pure numbers; the template draws them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from onedallmail.evidence.context import Phase

WIDTH = 1000.0
_GAP = 3.0
_ROW = 26.0
_LEAST = 4.0


@dataclass(frozen=True)
class Segment:
    """A piece of a bar."""

    index: int
    x: float
    width: float


@dataclass(frozen=True)
class PhaseBar:
    """One phase on the line of time."""

    name: str
    x: float
    y: float
    width: float
    duration_s: float
    note: str


@dataclass(frozen=True)
class Timeline:
    """All phases, the height they need and the whole time they span."""

    bars: tuple[PhaseBar, ...]
    height: float
    total_s: float


def segments(numbers: Sequence[int]) -> list[Segment]:
    """Return the pieces of a bar of width 1000 for the numbers that are not zero, with a gap between them."""
    shown = [(index, number) for index, number in enumerate(numbers) if number > 0]
    total = sum(number for _, number in shown)
    if not total:
        return []
    room = WIDTH - _GAP * (len(shown) - 1)
    result: list[Segment] = []
    x = 0.0
    for index, number in shown:
        width = room * number / total
        result.append(Segment(index, round(x, 2), round(width, 2)))
        x += width + _GAP
    return result


def timeline(phases: Sequence[Phase]) -> Timeline:
    """Return phases as bars from the start of the first to the end of the last."""
    if not phases:
        return Timeline((), 0, 0)
    zero = min(phase.started for phase in phases)
    ends = [(phase.started - zero).total_seconds() + phase.duration_s for phase in phases]
    total = max(ends)
    scale = WIDTH / total if total > 0 else 0
    bars = tuple(
        PhaseBar(
            name=phase.name,
            x=round(min((phase.started - zero).total_seconds() * scale, WIDTH - _LEAST), 2),
            y=number * _ROW,
            width=round(max(phase.duration_s * scale, _LEAST), 2),
            duration_s=phase.duration_s,
            note=phase.note,
        )
        for number, phase in enumerate(phases)
    )
    return Timeline(bars, len(bars) * _ROW, total)
