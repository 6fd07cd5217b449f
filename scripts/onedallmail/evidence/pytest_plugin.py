"""Pytest plugin: tests name the controls they give evidence for, and `--evidence DIR` keeps what they observed.

An unknown control id stops the run at collection. With CI=true a skipped test that is marked `lab` is a failure.
"""

import inspect
import os
import platform
import secrets
import sys
from collections.abc import Generator, Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, cast

import pytest

from onedallmail.evidence.attachments import Evidence
from onedallmail.evidence.controls import CatalogueError, EvidenceKind, load_catalogue
from onedallmail.evidence.records import Basis, Outcome, PlannedTest, RunRecord, TestRecord, Tool
from onedallmail.evidence.redact import redact, shorten
from onedallmail.evidence.run_folder import RunFolder, record_file

FAILURE_CHARACTERS = 8000
PARAMETER_CHARACTERS = 200
_RECORDER = pytest.StashKey["Recorder"]()
_EVIDENCE = pytest.StashKey[Evidence]()
_PHASES = pytest.StashKey[dict[str, pytest.TestReport]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer --evidence and --evidence-stack."""
    group = parser.getgroup("evidence", "evidence for controls")
    group.addoption("--evidence", metavar="DIR", type=Path, help="keep a record of each test in a new folder below DIR")
    group.addoption("--evidence-stack", metavar="NAME", default="lab", help="stack the tests look at (default: lab)")


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers, and start a run folder when evidence is kept."""
    config.addinivalue_line(
        "markers", "control(*ids, kind='test', basis='observed'): controls this test is evidence for"
    )
    config.addinivalue_line("markers", "lab: needs the running lab")
    parent: Path | None = config.getoption("--evidence")
    if parent is not None and not config.option.collectonly:
        config.stash[_RECORDER] = Recorder(parent, config)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Complete the run's document."""
    recorder = config.stash.get(_RECORDER, None)
    if recorder is not None:
        recorder.folder.finish()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Stop the run when a test names a control that the catalogue does not know."""
    try:
        known = load_catalogue()
    except CatalogueError as error:
        raise pytest.UsageError(str(error)) from error
    problems = []
    for item in items:
        for marker in item.iter_markers("control"):
            if not marker.args:
                problems.append(f"{item.nodeid}: the control marker names no control")
            problems += [
                f"{item.nodeid}: unknown control {control!r}; docs/controls.md lists the known ones"
                for control in marker.args
                if control not in known
            ]
            problems += [f"{item.nodeid}: {problem}" for problem in _wrong_options(marker.kwargs)]
    if problems:
        raise pytest.UsageError("\n".join(dict.fromkeys(problems)))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Write down what the run is going to do."""
    recorder = session.config.stash.get(_RECORDER, None)
    if recorder is not None:
        recorder.plan(session.items)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """With CI=true, refuse a file that skips itself as a whole: its tests would vanish without a trace."""
    report = yield
    if report.skipped and _is_ci():
        report.outcome = "failed"
        report.longrepr = f"{collector.nodeid}: skips itself as a whole, which CI=true forbids ({report.longreprtext})"
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skipped lab test into a failure under CI, and record the test after its last phase."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and _is_ci() and item.get_closest_marker("lab"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid}: a lab test was skipped, which CI=true forbids ({reason})"
    phases = item.stash.setdefault(_PHASES, {})
    phases[report.when or "call"] = report
    recorder = item.config.stash.get(_RECORDER, None)
    if recorder is not None and report.when == "teardown":
        recorder.record(item, phases)
    return report


@pytest.fixture
def evidence(request: pytest.FixtureRequest) -> Evidence:
    """Where a test puts population, query, sample, seed and raw artefacts; kept only with --evidence."""
    item = cast("pytest.Item", request.node)
    recorder = item.config.stash.get(_RECORDER, None)
    return item.stash.setdefault(_EVIDENCE, Evidence(recorder.folder.keep if recorder else None))


class Recorder:
    """Writes the records of one run."""

    def __init__(self, parent: Path, config: pytest.Config) -> None:
        started = datetime.now(UTC)
        run = RunRecord(
            run=f"{started:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}",
            stack=str(config.getoption("--evidence-stack")),
            started=started,
            arguments=tuple(
                redact(argument) for argument in config.invocation_params.args if isinstance(argument, str)
            ),
            tools=_tools(),
        )
        parent.mkdir(parents=True, exist_ok=True)
        self.folder = RunFolder(parent, run)
        self._files: dict[str, str] = {}

    def plan(self, items: Sequence[pytest.Item]) -> None:
        """Write down the tests of this run and the files their records will have."""
        self._files = {item.nodeid: record_file(number, item.nodeid) for number, item in enumerate(items, start=1)}
        self.folder.plan(
            [PlannedTest(nodeid=item.nodeid, controls=_controls(item), file=self._files[item.nodeid]) for item in items]
        )

    def record(self, item: pytest.Item, phases: dict[str, pytest.TestReport]) -> None:
        """Write the record of a finished test."""
        attached = item.stash.get(_EVIDENCE, None) or Evidence(None)
        options = _options(item)
        failures = [report.longreprtext for report in phases.values() if _is_bad(report) and report.longrepr]
        record = TestRecord(
            run=self.folder.run,
            nodeid=item.nodeid,
            controls=_controls(item),
            kind=EvidenceKind(options.get("kind", EvidenceKind.TEST)),
            basis=attached.basis or Basis(options.get("basis", Basis.OBSERVED)),
            outcome=_outcome(phases),
            started=datetime.fromtimestamp(next(iter(phases.values())).start, UTC),
            duration_s=round(sum(report.duration for report in phases.values()), 6),
            purpose=redact(inspect.getdoc(getattr(item, "function", None)) or ""),
            parameters=_parameters(item),
            failure=shorten(redact("\n\n".join(failures) or _skip_reason(phases)), FAILURE_CHARACTERS),
            facts=attached.facts,
            artefacts=tuple(attached.artefacts),
            tool=attached.used_tool or Tool(name="pytest", version=pytest.__version__),
        )
        self.folder.add(record, self._files[item.nodeid])


def _is_ci() -> bool:
    return os.environ.get("CI", "").lower() in {"true", "1"}


def _is_bad(report: pytest.TestReport) -> bool:
    return report.failed or hasattr(report, "wasxfail")


def _outcome(phases: dict[str, pytest.TestReport]) -> Outcome:
    """Return the outcome of a test. An expected failure stays a failure: a known gap does not meet a control."""
    call = phases.get("call")
    if call is not None and (call.failed or (call.skipped and hasattr(call, "wasxfail"))):
        return Outcome.FAILED
    if any(report.failed for report in phases.values()):
        return Outcome.ERROR
    if any(report.skipped for report in phases.values()) or call is None:
        return Outcome.SKIPPED
    return Outcome.PASSED


def _skip_reason(phases: dict[str, pytest.TestReport]) -> str:
    for report in phases.values():
        if report.skipped:
            return report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
    return ""


def _controls(item: pytest.Item) -> tuple[str, ...]:
    return tuple(sorted({str(control) for marker in item.iter_markers("control") for control in marker.args}))


def _options(item: pytest.Item) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for marker in reversed(list(item.iter_markers("control"))):
        merged |= marker.kwargs
    return merged


def _wrong_options(options: Mapping[str, Any]) -> list[str]:
    allowed = {"kind": {kind.value for kind in EvidenceKind} - {"manual"}, "basis": {basis.value for basis in Basis}}
    problems = [f"the control marker has no option {name!r}" for name in sorted(set(options) - set(allowed))]
    return problems + [
        f"{name}={options[name]!r} is none of {', '.join(sorted(values))}"
        for name, values in allowed.items()
        if name in options and options[name] not in values
    ]


def _parameters(item: pytest.Item) -> dict[str, str]:
    callspec = getattr(item, "callspec", None)
    values: dict[str, object] = callspec.params if callspec else {}
    return {
        name: redact(f"{name}={shorten(repr(value), PARAMETER_CHARACTERS)}").partition("=")[2]
        for name, value in values.items()
    }


def _tools() -> tuple[Tool, ...]:
    names = ("pytest", "pytest-testinfra", "hypothesis", "ansible-core", "pulumi", "pulumi-aws")
    found = [Tool(name="python", version=platform.python_version()), Tool(name="system", version=sys.platform)]
    for name in names:
        try:
            found.append(Tool(name=name, version=metadata.version(name)))
        except metadata.PackageNotFoundError:
            continue
    return tuple(found)
