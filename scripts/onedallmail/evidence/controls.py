"""The control catalogue: typed, read from the data files beside this module, refused as a whole for one wrong entry.

Titles and objectives are our own words; ids are those of ISO/IEC 27001:2022 Annex A, SOC 2 and the GDPR.
"""

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

CATALOGUE_DIR = Path(__file__).with_name("catalogue")

ControlId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*:[A-Za-z]+\.?[0-9]+(\.[0-9]+)*$")]


class ControlKind(StrEnum):
    """What carries out a control: a machine, an organisation's people, or a building. Not who is to blame for it."""

    TECHNICAL = "technical"
    ORGANISATIONAL = "organisational"
    PHYSICAL = "physical"


class EvidenceKind(StrEnum):
    """What an observation is: a test run, a scanner's run, a record that a process left, or a person's statement."""

    TEST = "test"
    SCAN = "scan"
    RECORD = "record"
    MANUAL = "manual"


class CatalogueError(ValueError):
    """The catalogue cannot be used; the message names the file and the entry."""


class Control(BaseModel):
    """One control: what it wants, which kinds of evidence establish it (all of `expects`), and for how long."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: ControlId
    theme: str = Field(min_length=2)
    title: str = Field(min_length=3, max_length=60)
    objective: str = Field(min_length=10, max_length=200)
    kind: ControlKind
    expects: frozenset[EvidenceKind]
    freshness_days: int = Field(ge=1, le=366)
    not_applicable: str | None = Field(default=None, min_length=20)

    @property
    def framework(self) -> str:
        """The part of the id before the colon."""
        return self.id.partition(":")[0]

    @property
    def number(self) -> str:
        """The part of the id after the colon."""
        return self.id.partition(":")[2]

    @model_validator(mode="after")
    def _evidence_or_a_reason(self) -> "Control":
        if self.not_applicable and self.expects:
            message = "is not applicable and expects evidence at once; drop one of the two"
            raise ValueError(message)
        if not self.not_applicable and not self.expects:
            message = "expects no evidence; name at least one kind, or say in `not_applicable` why it does not apply"
            raise ValueError(message)
        return self


class _CatalogueFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    framework: str
    framework_title: str
    control: list[Control]


@dataclass(frozen=True)
class Catalogue:
    """All controls by id, in the frameworks' own order, and the frameworks' titles."""

    controls: Mapping[str, Control]
    frameworks: Mapping[str, str]

    def __iter__(self) -> Iterator[Control]:
        return iter(self.controls.values())

    def __len__(self) -> int:
        return len(self.controls)

    def __contains__(self, control_id: object) -> bool:
        return control_id in self.controls

    def of(self, framework: str) -> list[Control]:
        """Return the controls of one framework in order."""
        return [control for control in self if control.framework == framework]

    def to_document(self) -> dict[str, Any]:
        """Return the JSON document that a bundle carries, so that an auditor sees what was judged."""
        rows = [control.model_dump(mode="json") | {"expects": sorted(control.expects)} for control in self]
        return {"frameworks": dict(self.frameworks), "controls": rows}

    @classmethod
    def from_document(cls, document: Any) -> "Catalogue":
        """Return the catalogue in a bundle's document; raise CatalogueError when it is not one."""
        try:
            controls = [Control.model_validate(row) for row in document["controls"]]
            return cls(_by_id([("catalogue.json", controls)]), dict(document["frameworks"]))
        except (ValidationError, KeyError, TypeError, ValueError) as error:
            message = f"catalogue.json is no catalogue: {error}"
            raise CatalogueError(message) from error


def load_catalogue(folder: Path = CATALOGUE_DIR) -> Catalogue:
    """Return the catalogue of a folder of TOML files; raise CatalogueError naming file and entry."""
    files = sorted(folder.glob("*.toml"))
    if not files:
        message = f"{folder}: no catalogue file (*.toml) here"
        raise CatalogueError(message)
    parsed = [(path.name, _read(path)) for path in files]
    frameworks: dict[str, str] = {}
    for name, content in parsed:
        known = frameworks.setdefault(content.framework, content.framework_title)
        if known != content.framework_title:
            message = f"{name}: calls {content.framework} {content.framework_title!r}, another file calls it {known!r}"
            raise CatalogueError(message)
        for control in content.control:
            if control.framework != content.framework:
                message = f"{name}: {control.id} does not belong to framework {content.framework!r} of this file"
                raise CatalogueError(message)
    order = sorted(frameworks, key=lambda key: (key != "iso27001", key != "soc2", key))
    controls = _by_id((name, content.control) for name, content in parsed)
    in_order = sorted(controls.values(), key=lambda control: (order.index(control.framework), _natural(control.number)))
    return Catalogue({control.id: control for control in in_order}, {key: frameworks[key] for key in order})


def _read(path: Path) -> _CatalogueFile:
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        message = f"{path.name}: not readable as TOML: {error}"
        raise CatalogueError(message) from error
    try:
        return _CatalogueFile.model_validate(raw)
    except ValidationError as error:
        message = f"{path.name}: " + "; ".join(_explain(raw, problem) for problem in error.errors())
        raise CatalogueError(message) from error


def _explain(raw: Mapping[str, Any], problem: Any) -> str:
    location = list(problem["loc"])
    where = ".".join(str(part) for part in location)
    if len(location) >= 2 and location[0] == "control" and isinstance(location[1], int):  # noqa: PLR2004
        entry = raw["control"][location[1]]
        name = entry.get("id", f"entry {location[1] + 1}") if isinstance(entry, dict) else f"entry {location[1] + 1}"
        where = f"{name} {'.'.join(str(part) for part in location[2:])}".strip()
    return f"{where}: {problem['msg']}"


def _by_id(groups: Iterable[tuple[str, list[Control]]]) -> dict[str, Control]:
    result: dict[str, Control] = {}
    origin: dict[str, str] = {}
    for name, controls in groups:
        for control in controls:
            if control.id in result:
                message = f"{name}: {control.id} is already defined in {origin[control.id]}; remove one of the two"
                raise CatalogueError(message)
            result[control.id], origin[control.id] = control, name
    return result


def _natural(number: str) -> tuple[tuple[int, str], ...]:
    parts = []
    for part in number.split("."):
        digits = part.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
        parts.append((int(digits or 0), part))
    return tuple(parts)
