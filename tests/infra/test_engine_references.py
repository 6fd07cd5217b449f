"""References from one stack to another: the outputs of its state on this machine, its secrets still secret."""

import dataclasses
import json
import shutil

import pytest

from onedallmail.engine import run
from onedallmail.engine.values import MASK

from .engine_stack import EngineStack

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def other(stack: EngineStack) -> str:
    """Make the stack `other` of the same project, beside the stack `test`, and return its name."""
    shutil.copy(stack.root / "Pulumi.test.yaml", stack.root / "Pulumi.other.yaml")
    work = dataclasses.replace(stack.workspace(), stack="other", state_dir=stack.state.with_name("other"))
    result = run.up("other", workspace=work, secret_config={"password": "swordfish-4711"})
    assert result.ok
    return "other"


@pytest.mark.parametrize("name", ["other", "sample/other", "organization/sample/other"])
def test_a_reference_yields_the_outputs_of_another_stack(stack: EngineStack, other: str, name: str) -> None:
    assert name.endswith(other)
    result = stack.up(reference=name)
    assert result.outputs["otherQueueId"] == "https://sqs.eu-central-1.amazonaws.com/123456789012/first"
    assert stack.resources()["mirror"]["inputs"]["tags"]["of"] == result.outputs["otherQueueId"]
    assert stack.up(reference=name).changes == 0
    planned = stack.preview(reference=name)
    assert planned.changes == 0
    assert planned.outputs["otherQueueId"] == result.outputs["otherQueueId"]


def test_secret_outputs_stay_secret_in_the_stack_that_refers_to_them(stack: EngineStack, other: str) -> None:
    result = stack.up(reference=other)
    assert result.outputs["otherPassword"] == MASK
    assert "swordfish-4711" not in (stack.state / "deployment" / "state.json").read_text()
    assert stack.outputs(show_secrets=True)["otherPassword"] == "swordfish-4711"


def test_a_reference_to_a_stack_without_state_or_of_another_project_is_refused(stack: EngineStack) -> None:
    assert "the stack 'nowhere' has no state in" in stack.up(reference="nowhere").errors[0]
    refused = stack.up(reference="organization/elsewhere/test").errors[0]
    assert "only stacks of the project 'sample'" in refused


def test_the_recorded_reference_is_complete_for_other_tools(stack: EngineStack, other: str) -> None:
    stack.up(reference=other)
    resources = stack.export()["deployment"]["resources"]
    reference = next(r for r in resources if r["type"] == "pulumi:pulumi:StackReference")
    assert (reference["external"], reference["id"], reference["inputs"]) == (True, "other", {"name": "other"})
    providers = {f"{r['urn']}::{r['id']}" for r in resources if r["type"].startswith("pulumi:providers:")}
    assert reference["provider"] in providers
    file = stack.folder / "export.json"
    file.write_text(json.dumps(stack.export()))
    run.import_("test", file, workspace=stack.workspace())
    assert stack.up(reference=other).changes == 0


def test_an_offline_preview_takes_the_outputs_of_a_missing_stack_for_unknown_and_says_so(stack: EngineStack) -> None:
    stack.configure(target="aws", reference="nowhere")
    work = stack.workspace()
    planned = run.preview("test", offline=True, workspace=work)
    assert planned.errors == ()
    assert planned.outputs["otherQueueId"] == "[unknown]"
    assert [said for said in planned.not_asked if "the outputs of the stack 'nowhere'" in said]
    assert [said for said in planned.not_asked if "no credentials" in said]
    assert [said for said in planned.not_asked if "aws:index/getAvailabilityZones" in said]
    assert "has no state in" in run.up("test", offline=True, workspace=work).errors[0]
