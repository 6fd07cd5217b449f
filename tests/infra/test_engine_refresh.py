"""Refresh, targets, interrupted creates and half made resources: what the state says, what the next run does."""

import json

import pytest

from .engine_stack import EngineStack
from .test_engine_state import killed_at_the_policy

pytestmark = pytest.mark.timeout(120)


def test_a_refresh_without_drift_changes_nothing(stack: EngineStack) -> None:
    stack.up(secret_config={"password": "swordfish-4711"})
    before = stack.export(show_secrets=True)["deployment"]["resources"]
    result = stack.refresh()
    assert (result.errors, dict(result.counts)) == ((), {"same": 2})
    assert stack.export(show_secrets=True)["deployment"]["resources"] == before


def test_what_is_gone_leaves_the_state_and_the_next_up_makes_it_again(stack: EngineStack) -> None:
    stack.up()
    stack.faults(gone=["queue"])
    assert dict(stack.refresh(faulty=True).counts) == {"delete": 1, "same": 1}
    assert set(stack.resources()) == {"policy"}
    assert "dependencies" not in stack.resources()["policy"] or not stack.resources()["policy"]["dependencies"]
    assert stack.up().ok
    assert stack.done() == {"queue": "create"}


def test_what_drifted_is_recorded_and_the_next_up_puts_it_right(stack: EngineStack) -> None:
    stack.up()
    stack.faults(drifted=["queue"])
    result = stack.refresh(faulty=True)
    assert [(e.name, e.text) for e in stack.events if e.op == "refresh"] == [("queue", "[tags]")]
    assert result.changes == 1
    assert stack.resources()["queue"]["outputs"]["tags"] == {"version": "changed by hand"}
    assert stack.up().ok
    assert stack.done() == {"queue": "update"}
    assert stack.resources()["queue"]["outputs"]["tags"] == {"version": "1"}


def test_up_with_refresh_does_both_in_one_run(stack: EngineStack) -> None:
    stack.up()
    stack.faults(drifted=["queue"], gone=["policy"])
    assert stack.up(faulty=True, refresh=True).ok
    ops = [(e.name, str(e.op)) for e in stack.events if e.op and e.op != "same"]
    assert sorted(ops) == [("policy", "create"), ("policy", "delete"), ("queue", "refresh"), ("queue", "update")]


def test_an_interrupted_create_stays_listed_until_a_refresh_settles_it(stack: EngineStack) -> None:
    with killed_at_the_policy(stack):
        pass
    listed = stack.refresh()
    assert [urn.rsplit("::", 1)[-1] for urn in listed.pending] == ["policy"]
    assert [e for e in stack.events if "refresh --settle policy=ID" in e.text]
    assert "no create of 'queue' was interrupted" in stack.refresh(queue="x").errors[0]
    queue_url = stack.resources()["queue"]["id"]
    settled = stack.refresh(policy=queue_url)
    assert (settled.errors, settled.pending) == ((), ())
    assert stack.resources()["policy"]["id"] == queue_url
    assert stack.up().ok
    assert stack.done() == {}, "what the interrupted run made is taken over, not made again"


def test_an_interrupted_create_that_made_nothing_is_taken_off_the_list(stack: EngineStack) -> None:
    with killed_at_the_policy(stack):
        pass
    assert stack.refresh(policy="").pending == ()
    assert set(stack.resources()) == {"queue"}


def test_what_an_interrupted_create_made_besides_its_successor_is_deleted_by_the_next_up(stack: EngineStack) -> None:
    with killed_at_the_policy(stack):
        pass
    stack.up()
    assert stack.refresh(policy="https://sqs.eu-central-1.amazonaws.com/123456789012/other").pending == ()
    stack.up()
    assert [e.name for e in stack.events if e.op == "delete-replaced"] == ["policy"]
    assert len(stack.export()["deployment"]["resources"]) == 4, "stack, provider, queue, policy"


def test_a_half_made_resource_is_kept_with_its_errors_and_updated_by_the_next_up(stack: EngineStack) -> None:
    stack.faults(half=["queue"])
    failed = stack.up(faulty=True)
    assert [e for e in failed.errors if "not healthy" in e]
    queue = stack.resources()["queue"]
    assert (queue["initErrors"], bool(queue["id"])) == (["not healthy"], True)
    assert stack.up().ok
    assert stack.done() == {"queue": "update", "policy": "create"}
    assert "initErrors" not in stack.resources()["queue"]


def two_queues(version: str) -> str:
    tags = {"version": version}
    return json.dumps({n: ("aws:sqs/queue:Queue", {"name": n, "tags": tags}) for n in ("left", "right")})


def test_targets_limit_an_up_to_what_they_name(stack: EngineStack) -> None:
    stack.up(raw=two_queues("1"))
    planned = stack.preview(targets=("left",), raw=two_queues("2"), version="2")
    assert (planned.errors, stack.done()) == ((), {"left": "update"})
    stack.up(targets=("left",), raw=two_queues("2"), version="2")
    assert stack.done() == {"left": "update"}
    assert stack.resources()["right"]["inputs"]["tags"] == {"version": "1"}
    assert stack.resources()["queue"]["inputs"]["tags"] == {"version": "1"}
    urn = stack.resources()["right"]["urn"]
    stack.up(targets=(urn, "que*"), raw=two_queues("2"), version="2")
    assert stack.done() == {"right": "update", "queue": "update"}
    assert stack.up(raw=two_queues("2"), version="2").changes == 0


def test_targets_leave_out_what_is_new_and_refuse_what_needs_it(stack: EngineStack) -> None:
    refused = stack.up(targets=("policy",))
    assert "policy: it needs queue, which --target leaves out: add --target queue" in refused.errors
    assert stack.resources() == {}
    assert stack.up(targets=("queue",)).ok
    assert set(stack.resources()) == {"queue"}


def test_targets_that_match_nothing_are_an_error(stack: EngineStack) -> None:
    stack.up()
    assert "no resource matches --target quue" in stack.up(targets=("quue",)).errors[0]
    assert set(stack.resources()) == {"queue", "policy"}


def test_destroying_a_target_is_refused_while_something_else_needs_it(stack: EngineStack) -> None:
    stack.up()
    refused = stack.destroy(targets=("queue",))
    assert refused.errors == ("queue can't be deleted, because policy needs it: add it with --target",)
    assert stack.destroy(targets=("queue", "policy")).ok
    assert stack.resources() == {}


def test_a_targeted_refresh_reads_only_what_it_names(stack: EngineStack) -> None:
    stack.up()
    stack.faults(gone=["queue", "policy"])
    stack.refresh(faulty=True, targets=("policy",))
    assert set(stack.resources()) == {"queue"}
