"""Random sequences of programs: state, provider and preview agree after each step.

The seeds are in the names of the tests; ONEDALLMAIL_SEED adds one more.
"""

import os
from collections import Counter
from pathlib import Path

import pytest

from .replay import Replay, assert_in_order, told
from .specs import Specs

pytestmark = pytest.mark.timeout(300)
STEPS = 6
SEEDS = [101, 102, 103, *(int(seed) for seed in [os.environ.get("ONEDALLMAIL_SEED")] if seed)]


def follow(cloud: Counter[str], calls: list[tuple[str, str, str]]) -> None:
    """Add what the provider made and take away what it deleted, by id: a replacement may have its predecessor's."""
    for call, _, identifier in calls:
        cloud[identifier] += {"create": 1, "update": 0, "delete": -1}[call]


@pytest.mark.parametrize("seed", SEEDS)
def test_state_and_cloud_agree_after_each_step_and_a_second_up_changes_nothing(
    seed: int, zygote: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replay, specs, cloud = Replay(tmp_path, zygote, f"s{seed}"), Specs(seed), Counter[str]()
    monkeypatch.setenv("SPEC", str(replay.spec))
    retained = False
    for step in range(STEPS):
        spec = specs.change() if step else specs.spec
        retained = retained or any(item["retain"] for item in spec["res"])
        planned = replay.run("preview", spec)
        plan = told(replay.events)
        result = replay.run("up", spec)
        where = f"seed {seed}, step {step}"
        assert (result.ok, planned.ok) == (not spec["boom"], not spec["boom"]), (where, result.errors)
        unplanned = {urn for op, urn in told(replay.events) - plan if op not in ("same", "update")}
        assert not unplanned, f"{where}: the preview did not tell of {unplanned}"
        follow(cloud, replay.calls())
        resources = replay.resources()
        assert_in_order(resources)
        known = Counter(r["id"] for r in resources if "provider" in r and not r.get("pendingReplacement"))
        assert known <= cloud, f"{where}: the state has what is not there"
        if not spec["boom"]:
            assert not [r for r in resources if r.get("delete") or r.get("pendingReplacement")], where
            assert replay.run("up", spec).changes == 0, where
    assert replay.run("destroy", specs.spec).ok
    follow(cloud, replay.calls())
    assert replay.resources() == []
    assert min(cloud.values()) >= 0, "nothing was deleted twice"
    assert retained or not +cloud, "everything made was deleted"
