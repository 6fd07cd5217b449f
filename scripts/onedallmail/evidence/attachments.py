"""What a test adds to its own record: what it examined, and the raw material it saw.

Tests get one of these as the fixture `evidence`; without `--evidence` it accepts everything and keeps nothing.
"""

from collections.abc import Callable
from pathlib import Path

from onedallmail.evidence.records import Artefact, Basis, Facts, Tool

ARTEFACT_BYTES = 32 << 20

Keeper = Callable[[str, bytes], Artefact]


class Evidence:
    """Collects the facts and artefacts of one test."""

    def __init__(self, keep: Keeper | None) -> None:
        self._keep = keep
        self.facts = Facts()
        self.artefacts: list[Artefact] = []
        self.basis: Basis | None = None
        self.used_tool: Tool | None = None

    def describe(
        self,
        *,
        population: str | int | None = None,
        query: str | None = None,
        sample: str | int | None = None,
        seed: str | int | None = None,
    ) -> None:
        """State the whole that was examined, the query that listed it, the sample taken and the seed of the choice."""
        given = {"population": population, "query": query, "sample": sample, "seed": seed}
        self.facts = self.facts.model_copy(
            update={name: str(value) for name, value in given.items() if value is not None}
        )

    def attach(self, path: Path, name: str | None = None) -> None:
        """Keep a copy of a file; raises ValueError when it is no regular file or larger than 32 MiB."""
        if path.is_symlink() or not path.is_file():
            message = f"{path}: only a regular file can be kept as evidence"
            raise ValueError(message)
        if path.stat().st_size > ARTEFACT_BYTES:
            message = f"{path}: larger than {ARTEFACT_BYTES >> 20} MiB; keep an extract and its query instead"
            raise ValueError(message)
        self._add(name or path.name, path.read_bytes())

    def attach_text(self, name: str, text: str) -> None:
        """Keep a text (the output of a command, a configuration as it was read)."""
        self._add(name, text.encode())

    def recorded_only(self) -> None:
        """State that only a record of the resource was looked at; such a test never proves a control."""
        self.basis = Basis.RECORDED

    def emulated(self) -> None:
        """State that an emulator stood in for the resource; the report says so."""
        self.basis = Basis.EMULATED

    def tool(self, name: str, version: str) -> None:
        """State which program made the observation, when it was not the test itself."""
        self.used_tool = Tool(name=name, version=version)

    def _add(self, name: str, content: bytes) -> None:
        if b"PRIVATE KEY-----" in content:
            message = f"{name}: holds a private key, which evidence must never carry; attach its public part instead"
            raise ValueError(message)
        if self._keep is not None:
            self.artefacts.append(self._keep(name, content))
