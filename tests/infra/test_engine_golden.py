"""The engine does what the pulumi command did: 24 recorded sequences, replayed with real processes.

Program and provider are forked from a process that has imported the SDK (programs/zygote.py): a step takes a moment.
"""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from .engine_stack import PASSPHRASE
from .replay import Replay, assert_in_order, by_identity, told

pytestmark = pytest.mark.timeout(120)
GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.json"))
NAMED_IN_ERROR = re.compile(r'resource "([^"]+)"')


def refused(step: dict[str, Any]) -> set[str]:
    """Return the URNs that the command's errors name."""
    return {urn for error in step["errors"] for urn in NAMED_IN_ERROR.findall(error)}


def order(step: dict[str, Any]) -> dict[str, list[str]]:
    """Return what lets an `up` that failed at a resource reach what the command reached before, and nothing else."""
    if step["command"] != "up" or not refused(step):
        return {}
    reached = {op["urn"] for op in step["ops"]}
    first = [r["urn"] for r in step["state"] if r["urn"] in reached and "provider" in r and not r.get("delete")]
    last = {r["urn"] for r in step["state"] if r["urn"] not in reached} - refused(step)
    return {"first": first, "then": sorted(refused(step)), "last": sorted(last)}


def recorded(step: dict[str, Any]) -> Counter[tuple[str, str]]:
    """Return what the command told, without the deletes that it refused."""
    deletes = {("delete", urn) for urn in refused(step)} if step["command"] == "destroy" else set()
    return Counter(found for op in step["ops"] if (found := (op["op"], op["urn"])) not in deletes)


def assert_dependents_went_first(deleted: list[str], before: list[dict[str, Any]]) -> None:
    """Assert that nothing was deleted while something that was deleted later needed it."""
    for resource in before:
        if resource["urn"] in deleted and not resource.get("delete"):
            for needed in resource.get("dependencies", []):
                assert needed not in deleted[: deleted.index(resource["urn"])], (
                    f"{needed} went before {resource['urn']}"
                )


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
        result = replay.run(step["command"], step["spec"], order(step))
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
