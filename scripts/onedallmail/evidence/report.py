"""Renders the HTML report: one self-contained page, no scripts, nothing fetched from anywhere.

This module turns an assessment into plain rows; the layout is in templates/report/.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jinja2

from onedallmail.evidence.assessment import Assessment, Exceptions
from onedallmail.evidence.context import BundleContext
from onedallmail.evidence.controls import Catalogue, Control
from onedallmail.evidence.pictures import Segment, segments, timeline
from onedallmail.evidence.records import Artefact, Outcome, TestRecord, utc_text
from onedallmail.evidence.redact import shorten
from onedallmail.evidence.report_text import control_anchor, headline, moment_text, period_text, span
from onedallmail.evidence.run_folder import ARTEFACTS
from onedallmail.evidence.verdicts import Finding, Observation, Verdict
from onedallmail.evidence.version import VERSION
from onedallmail.paths import ROOT

PREVIEW_CHARACTERS = 2000
TEMPLATES = ROOT / "templates" / "report"


@dataclass(frozen=True, kw_only=True)
class About:
    """What identifies the bundle that the report belongs to."""

    bundle: str
    stack: str
    fingerprint: str
    head: str
    entries: int
    elsewhere: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Style:
    """How a verdict is shown: in words, by a sign that needs no colour, and what it means."""

    name: str
    slug: str
    sign: str
    meaning: str


STYLES: Mapping[Verdict, Style] = {
    Verdict.PASS: Style(
        name="Pass", slug="pass", sign="✓", meaning="all evidence that is expected is here, current, and holds"
    ),
    Verdict.FAIL: Style(name="Fail", slug="fail", sign="✕", meaning="at least one check failed"),
    Verdict.NOT_ESTABLISHED: Style(
        name="Not established", slug="open", sign="?", meaning="not observed here, stale, skipped or unreadable"
    ),
    Verdict.MANUAL: Style(name="Manual", slug="manual", sign="✎", meaning="a person has to state it"),
    Verdict.WAIVED: Style(
        name="Waived", slug="waived", sign="~", meaning="a deviation that someone accepted until a date"
    ),
    Verdict.NOT_APPLICABLE: Style(
        name="Not applicable", slug="na", sign="\N{EN DASH}", meaning="does not concern this platform, with the reason"
    ),
}


@dataclass(frozen=True, kw_only=True)
class RawFile:
    """A raw artefact: where it lies in the bundle, and its beginning when it is text."""

    path: str
    artefact: Artefact
    preview: str


@dataclass(frozen=True, kw_only=True)
class TestRow:
    """One execution of a test as the report shows it."""

    __test__ = False

    anchor: str
    key: str
    name: str
    group: str
    outcome: Outcome
    observed: str
    superseded: bool
    controls: tuple[str, ...]
    record: TestRecord | None
    raw: tuple[RawFile, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ControlRow:
    """One control as the report shows it."""

    anchor: str
    control: Control
    finding: Finding
    style: Style
    tests: tuple[TestRow, ...]
    aside: tuple[tuple[TestRow, str], ...]


@dataclass(frozen=True, kw_only=True)
class FrameworkView:
    """One framework: its controls by theme, its counts and its picture."""

    key: str
    title: str
    themes: Mapping[str, Sequence[ControlRow]]
    counts: Sequence[tuple[Style, int]]
    bar: Sequence[Segment]
    total: int


def render(
    found: Assessment,
    catalogue: Catalogue,
    exceptions: Exceptions,
    context: BundleContext,
    about: About,
    *,
    files: Mapping[str, bytes],
) -> bytes:
    """Return the report as UTF-8 HTML."""
    tests = _tests(found, files)
    by_key = {row.key: row for row in tests}
    findings = {item.control: item for item in found.findings}
    controls = {control.id: _control(control, findings[control.id], by_key) for control in catalogue}
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["utc"] = utc_text
    environment.filters["moment"] = moment_text
    environment.filters["period"] = period_text
    environment.filters["span"] = span
    environment.filters["anchor"] = control_anchor
    page = environment.get_template("report.html.j2").render(
        about=about,
        assessment=found,
        context=context,
        version=VERSION,
        styles=STYLES,
        counts=[(STYLES[verdict], number) for verdict, number in _in_order(found)],
        headline=headline(found),
        frameworks=[_framework(catalogue, key, controls, found) for key in catalogue.frameworks],
        failing=[row for row in controls.values() if row.finding.verdict is Verdict.FAIL],
        open_reasons=_open_reasons(controls.values()),
        waiting=[row for row in controls.values() if row.finding.verdict is Verdict.MANUAL],
        waived=[row for row in controls.values() if row.finding.verdict is Verdict.WAIVED],
        tests=_by_group(tests),
        outcomes=_outcomes(tests),
        resources=_resources(context),
        timeline=timeline(context.phases),
        statements=sorted(exceptions.statements.values(), key=lambda item: item.control),
    )
    return page.encode("utf-8", errors="backslashreplace")


def _tests(found: Assessment, files: Mapping[str, bytes]) -> list[TestRow]:
    superseded = {item.key for item in found.superseded}
    ordered = sorted(found.collected.observations, key=lambda item: (item.test, item.key))
    return [
        _test(number, item, found.collected.records.get(item.key), files, superseded)
        for number, item in enumerate(ordered, start=1)
    ]


def _test(
    number: int, item: Observation, record: TestRecord | None, files: Mapping[str, bytes], superseded: Collection[str]
) -> TestRow:
    group, _, name = item.test.partition("::")
    return TestRow(
        anchor=f"test-{number}",
        key=item.key,
        name=name or item.test,
        group=group,
        outcome=item.outcome,
        observed=utc_text(item.observed) if item.observed else "no time",
        superseded=item.key in superseded,
        controls=tuple(sorted(item.controls)),
        record=record,
        raw=tuple(_raw(item.key, artefact, files) for artefact in record.artefacts) if record else (),
    )


def _raw(key: str, artefact: Artefact, files: Mapping[str, bytes]) -> RawFile:
    path = f"{key.rpartition('/tests/')[0]}/{ARTEFACTS}/{artefact.file}"
    try:
        text = files[path].decode("utf-8")
    except UnicodeDecodeError:
        text = ""
    readable = all(character.isprintable() or character in "\n\t\r" for character in text)
    return RawFile(path=path, artefact=artefact, preview=shorten(text, PREVIEW_CHARACTERS) if readable else "")


def _control(control: Control, finding: Finding, tests: Mapping[str, TestRow]) -> ControlRow:
    return ControlRow(
        anchor=control_anchor(control.id),
        control=control,
        finding=finding,
        style=STYLES[finding.verdict],
        tests=tuple(tests[key] for key in finding.counted),
        aside=tuple((tests[key], why) for key, why in finding.set_aside),
    )


def _framework(catalogue: Catalogue, key: str, controls: Mapping[str, ControlRow], found: Assessment) -> FrameworkView:
    rows = [controls[control.id] for control in catalogue.of(key)]
    themes: dict[str, list[ControlRow]] = {}
    for row in rows:
        themes.setdefault(row.control.theme, []).append(row)
    return FrameworkView(
        key=key,
        title=catalogue.frameworks[key],
        themes=themes,
        counts=[(STYLES[verdict], number) for verdict, number in _in_order(found, key)],
        bar=segments([number for _, number in _in_order(found, key)]),
        total=len(rows),
    )


def _in_order(found: Assessment, framework: str | None = None) -> list[tuple[Verdict, int]]:
    counts = found.counts(framework)
    return [(verdict, counts[verdict]) for verdict in STYLES]


def _open_reasons(rows: Any) -> list[tuple[str, list[ControlRow]]]:
    groups: dict[str, list[ControlRow]] = {}
    for row in rows:
        if row.finding.verdict is Verdict.NOT_ESTABLISHED:
            groups.setdefault(row.finding.reason, []).append(row)
    return sorted(groups.items(), key=lambda item: -len(item[1]))


def _by_group(tests: Sequence[TestRow]) -> list[tuple[str, list[TestRow]]]:
    groups: dict[str, list[TestRow]] = {}
    for row in tests:
        groups.setdefault(row.group, []).append(row)
    return sorted(groups.items())


def _outcomes(tests: Sequence[TestRow]) -> list[tuple[Outcome, int]]:
    return [
        (outcome, number)
        for outcome in Outcome
        if (number := sum(row.outcome is outcome and not row.superseded for row in tests))
    ]


def _resources(context: BundleContext) -> Mapping[str, int]:
    return {
        "realised": sum(row.realised for row in context.resources),
        "emulated": sum(row.emulated for row in context.resources),
        "recorded": sum(row.recorded for row in context.resources),
    }
