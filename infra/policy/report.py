"""The results of a run as a JSON document: what evidence keeps, and what people compare between runs."""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from .model import AnyRule
from .runner import Result, Status
from .waivers import Defect


def document(
    results: Sequence[Result], rules: Sequence[AnyRule], defects: Sequence[Defect], *, stack: str, basis: str
) -> dict[str, Any]:
    """Return the document of a run; `basis` says what was looked at (a recorded program, a deployed state)."""
    counts = Counter(r.status for r in results)
    examined = Counter(r.rule.id for r in results)
    return {
        "schema_version": 1,
        "stack": stack,
        "basis": basis,
        "resources": _fingerprint(results),
        "counts": {status.value: counts[status] for status in Status},
        "rules": [_rule(rule, examined[rule.id]) for rule in rules],
        "findings": [_finding(r) for r in results if r.status is not Status.PASS],
        "waiver_defects": [d.message for d in defects],
    }


def text(content: dict[str, Any]) -> str:
    """Return a document as the text that is kept: sorted keys, one line end."""
    return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _rule(rule: AnyRule, examined: int) -> dict[str, Any]:
    return {
        "id": rule.id,
        "title": rule.title,
        "severity": rule.severity.value,
        "level": rule.level.value,
        "controls": list(rule.controls),
        "remediation": rule.remediation,
        "examined": examined,
    }


def _finding(result: Result) -> dict[str, Any]:
    return {
        "rule": result.rule.id,
        "type": result.resource.type,
        "resource": result.resource.name,
        "status": result.status.value,
        "messages": list(result.messages),
        "approver": result.approver,
    }


def _fingerprint(results: Sequence[Result]) -> dict[str, Any]:
    """Return how many resources rules looked at, and a hash of their types and names."""
    names = sorted({f"{r.resource.type} {r.resource.name}" for r in results})
    return {"examined": len(names), "sha256": hashlib.sha256("\n".join(names).encode()).hexdigest()}
