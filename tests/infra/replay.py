"""Runs sequences of small random programs with real program and provider processes, and shows states to compare."""

import json
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from onedallmail.engine import run
from onedallmail.engine.events import Event, Op, UpResult
from onedallmail.engine.values import walk
from onedallmail.engine.workspace import Workspace

from .engine_stack import PROGRAMS
from .programs.recording_provider import CALLS, ORDER

RUNTIME = {"name": "python", "options": {"virtualenv": sys.prefix}}
COMPARED = (
    "custom",
    "type",
    "parent",
    "provider",
    "inputs",
    "protect",
    "retainOnDelete",
    "delete",
    "pendingReplacement",
    "additionalSecretOutputs",
    "ignoreChanges",
    "replaceOnChanges",
    "dependencies",
    "propertyDependencies",
)


@dataclass
class Replay:
    """One stack of the program in programs/golden, step by step; program and provider are forked by a zygote."""

    folder: Path
    zygote: Path
    stack: str
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Write the project."""
        self.root, self.state_dir = self.folder / "project", self.folder / "state"
        self.root.mkdir()
        self.state_dir.mkdir(mode=0o700)
        project = {"name": "golden", "runtime": RUNTIME, "main": str(PROGRAMS / "golden")}
        (self.root / "Pulumi.yaml").write_text(yaml.safe_dump(project))
        config = {"config": {"aws:region": "eu-central-1"}}
        (self.root / f"Pulumi.{self.stack}.yaml").write_text(yaml.safe_dump(config))
        self.spec = self.folder / "spec.json"
        client = (sys.executable, "-S", "-E", str(PROGRAMS / "zygote_client.py"), str(self.zygote))
        self.work = Workspace(
            stack=self.stack,
            root=self.root,
            state_dir=self.state_dir,
            provider=(*client, "provider"),
            launcher=(*client, "program"),
        )

    def run(self, command: str, spec: dict[str, Any], order: dict[str, list[str]] | None = None) -> UpResult:
        """Run the operation `command` on the program that `spec` describes, in the provider's `order`."""
        self.events.clear()
        self.spec.write_text(json.dumps(spec))
        (self.state_dir / CALLS).write_text("")
        (self.state_dir / ORDER).write_text(json.dumps(order or {}))
        operation = {"up": run.up, "destroy": run.destroy, "preview": run.preview}[command]
        return operation(self.stack, progress=self.events.append, workspace=self.work)

    def calls(self) -> list[tuple[str, str, str]]:
        """Return what the provider did in the last step: create, update or delete, URN and id."""
        return [tuple(json.loads(line)) for line in (self.state_dir / CALLS).read_text().splitlines()]

    def deleted(self) -> list[str]:
        """Return the URNs of what the provider deleted in the last step, in order."""
        return [urn for call, urn, _ in self.calls() if call == "delete"]

    def resources(self) -> list[dict[str, Any]]:
        """Return the state."""
        found: list[dict[str, Any]] = run.export(self.stack, workspace=self.work)["deployment"]["resources"]
        return found


def told(events: list[Event]) -> Counter[tuple[str, str]]:
    """Return operations and URNs in the command's words: it tells a replacement in two steps."""
    found: Counter[tuple[str, str]] = Counter()
    for event in events:
        if event.op is Op.REPLACE:
            found.update([("create-replacement", event.urn), ("replace", event.urn)])
        elif event.op:
            found[event.op.value, event.urn] += 1
    return found


def plain(resource: dict[str, Any]) -> dict[str, Any]:
    """Return the compared fields, without what differs from one run to another."""
    kept = {k: resource[k] for k in COMPARED if resource.get(k) not in (None, False)}
    kept["dependencies"] = sorted(kept.get("dependencies", []))
    kept["propertyDependencies"] = {k: sorted(v) for k, v in kept.get("propertyDependencies", {}).items()}
    if "provider" in kept:
        kept["provider"] = kept["provider"].rpartition("::")[0]
    kept["inputs"] = walk(kept.get("inputs", {}), shown)
    return kept


def shown(value: Any) -> Any:
    """Return a value of an input as the records show it."""
    return "[secret]" if isinstance(value, dict) and "ciphertext" in value else value


def assert_in_order(resources: list[dict[str, Any]]) -> None:
    """Assert that each resource comes after the ones that it needs."""
    seen: set[str] = set()
    for resource in resources:
        provider = resource.get("provider", "").rpartition("::")[0]
        needed = {*resource.get("dependencies", []), resource.get("parent", ""), provider} - {""}
        later = needed & {r["urn"] for r in resources} - seen
        assert not later, f"{resource['urn']} comes before {later}"
        seen.add(resource["urn"])


def by_identity(resources: list[dict[str, Any]]) -> dict[tuple[str, bool], dict[str, Any]]:
    """Return the compared fields by URN and whether it waits for its deletion."""
    found = {(r["urn"], bool(r.get("delete"))): plain(r) for r in resources}
    assert len(found) == len(resources)
    return found
