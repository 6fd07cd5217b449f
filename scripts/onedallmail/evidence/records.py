"""What a test run leaves behind: one document for the run (with what it planned), and one for each test.

The pytest plugin writes these, the collector reads them; both through the same models.
"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from onedallmail.evidence.controls import ControlId, EvidenceKind

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
ArtefactName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,180}$")]


class Outcome(StrEnum):
    """How one test ended. UNREADABLE and MISSING are never written by a test run: the collector finds them."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    SKIPPED = "skipped"
    MISSING = "missing"
    UNREADABLE = "unreadable"


class Basis(StrEnum):
    """What was looked at. RECORDED: only an entry in a state file, nothing that runs; it never proves a control."""

    OBSERVED = "observed"
    EMULATED = "emulated"
    RECORDED = "recorded"


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Tool(_Document):
    """The program that made an observation."""

    name: str
    version: str


class Artefact(_Document):
    """A raw file that a test kept, stored under its run's `artefacts/`."""

    name: str
    file: ArtefactName
    sha256: Sha256
    size_bytes: int = Field(ge=0)


class Facts(_Document):
    """What was examined: the whole (population), how it was chosen (query, sample, seed)."""

    population: str | None = None
    query: str | None = None
    sample: str | None = None
    seed: str | None = None


class TestRecord(_Document):
    """One test of one run, with everything an auditor needs to judge it."""

    __test__ = False  # pytest would otherwise take the name for a test class

    schema_version: int = Field(default=1, ge=1, le=1)
    run: str
    nodeid: str
    controls: tuple[ControlId, ...]
    kind: EvidenceKind = EvidenceKind.TEST
    basis: Basis = Basis.OBSERVED
    outcome: Outcome
    started: AwareDatetime
    duration_s: float = Field(ge=0)
    purpose: str = ""
    parameters: dict[str, str] = Field(default_factory=dict)
    failure: str = ""
    facts: Facts = Facts()
    artefacts: tuple[Artefact, ...] = ()
    tool: Tool


class PlannedTest(_Document):
    """A test that a run set out to do; one without a record afterwards is MISSING."""

    nodeid: str
    controls: tuple[ControlId, ...]
    file: ArtefactName


class RunRecord(_Document):
    """One run of the tests: written before the first test, completed after the last."""

    schema_version: int = Field(default=1, ge=1, le=1)
    run: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{3,63}$")
    stack: str
    started: AwareDatetime
    finished: AwareDatetime | None = None
    arguments: tuple[str, ...] = ()
    tools: tuple[Tool, ...] = ()
    planned: tuple[PlannedTest, ...] = ()


def as_document(model: BaseModel) -> dict[str, Any]:
    """Return a model's JSON document, times in UTC."""
    return model.model_dump(mode="json")


def utc_text(moment: datetime) -> str:
    """Return an aware time as people and sorters read it: 2026-01-31T08:05:00Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
