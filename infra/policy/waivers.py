"""Waivers: who accepted which violation, why, and until when.

An expired waiver waives nothing and is a violation itself; so is one for no rule, and one that nothing needs.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from fnmatch import fnmatchcase
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from .runner import Result, Status

WAIVERS_FILE = Path(__file__).with_name("waivers.yaml")
LONGEST = timedelta(days=366)


class WaiverError(ValueError):
    """The waivers file cannot be used; the message names the file and the entry."""


class Waiver(BaseModel):
    """One accepted violation. It holds through the day it expires."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rule: str = Field(min_length=3)
    resource: str = Field(min_length=1)
    """Pulumi name of the resource, * and ? stand for any text and any character."""
    stack: str = Field(min_length=1)
    """Name of the stack, with the same signs."""
    approver: str = Field(min_length=2)
    reason: str = Field(min_length=20)
    expires: date

    @field_validator("rule")
    @classmethod
    def _one_rule(cls, value: str) -> str:
        if set("*?[") & set(value):
            message = "names one rule, without wildcards"
            raise ValueError(message)
        return value

    def matches(self, result: Result) -> bool:
        """Tell whether this waiver speaks of a result's rule, resource and stack."""
        resource = result.resource
        return (
            self.rule == result.rule.id
            and fnmatchcase(resource.name, self.resource)
            and fnmatchcase(resource.plan.stack, self.stack)
        )


@dataclass(frozen=True)
class Defect:
    """What is wrong with a waiver."""

    waiver: Waiver
    message: str


def load_waivers(path: Path = WAIVERS_FILE) -> tuple[Waiver, ...]:
    """Return the waivers of a file.

    Raises:
        WaiverError: the file is no YAML list of waivers, or one entry is wrong.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        message = f"{path.name}: not readable: {error}"
        raise WaiverError(message) from error
    rows = content.get("waivers") if isinstance(content, dict) else None
    if not isinstance(rows, list) or set(content) != {"waivers"}:
        message = f"{path.name}: holds one list, `waivers:`, and nothing else"
        raise WaiverError(message)
    return tuple(_entry(row, number, path.name) for number, row in enumerate(rows, start=1))


def _entry(row: object, number: int, source: str) -> Waiver:
    try:
        return Waiver.model_validate(row)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'entry'}: {e['msg']}" for e in error.errors())
        message = f"{source}: waiver {number}: {problems}"
        raise WaiverError(message) from error


def apply(results: Iterable[Result], waivers: Sequence[Waiver], today: date) -> tuple[Result, ...]:
    """Return the results with each violation that a waiver in force accepts marked as waived."""
    in_force = [w for w in waivers if today <= w.expires]
    return tuple(_waive(r, in_force) for r in results)


def _waive(result: Result, in_force: Sequence[Waiver]) -> Result:
    waiver = next((w for w in in_force if w.matches(result)), None)
    if waiver is None or result.status is not Status.VIOLATION:
        return result
    return replace(result, status=Status.WAIVED, approver=waiver.approver)


def standing_defects(waivers: Sequence[Waiver], rule_ids: Iterable[str], today: date) -> tuple[Defect, ...]:
    """Return what is wrong with waivers whatever the stack: expired, too long, for no rule."""
    known = frozenset(rule_ids)
    return tuple(Defect(w, message) for w in waivers for message in _standing(w, known, today))


def _standing(waiver: Waiver, known: frozenset[str], today: date) -> Iterable[str]:
    where = f"waiver of {waiver.rule} for {waiver.resource} by {waiver.approver}"
    if waiver.rule not in known:
        yield f"{where}: there is no such rule; remove or correct it"
    if waiver.expires < today:
        yield f"{where}: expired on {waiver.expires}; repair the violation or have it approved anew"
    if waiver.expires > today + LONGEST:
        yield f"{where}: runs until {waiver.expires}; a waiver lasts a year at most"


def unused_defects(waivers: Sequence[Waiver], results: Sequence[Result], stack: str) -> tuple[Defect, ...]:
    """Return the waivers for this stack that no violation needs; `results` are those of the whole stack.

    A rule that could not be established may still need its waiver.
    """
    needing = {Status.VIOLATION, Status.WAIVED, Status.NOT_ESTABLISHED}
    return tuple(
        Defect(w, f"waiver of {w.rule} for {w.resource} by {w.approver}: nothing needs it any more; remove it")
        for w in waivers
        if fnmatchcase(stack, w.stack) and not any(r.status in needing and w.matches(r) for r in results)
    )
