"""Reads what test runs left behind into observations. Pure over paths and bytes, so a verifier can repeat it.

Whatever cannot be read, does not fit its plan or was changed afterwards becomes an UNREADABLE observation, not a gap.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from onedallmail.evidence import canonical
from onedallmail.evidence.records import Outcome, PlannedTest, RunRecord, TestRecord
from onedallmail.evidence.run_folder import ARTEFACTS, RUN_FILE, TESTS
from onedallmail.evidence.verdicts import Observation

RESULTS = "results"


class CollectError(ValueError):
    """The given results cannot be collected at all; the message names the folder."""


@dataclass
class Collected:
    """What was found: runs, readable records by path, one observation a planned test, and what was wrong."""

    runs: list[RunRecord] = field(default_factory=list)
    records: dict[str, TestRecord] = field(default_factory=dict)
    observations: list[Observation] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def period(self) -> tuple[datetime, datetime] | None:
        """The time from the first to the last observation."""
        times = [item.observed for item in self.observations if item.observed is not None]
        return (min(times), max(times)) if times else None


def read_results(folders: Sequence[Path]) -> dict[str, bytes]:
    """Return the files of all runs in these folders as results/RUN/...; raise CollectError when a folder is missing."""
    files: dict[str, bytes] = {}
    for folder in folders:
        if not folder.is_dir():
            message = f"{folder}: no such folder of test results; run the tests with --evidence {folder}"
            raise CollectError(message)
        runs = [folder] if (folder / RUN_FILE).is_file() else sorted(path for path in folder.iterdir() if path.is_dir())
        for run in runs:
            for path in sorted(run.rglob("*")):
                if path.is_symlink() or not path.is_file() or path.name.startswith("."):
                    continue
                name = f"{RESULTS}/{run.name}/{path.relative_to(run).as_posix()}"
                content = path.read_bytes()
                if files.setdefault(name, content) != content:
                    message = f"{path}: another folder holds a different file of the same run {run.name}"
                    raise CollectError(message)
    return files


def collect(files: Mapping[str, bytes], stack: str, *, changed: Collection[str] = ()) -> Collected:
    """Return what the files under results/ say about `stack`; `changed` are paths that no longer are what they were."""
    found = Collected()
    names = sorted({path.split("/")[1] for path in files if path.startswith(f"{RESULTS}/") and path.count("/") >= 2})  # noqa: PLR2004 - results/RUN/file
    for name in names:
        prefix = f"{RESULTS}/{name}/"
        own = {path.removeprefix(prefix): content for path, content in files.items() if path.startswith(prefix)}
        altered = {path.removeprefix(prefix) for path in changed if path.startswith(prefix)}
        _collect_run(name, own, stack, altered, found)
    return found


def _collect_run(name: str, files: Mapping[str, bytes], stack: str, altered: Collection[str], found: Collected) -> None:
    run: RunRecord | None = None
    try:
        run = _read_run(name, files)
    except ValueError as error:
        found.problems.append(f"Run {name}: its {RUN_FILE} is unusable ({_first(error)}); none of its records counts.")
    if run is not None and run.stack != stack:
        found.problems.append(f"Run {name}: it looked at stack {run.stack!r}, not {stack!r}; it does not count.")
        return
    if run is not None:
        found.runs.append(run)
        if run.finished is None:
            found.problems.append(f"Run {name}: it did not come to its end.")
    planned = {f"{TESTS}/{test.file}": test for test in run.planned} if run is not None else {}
    for path, test in planned.items():
        if run is not None:
            _collect_test(run, path, test, files, is_altered=path in altered, found=found)
    for path in sorted(set(files) - set(planned)):
        if path.startswith(f"{TESTS}/"):
            _collect_unplanned(name, path, files[path], found)


def _read_run(name: str, files: Mapping[str, bytes]) -> RunRecord:
    if RUN_FILE not in files:
        message = "it is missing"
        raise ValueError(message)
    run = RunRecord.model_validate(canonical.decode(files[RUN_FILE]))
    if run.run != name:
        message = f"it says it is run {run.run}"
        raise ValueError(message)
    return run


def _collect_test(
    run: RunRecord, path: str, test: PlannedTest, files: Mapping[str, bytes], *, is_altered: bool, found: Collected
) -> None:
    key = f"{RESULTS}/{run.run}/{path}"
    controls = frozenset(test.controls)
    if path not in files:
        found.observations.append(_open(key, test.nodeid, controls, Outcome.MISSING, run.started))
        return
    try:
        record = _read_record(run, test, files, path, is_altered=is_altered)
    except ValueError as error:
        found.problems.append(f"{key}: unreadable: {_first(error)}.")
        found.observations.append(_open(key, test.nodeid, controls, Outcome.UNREADABLE, run.started))
        return
    found.records[key] = record
    found.observations.append(
        Observation(
            key=key,
            test=record.nodeid,
            controls=controls,
            outcome=record.outcome,
            observed=record.started,
            kind=record.kind,
            basis=record.basis,
        )
    )


def _read_record(
    run: RunRecord, test: PlannedTest, files: Mapping[str, bytes], path: str, *, is_altered: bool
) -> TestRecord:
    if is_altered:
        message = "it was changed after it was entered in the ledger"
        raise ValueError(message)
    record = TestRecord.model_validate(canonical.decode(files[path]))
    if (record.run, record.nodeid, sorted(record.controls)) != (run.run, test.nodeid, sorted(test.controls)):
        message = "it belongs to another test or run than its place says"
        raise ValueError(message)
    for artefact in record.artefacts:
        content = files.get(f"{ARTEFACTS}/{artefact.file}")
        if content is None:
            message = f"its artefact {artefact.file} is missing"
            raise ValueError(message)
        if len(content) != artefact.size_bytes or canonical.sha256(content) != artefact.sha256:
            message = f"its artefact {artefact.file} is not what the test kept"
            raise ValueError(message)
    return record


def _collect_unplanned(run: str, path: str, content: bytes, found: Collected) -> None:
    key = f"{RESULTS}/{run}/{path}"
    found.problems.append(f"{key}: no run planned this record, so it does not count.")
    try:
        record = TestRecord.model_validate(canonical.decode(content))
    except ValueError:
        return
    found.observations.append(_open(key, record.nodeid, frozenset(record.controls), Outcome.UNREADABLE, None))


def _open(key: str, test: str, controls: frozenset[str], outcome: Outcome, observed: datetime | None) -> Observation:
    return Observation(key=key, test=test, controls=controls, outcome=outcome, observed=observed)


def _first(error: Exception) -> str:
    if isinstance(error, ValidationError):
        problem = error.errors()[0]
        return f"{'.'.join(map(str, problem['loc'])) or 'document'}: {problem['msg']}"
    return str(error).splitlines()[0]
