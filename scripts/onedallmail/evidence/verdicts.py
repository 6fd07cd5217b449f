"""From observations to one verdict a control. Pure: the same catalogue, observations and time give the same verdicts.

Precedence: FAIL, then what gave no result, then what is missing, then what a person has to state, then PASS.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from onedallmail.evidence.controls import Catalogue, Control, EvidenceKind
from onedallmail.evidence.exceptions import Statement, Waiver
from onedallmail.evidence.records import Basis, Outcome, utc_text

CLOCK_TOLERANCE = timedelta(minutes=5)
_FAILED = frozenset({Outcome.FAILED, Outcome.ERROR})
_CONCLUSIVE = _FAILED | {Outcome.PASSED}


class Verdict(StrEnum):
    """What is known about a control at one moment."""

    PASS = "PASS"  # noqa: S105 - a verdict, no password
    FAIL = "FAIL"
    NOT_ESTABLISHED = "NOT_ESTABLISHED"
    MANUAL = "MANUAL"
    NOT_APPLICABLE = "NOT_APPLICABLE"
    WAIVED = "WAIVED"


@dataclass(frozen=True, kw_only=True)
class Observation:
    """One look at one or more controls. `test` names the check, `key` this one execution of it."""

    key: str
    test: str
    controls: frozenset[str]
    outcome: Outcome
    observed: datetime | None
    kind: EvidenceKind = EvidenceKind.TEST
    basis: Basis = Basis.OBSERVED


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The verdict on a control, why, what it rests on, and what was left out of account and why."""

    control: str
    verdict: Verdict
    reason: str
    counted: tuple[str, ...] = ()
    set_aside: tuple[tuple[str, str], ...] = ()
    without_waiver: Verdict | None = None


def latest_of_each_test(observations: Iterable[Observation]) -> tuple[list[Observation], list[Observation]]:
    """Return (current, superseded): a later conclusive run of the same test replaces an earlier run of it.

    A skipped run gives way to any conclusive one. A missing or unreadable record may hide a failure: it gives way only
    to a conclusive run that started after it, and stands beside older ones.
    """
    by_test: dict[str, list[Observation]] = {}
    for observation in observations:
        by_test.setdefault(observation.test, []).append(observation)
    current: list[Observation] = []
    superseded: list[Observation] = []
    for runs in by_test.values():
        times = [run.observed for run in runs if run.outcome in _CONCLUSIVE and run.observed is not None]
        keep = [run for run in runs if _stands(run, max(times))] if times else runs[-1:]
        current += keep
        superseded += [run for run in runs if run not in keep]
    return current, superseded


def _stands(run: Observation, latest_conclusive: datetime) -> bool:
    if run.outcome is Outcome.SKIPPED:
        return False
    if run.outcome in _CONCLUSIVE:
        return run.observed == latest_conclusive
    return run.observed is None or run.observed > latest_conclusive


def judge_all(
    catalogue: Catalogue,
    observations: Sequence[Observation],
    *,
    now: datetime,
    waivers: Mapping[str, Waiver] | None = None,
    statements: Mapping[str, Statement] | None = None,
) -> list[Finding]:
    """Return one finding a control, in the order of the catalogue."""
    by_control: dict[str, list[Observation]] = {}
    for observation in observations:
        for control in observation.controls:
            by_control.setdefault(control, []).append(observation)
    return [
        judge(
            control,
            by_control.get(control.id, []),
            now=now,
            waiver=(waivers or {}).get(control.id),
            statement=(statements or {}).get(control.id),
        )
        for control in catalogue
    ]


def judge(
    control: Control,
    observations: Sequence[Observation],
    *,
    now: datetime,
    waiver: Waiver | None = None,
    statement: Statement | None = None,
) -> Finding:
    """Return the finding on one control; observations that do not name it are ignored."""
    mine = [observation for observation in observations if control.id in observation.controls]
    finding = _judge_evidence(control, mine, now=now, statement=statement)
    if waiver is None or finding.verdict in {Verdict.PASS, Verdict.NOT_APPLICABLE}:
        return finding
    if not waiver.in_force(now):
        note = f" The waiver of {waiver.approver} does not hold: it covers {waiver.approved} to {waiver.expires}."
        return _replaced(finding, finding.verdict, finding.reason + note)
    reason = f"Waived by {waiver.approver} until {waiver.expires}: {waiver.reason} Without the waiver: {finding.reason}"
    return _replaced(finding, Verdict.WAIVED, reason, without_waiver=finding.verdict)


def _judge_evidence(
    control: Control, mine: Sequence[Observation], *, now: datetime, statement: Statement | None
) -> Finding:
    failed = [item for item in mine if item.outcome in _FAILED]
    if failed:
        names = _some(sorted({item.test for item in failed}))
        return _finding(control, Verdict.FAIL, f"{_count(failed, 'check')} failed: {names}.", counted=mine)
    if control.not_applicable:
        return _finding(control, Verdict.NOT_APPLICABLE, control.not_applicable)
    unseen = [item for item in mine if item.outcome is not Outcome.PASSED]
    if unseen:
        how = ", ".join(sorted({_OPEN[item.outcome] for item in unseen}))
        names = _some(sorted({item.test for item in unseen}))
        reason = f"{_count(unseen, 'check')} of {len(mine)} gave no result ({how}): {names}."
        return _finding(control, Verdict.NOT_ESTABLISHED, reason, counted=mine)
    return _judge_passes(control, mine, now=now, statement=statement)


def _judge_passes(
    control: Control, passes: Sequence[Observation], *, now: datetime, statement: Statement | None
) -> Finding:
    aside = [(item, why) for item in passes if (why := _why_not_counted(item, control, now))]
    left_out = {id(item) for item, _ in aside}
    counted = [item for item in passes if id(item) not in left_out]
    missing = sorted(control.expects - {EvidenceKind.MANUAL} - {item.kind for item in counted})
    stated = statement is not None and statement.in_force(now)
    if missing:
        kinds = " and no current ".join(missing)
        detail = f" What there is does not count: {_some([why for _, why in aside])}." if aside else ""
        reason = f"No current {kinds} covers this control.{detail}"
        return _finding(control, Verdict.NOT_ESTABLISHED, reason, counted=counted, aside=aside)
    sentences = [f"{_count(counted, 'check')} passed."] if counted else []
    if EvidenceKind.MANUAL in control.expects and not stated:
        sentences.append("A person has to state the rest." if counted else "A person has to state how it is met.")
        if statement:
            sentences.append(f"The statement of {statement.stated} has run out.")
        return _finding(control, Verdict.MANUAL, " ".join(sentences), counted=counted, aside=aside)
    if statement and stated:
        sentences.append(f"Stated by {statement.person}, {statement.role}, on {statement.stated}.")
    return _finding(control, Verdict.PASS, " ".join(sentences), counted=counted, aside=aside)


_OPEN = {
    Outcome.SKIPPED: "skipped",
    Outcome.MISSING: "never ran",
    Outcome.UNREADABLE: "record unreadable or changed",
}


def _why_not_counted(item: Observation, control: Control, now: datetime) -> str | None:
    if item.observed is None:
        return "it has no time"
    if item.observed > now + CLOCK_TOLERANCE:
        return f"it claims a time in the future ({utc_text(item.observed)})"
    if now - item.observed > timedelta(days=control.freshness_days):
        return f"it is stale ({utc_text(item.observed)}, allowed are {control.freshness_days} days)"
    if item.basis is Basis.RECORDED:
        return "it looked at a resource that is only recorded, not running"
    return None


def _finding(
    control: Control,
    verdict: Verdict,
    reason: str,
    *,
    counted: Iterable[Observation] = (),
    aside: Iterable[tuple[Observation, str]] = (),
) -> Finding:
    return Finding(
        control=control.id,
        verdict=verdict,
        reason=reason,
        counted=tuple(sorted({item.key for item in counted})),
        set_aside=tuple(sorted({(item.key, why) for item, why in aside})),
    )


def _replaced(finding: Finding, verdict: Verdict, reason: str, *, without_waiver: Verdict | None = None) -> Finding:
    return Finding(
        control=finding.control,
        verdict=verdict,
        reason=reason,
        counted=finding.counted,
        set_aside=finding.set_aside,
        without_waiver=without_waiver,
    )


def _count(items: Sequence[object], noun: str) -> str:
    return f"{len(items)} {noun}" + ("" if len(items) == 1 else "s")


def _some(names: Sequence[str], most: int = 3) -> str:
    unique = list(dict.fromkeys(names))
    shown = ", ".join(unique[:most])
    return shown if len(unique) <= most else f"{shown} and {len(unique) - most} more"
