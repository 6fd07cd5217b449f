"""One assessment: files of results, catalogue, exceptions and ledger in, findings out. Pure.

Building a bundle and verifying it both come here, so a verdict that does not follow from its evidence shows.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from onedallmail.evidence import chain
from onedallmail.evidence.collect import Collected, collect
from onedallmail.evidence.controls import Catalogue
from onedallmail.evidence.exceptions import Statement, Waiver, parse_entries
from onedallmail.evidence.ledger import Entry
from onedallmail.evidence.verdicts import Finding, Observation, Verdict, judge_all, latest_of_each_test


@dataclass(frozen=True, kw_only=True)
class Exceptions:
    """What people added: waivers and statements by control."""

    waivers: Mapping[str, Waiver]
    statements: Mapping[str, Statement]

    def to_document(self) -> dict[str, Any]:
        """Return the JSON document that a bundle carries."""
        return {"waivers": _rows(self.waivers.values()), "statements": _rows(self.statements.values())}

    @classmethod
    def from_document(cls, document: dict[str, Any], catalogue: Catalogue) -> "Exceptions":
        """Return the exceptions in a bundle's document; raise ExceptionsError when an entry is wrong."""
        return cls(
            waivers=parse_entries(document["waivers"], Waiver, catalogue, source="exceptions.json"),
            statements=parse_entries(document["statements"], Statement, catalogue, source="exceptions.json"),
        )


@dataclass(frozen=True, kw_only=True)
class Assessment:
    """The findings of one moment, with what they rest on and what was wrong with the material."""

    judged: datetime
    findings: tuple[Finding, ...]
    current: tuple[Observation, ...]
    superseded: tuple[Observation, ...]
    collected: Collected

    def counts(self, framework: str | None = None) -> dict[Verdict, int]:
        """Return the number of controls with each verdict, of one framework or of all."""
        mine = [item for item in self.findings if framework is None or item.control.startswith(f"{framework}:")]
        return {verdict: sum(item.verdict is verdict for item in mine) for verdict in Verdict}


def assess(
    files: Mapping[str, bytes],
    *,
    stack: str,
    catalogue: Catalogue,
    exceptions: Exceptions,
    entries: Iterable[Entry],
    now: datetime,
) -> Assessment:
    """Return the assessment of the results in `files` at `now`."""
    collected = collect(files, stack, changed=chain.changed_files(files, entries))
    current, superseded = latest_of_each_test(collected.observations)
    findings = judge_all(catalogue, current, now=now, waivers=exceptions.waivers, statements=exceptions.statements)
    return Assessment(
        judged=now,
        findings=tuple(findings),
        current=tuple(current),
        superseded=tuple(superseded),
        collected=collected,
    )


def to_document(assessment: Assessment, *, version: str) -> dict[str, Any]:
    """Return the JSON document of the verdicts."""
    return {
        "schema_version": 1,
        "judged": assessment.judged.isoformat(),
        "tool": {"name": "onedallmail", "version": version},
        "counts": {verdict.value: number for verdict, number in assessment.counts().items()},
        "findings": [_finding(item) for item in assessment.findings],
        "superseded": [{"key": item.key, "test": item.test, "outcome": item.outcome} for item in assessment.superseded],
        "problems": list(assessment.collected.problems),
    }


def _finding(item: Finding) -> dict[str, Any]:
    return {
        "control": item.control,
        "verdict": item.verdict.value,
        "reason": item.reason,
        "counted": list(item.counted),
        "set_aside": [{"key": key, "why": why} for key, why in item.set_aside],
        "without_waiver": item.without_waiver.value if item.without_waiver else None,
    }


def _rows(entries: Iterable[BaseModel]) -> list[dict[str, Any]]:
    return [entry.model_dump(mode="json") for entry in entries]
