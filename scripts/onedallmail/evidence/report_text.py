"""The words of the report: its first sentence, times, periods and durations for people, and anchors."""

import calendar
from datetime import UTC, datetime

from onedallmail.evidence.assessment import Assessment
from onedallmail.evidence.verdicts import Verdict


def headline(found: Assessment) -> str:
    """Return the one sentence that the report opens with; it never sounds better than the figures are."""
    counts = found.counts()
    failed, passed, unknown = counts[Verdict.FAIL], counts[Verdict.PASS], counts[Verdict.NOT_ESTABLISHED]
    left = f"{unknown} {_be(unknown)} not established" if unknown else "none is left that a check could settle"
    if failed:
        return f"{failed} control{' fails' if failed == 1 else 's fail'}, {passed} pass, {left}."
    if not passed:
        return "Nothing is established: no control has evidence that counts."
    return f"No check failed: {passed} control{' passes' if passed == 1 else 's pass'}, {left}."


def _be(number: int) -> str:
    return "is" if number == 1 else "are"


def moment_text(moment: datetime) -> str:
    """Return an aware time for people: 14 March 2026, 09:26 UTC."""
    utc = moment.astimezone(UTC)
    return f"{utc.day} {calendar.month_name[utc.month]} {utc:%Y, %H:%M} UTC"


def period_text(period: tuple[datetime, datetime]) -> str:
    """Return a period for people, the day said once when it is one day."""
    start, end = (moment.astimezone(UTC) for moment in period)
    if start.date() == end.date():
        return f"{start.day} {calendar.month_name[start.month]} {start:%Y, %H:%M} to {end:%H:%M} UTC"
    return f"{moment_text(start)} to {moment_text(end)}"


def span(seconds: float) -> str:
    """Return a duration for people: 0.4 ms, 84 ms, 3.2 s, 4 min 05 s."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:  # noqa: PLR2004 - a minute
        return f"{seconds:.1f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"


def control_anchor(control_id: str) -> str:
    """Return the anchor of a control's detail."""
    return "control-" + control_id.replace(":", "-").replace(".", "-")
