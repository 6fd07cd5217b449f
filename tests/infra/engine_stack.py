"""A stack in a temporary folder, with the real engine, program and provider processes."""

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from onedallmail.engine import run
from onedallmail.engine.events import Event, UpResult
from onedallmail.engine.workspace import Workspace

PROGRAMS = Path(__file__).parent / "programs"
PASSPHRASE = "correct horse"  # noqa: S105 - of stacks that live as long as a test
FAULTY = PROGRAMS / "faulty_provider.py"


@dataclass
class EngineStack:
    """Operations on the stack `test`, with what they reported."""

    folder: Path
    program: str = "sample"
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Write the project."""
        self.root, self.state = self.folder / "project", self.folder / "state"
        self.root.mkdir()
        self.state.mkdir(mode=0o700)
        project = {"name": "sample", "runtime": "python", "main": str(PROGRAMS / self.program)}
        (self.root / "Pulumi.yaml").write_text(yaml.safe_dump(project))
        self.configure()

    def configure(self, **values: Any) -> None:
        """Write the stack file."""
        config = {"aws:region": "eu-central-1", **{f"sample:{k}": v for k, v in values.items()}}
        (self.root / "Pulumi.test.yaml").write_text(yaml.safe_dump({"config": config}))

    def workspace(self, *, faulty: bool = False) -> Workspace:
        """Return the folders, with the lab's provider or the one that has faults."""
        provider = (sys.executable, "-u", str(FAULTY)) if faulty else ()
        return Workspace(stack="test", root=self.root, state_dir=self.state, provider=provider)

    def faults(self, **names: list[str]) -> None:
        """Choose what the faulty provider does."""
        (self.state / "faults.json").write_text(json.dumps(names))

    def up(
        self,
        *,
        faulty: bool = False,
        secret_config: dict[str, str] | None = None,
        targets: tuple[str, ...] = (),
        refresh: bool = False,
        **config: str,
    ) -> UpResult:
        """Run `up` with configuration overrides."""
        self.events.clear()
        return run.up(
            "test",
            config=config,
            secret_config=secret_config,
            targets=targets,
            refresh=refresh,
            progress=self.events.append,
            workspace=self.workspace(faulty=faulty),
        )

    def preview(self, *, targets: tuple[str, ...] = (), **config: str) -> UpResult:
        """Run `preview`."""
        self.events.clear()
        work = self.workspace()
        return run.preview("test", config=config, targets=targets, progress=self.events.append, workspace=work)

    def destroy(self, *, faulty: bool = False, targets: tuple[str, ...] = ()) -> UpResult:
        """Run `destroy`."""
        self.events.clear()
        work = self.workspace(faulty=faulty)
        return run.destroy("test", targets=targets, progress=self.events.append, workspace=work)

    def refresh(self, *, faulty: bool = False, targets: tuple[str, ...] = (), **settled: str) -> UpResult:
        """Run `refresh`, settling interrupted creates by name."""
        self.events.clear()
        work = self.workspace(faulty=faulty)
        return run.refresh("test", targets=targets, settled=settled, progress=self.events.append, workspace=work)

    def outputs(self, *, show_secrets: bool = False) -> dict[str, Any]:
        """Return the outputs."""
        return run.outputs("test", show_secrets=show_secrets, workspace=self.workspace())

    def export(self, *, show_secrets: bool = False) -> dict[str, Any]:
        """Return the deployment."""
        return run.export("test", show_secrets=show_secrets, workspace=self.workspace())

    def resources(self) -> dict[str, dict[str, Any]]:
        """Return the custom resources of the state by name (no providers)."""
        found = self.export()["deployment"]["resources"]
        wanted = (r for r in found if r.get("custom") and not r["type"].startswith("pulumi:"))
        return {r["urn"].rsplit("::", 1)[-1]: r for r in wanted}

    def done(self) -> dict[str, str]:
        """Return the operations of the last run by resource name, unchanged ones left out."""
        told = (e for e in self.events if e.op and e.op not in {"same", "delete-replaced"})
        return {e.name: str(e.op) for e in told if not e.type.startswith("pulumi:")}
