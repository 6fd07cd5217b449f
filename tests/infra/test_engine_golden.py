"""The engine does what the pulumi command did: 24 recorded sequences, replayed with real processes.

Program and provider are forked from a process that has imported the SDK (programs/zygote.py): a step takes a moment.
"""

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from onedallmail.engine import run
from onedallmail.engine.events import Event, Op, UpResult
from onedallmail.engine.plugins import python_path
from onedallmail.engine.values import walk
from onedallmail.engine.workspace import Workspace

from .engine_stack import PASSPHRASE, PROGRAMS
from .programs.recording_provider import CALLS, DELAYS

pytestmark = pytest.mark.timeout(120)
GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.json"))
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
NAMED_IN_ERROR = re.compile(r'resource "([^"]+)"')
FIRST_S, LATER_S = 0.25, 0.6
"""Seconds that a check waits, where the record says that one resource failed while others were not reached."""


@pytest.fixture(scope="module")
def zygote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return the socket of a process that has everything imported."""
    socket = tmp_path_factory.mktemp("zygote") / "socket"
    command = [sys.executable, "-m", "tests.infra.programs.zygote", str(socket)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        command, cwd=root, env=python_path(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "ready\n"
        yield socket
        process.stdin.close()


@dataclass
class Replay:
    """One sequence, step by step."""

    folder: Path
    zygote: Path
    stack: str
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Write the project."""
        self.root, self.state_dir = self.folder / "project", self.folder / "state"
        self.root.mkdir()
        self.state_dir.mkdir(mode=0o700)
        project = {"name": "golden", "runtime": "python", "main": str(PROGRAMS / "golden")}
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

    def run(self, step: dict[str, Any]) -> UpResult:
        """Do what the command did in `step`."""
        self.events.clear()
        self.spec.write_text(json.dumps(step["spec"]))
        (self.state_dir / CALLS).write_text("")
        (self.state_dir / DELAYS).write_text(json.dumps(delays(step)))
        operation = run.up if step["command"] == "up" else run.destroy
        return operation(self.stack, progress=self.events.append, workspace=self.work)

    def deleted(self) -> list[str]:
        """Return the URNs of what the provider deleted in the last step, in order."""
        calls = [json.loads(line) for line in (self.state_dir / CALLS).read_text().splitlines()]
        return [urn for call, urn, _ in calls if call == "delete"]

    def resources(self) -> list[dict[str, Any]]:
        """Return the state."""
        found: list[dict[str, Any]] = run.export(self.stack, workspace=self.work)["deployment"]["resources"]
        return found


def refused(step: dict[str, Any]) -> set[str]:
    """Return the URNs that the command's errors name."""
    return {urn for error in step["errors"] for urn in NAMED_IN_ERROR.findall(error)}


def delays(step: dict[str, Any]) -> dict[str, float]:
    """Return what lets an `up` that failed at a resource reach what the command reached before, and nothing else."""
    if step["command"] != "up" or not refused(step):
        return {}
    reached = {op["urn"] for op in step["ops"]}
    unreached = {r["urn"] for r in step["state"] if r["urn"] not in reached}
    return dict.fromkeys(unreached, LATER_S) | dict.fromkeys(refused(step), FIRST_S)


def told(events: list[Event]) -> Counter[tuple[str, str]]:
    """Return operations and URNs in the command's words: it tells a replacement in two steps."""
    found: Counter[tuple[str, str]] = Counter()
    for event in events:
        if event.op is Op.REPLACE:
            found.update([("create-replacement", event.urn), ("replace", event.urn)])
        elif event.op:
            found[event.op.value, event.urn] += 1
    return found


def recorded(step: dict[str, Any]) -> Counter[tuple[str, str]]:
    """Return what the command told, without the deletes that it refused."""
    deletes = {("delete", urn) for urn in refused(step)} if step["command"] == "destroy" else set()
    return Counter(found for op in step["ops"] if (found := (op["op"], op["urn"])) not in deletes)


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


def assert_dependents_went_first(deleted: list[str], before: list[dict[str, Any]]) -> None:
    """Assert that nothing was deleted while something that was deleted later needed it."""
    for resource in before:
        if resource["urn"] in deleted and not resource.get("delete"):
            for needed in resource.get("dependencies", []):
                assert needed not in deleted[: deleted.index(resource["urn"])], (
                    f"{needed} went before {resource['urn']}"
                )


def by_identity(resources: list[dict[str, Any]]) -> dict[tuple[str, bool], dict[str, Any]]:
    """Return the compared fields by URN and whether it waits for its deletion."""
    found = {(r["urn"], bool(r.get("delete"))): plain(r) for r in resources}
    assert len(found) == len(resources)
    return found


@pytest.mark.parametrize("record", GOLDEN, ids=lambda path: path.stem)
def test_the_engine_reproduces_what_the_command_did(
    record: Path, zygote: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", PASSPHRASE)
    content = json.loads(record.read_text())
    replay = Replay(tmp_path, zygote, f"g{content['seed']}")
    monkeypatch.setenv("SPEC", str(replay.spec))
    resources: list[dict[str, Any]] = []
    for number, step in enumerate(content["steps"]):
        where = f"{record.name}, step {number}"
        result = replay.run(step)
        assert (0 if result.ok else 1) == step["exit"], (where, result.errors)
        for urn in refused(step):
            assert [e for e in result.errors if e.startswith(urn.rsplit("::", 1)[-1] + ": ") and "protect" in e], where
        interrupted = step["command"] == "up" and refused(step)
        missing, more = recorded(step) - told(replay.events), told(replay.events) - recorded(step)
        if interrupted:  # what was under way may have been told or not
            more = Counter({k: n for k, n in more.items() if k[0] not in ("same", "replace")})
        assert (dict(missing), dict(more)) == ({}, {}), where
        assert_dependents_went_first(replay.deleted(), resources)
        resources = replay.resources()
        assert by_identity(resources) == by_identity(step["state"]), where
        assert_in_order(resources)
        assert len(result.pending) == len(step["pending"]), where
