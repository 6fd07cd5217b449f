"""The policy pack of a project judges each resource before it is made, and the whole stack at the end."""

import json
import shutil

import pytest

from onedallmail.engine import command

from .engine_stack import PROGRAMS, EngineStack

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(autouse=True)
def pack(stack: EngineStack) -> None:
    """Give the project a policy pack."""
    shutil.copytree(PROGRAMS / "policy_pack", stack.root / "infra" / "policy")


def queues(**properties: object) -> str:
    """Return two more queues for the sample program."""
    return json.dumps({name: ("aws:sqs/queue:Queue", {"name": name, **properties}) for name in ("one", "two")})


def test_a_mandatory_policy_stops_its_resource_with_its_message(stack: EngineStack) -> None:
    refused = stack.up(name="forbidden")
    assert "queue: policy forbidden-name: a queue must not be called forbidden" in refused.errors
    assert stack.resources() == {}
    assert [(v.policy, v.level) for v in refused.violations if v.level == "mandatory"] == [
        ("forbidden-name", "mandatory")
    ]
    assert stack.up().ok
    assert "policy forbidden-name" in stack.up(name="forbidden").errors[0], "an update is judged, too"
    assert stack.resources()["queue"]["inputs"]["name"] == "first"


def test_an_advisory_policy_is_told_and_stops_nothing(stack: EngineStack) -> None:
    result = stack.up()
    assert result.ok
    found = [(v.policy, v.urn.rsplit("::", 1)[-1], v.level, v.message) for v in result.violations]
    assert found == [("missing-owner", "queue", "advisory", "the queue has no owner")]


def test_a_preview_tells_all_violations_and_which_policies_could_not_judge_yet(stack: EngineStack) -> None:
    planned = stack.preview(raw=queues(name="forbidden", tags={"owner": "me"}))
    told = sorted((v.policy, v.urn.rsplit("::", 1)[-1]) for v in planned.violations if v.level == "mandatory")
    assert told == [("forbidden-name", "one"), ("forbidden-name", "two"), ("too-many", "two")]
    assert len(planned.errors) == 3
    assert [e for e in stack.events if "foreign-queue needs values that a preview does not have, 1 time(s)" in e.text]


def test_a_policy_on_a_value_unknown_in_preview_is_checked_again_before_the_create(stack: EngineStack) -> None:
    assert stack.preview(name="foreign").ok
    refused = stack.up(name="foreign")
    assert [e for e in refused.errors if "policy foreign-queue" in e]
    assert set(stack.resources()) == {"queue"}


def test_a_stack_policy_fails_the_run_before_anything_is_deleted(stack: EngineStack) -> None:
    stack.up()
    refused = stack.up(raw=queues(tags={}), alone="true")
    assert [e for e in refused.errors if "policy too-many" in e]
    assert "policy" in stack.resources()


def test_a_pack_that_does_not_start_fails_the_run_with_its_log(stack: EngineStack) -> None:
    (stack.root / "infra" / "policy" / "__main__.py").write_text("raise ValueError('broken pack')\n")
    refused = stack.up()
    assert [e for e in refused.errors if f"see {stack.state}/logs/policy.log" in e]
    assert stack.resources() == {}


def test_the_pulumi_command_is_given_the_same_pack(stack: EngineStack) -> None:
    for operation in ("preview", "up"):
        line = command.arguments(stack.workspace(), operation)
        assert line[line.index("--policy-pack") + 1] == str(stack.root / "infra" / "policy")
    assert "--policy-pack" not in command.arguments(stack.workspace(), "destroy")
