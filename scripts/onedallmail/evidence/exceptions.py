"""What people add to the machine's observations: waivers (approver, reason, expiry) and statements.

Both are TOML files beside the ledger; a file that is wrong in one entry is refused as a whole.
"""

import tomllib
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from onedallmail.evidence.controls import Catalogue, ControlId


class ExceptionsError(ValueError):
    """A waivers or statements file cannot be used; the message names file and entry."""


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    control: ControlId


class Waiver(_Entry):
    """An accepted deviation. It holds from the day of approval through the day of expiry (UTC), both included."""

    approver: str = Field(min_length=2)
    reason: str = Field(min_length=10)
    approved: date
    expires: date

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> "Waiver":
        if self.expires < self.approved:
            message = f"expires {self.expires}, before it is approved ({self.approved})"
            raise ValueError(message)
        return self

    def in_force(self, now: datetime) -> bool:
        """Return whether the waiver covers this moment."""
        return self.approved <= now.astimezone(UTC).date() <= self.expires


class Statement(_Entry):
    """What a person states about a control that machines cannot observe, and until when it may be relied upon."""

    person: str = Field(min_length=2)
    role: str = Field(min_length=2)
    statement: str = Field(min_length=10)
    stated: date
    valid_until: date

    def in_force(self, now: datetime) -> bool:
        """Return whether the statement was made by now and has not run out."""
        return self.stated <= now.astimezone(UTC).date() <= self.valid_until


_E = TypeVar("_E", Waiver, Statement)


def load_waivers(path: Path, catalogue: Catalogue) -> dict[str, Waiver]:
    """Return the waivers of a file by control; none without the file; raise ExceptionsError on a defect."""
    return _load(path, "waiver", Waiver, catalogue)


def load_statements(path: Path, catalogue: Catalogue) -> dict[str, Statement]:
    """Return the statements of a file by control; none without the file; raise ExceptionsError on a defect."""
    return _load(path, "statement", Statement, catalogue)


def parse_entries(rows: list[Any], model: type[_E], catalogue: Catalogue, *, source: str) -> dict[str, _E]:
    """Return entries by control; raise ExceptionsError on an unknown control, a repeated one or a wrong field."""
    result: dict[str, _E] = {}
    for number, row in enumerate(rows, start=1):
        try:
            entry = model.model_validate(row)
        except ValidationError as error:
            problems = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
            message = f"{source}: entry {number}: {problems}"
            raise ExceptionsError(message) from error
        if entry.control not in catalogue:
            message = f"{source}: entry {number}: no control {entry.control!r} in the catalogue"
            raise ExceptionsError(message)
        if entry.control in result:
            message = f"{source}: entry {number}: {entry.control} has an entry already; remove one of the two"
            raise ExceptionsError(message)
        result[entry.control] = entry
    return result


def _load(path: Path, table: str, model: type[_E], catalogue: Catalogue) -> dict[str, _E]:
    if not path.exists():
        return {}
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        message = f"{path}: not readable as TOML: {error}"
        raise ExceptionsError(message) from error
    unknown = sorted(set(content) - {table})
    rows = content.get(table, [])
    if unknown or not isinstance(rows, list):
        message = f"{path}: holds only [[{table}]] tables; found {', '.join(unknown) or table + ' as something else'}"
        raise ExceptionsError(message)
    return parse_entries(rows, model, catalogue, source=path.name)
