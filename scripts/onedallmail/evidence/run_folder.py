"""The folder of one test run: run.json, tests/*.json, artefacts/*. Written while the run goes on.

Each file appears under its name only when it is whole, so a killed run leaves missing records, never half ones.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from onedallmail.evidence import canonical, signing
from onedallmail.evidence.records import Artefact, PlannedTest, RunRecord, TestRecord, as_document

RUN_FILE = "run.json"
TESTS = "tests"
ARTEFACTS = "artefacts"


class RunFolder:
    """Writes one run under `parent`; `run` is its name, unique by time and random part."""

    def __init__(self, parent: Path, run: RunRecord) -> None:
        self._record = run
        self.path = parent / run.run
        (self.path / TESTS).mkdir(parents=True, mode=0o700)
        (self.path / ARTEFACTS).mkdir(mode=0o700)
        self._write(RUN_FILE, canonical.encode(as_document(run)))

    @property
    def run(self) -> str:
        """The run's name."""
        return self._record.run

    def plan(self, tests: Sequence[PlannedTest]) -> None:
        """State what the run is going to do, before it does anything."""
        self._record = self._record.model_copy(update={"planned": tuple(tests)})
        self._write(RUN_FILE, canonical.encode(as_document(self._record)))

    def add(self, record: TestRecord, file: str) -> None:
        """Keep the record of one finished test."""
        self._write(f"{TESTS}/{file}", canonical.encode(as_document(record)))

    def keep(self, name: str, content: bytes) -> Artefact:
        """Keep a raw artefact under a name that holds its hash, and return its description."""
        digest = canonical.sha256(content)
        safe = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[-120:] or "artefact"
        file = f"{digest[:16]}-{safe}"
        if not (self.path / ARTEFACTS / file).exists():
            self._write(f"{ARTEFACTS}/{file}", content)
        return Artefact(name=name, file=file, sha256=digest, size_bytes=len(content))

    def finish(self) -> None:
        """State that the run came to its end."""
        self._record = self._record.model_copy(update={"finished": datetime.now(UTC)})
        self._write(RUN_FILE, canonical.encode(as_document(self._record)))

    def _write(self, name: str, content: bytes) -> None:
        signing.write_private(self.path / name, content)


def record_file(number: int, nodeid: str) -> str:
    """Return the file name of a test's record: its place in the run and a readable part of its id."""
    slug = re.sub(r"[^A-Za-z0-9]+", "-", nodeid.rpartition("/")[2]).strip("-")[:80]
    return f"{number:05d}-{slug}.json"
