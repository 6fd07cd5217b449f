"""The engine's steps on real processes: what is created, changed, replaced, deleted, refused."""

import json
import time
from pathlib import Path

import pytest

from onedallmail.engine.errors import EngineError

from .engine_stack import EngineStack

pytestmark = pytest.mark.timeout(120)


def raw(**resources: tuple[str, dict[str, object]]) -> str:
    return json.dumps(resources)


def test_a_stack_is_created_updated_replaced_and_destroyed(stack: EngineStack) -> None:
    first = stack.up()
    assert first.errors == ()
    assert stack.done() == {"queue": "create", "policy": "create"}
    assert first.outputs["queueId"] == "https://sqs.eu-central-1.amazonaws.com/123456789012/first"
    assert first.outputs["zones"] == ["eu-central-1a", "eu-central-1b", "eu-central-1c"]

    again = stack.up()
    assert (again.changes, stack.done()) == (0, {})

    stack.up(version="2")
    assert stack.done() == {"queue": "update"}
    assert stack.resources()["queue"]["inputs"]["tags"] == {"version": "2"}

    planned = stack.preview(name="second", version="2")
    assert stack.done() == {"queue": "replace", "policy": "replace"}
    assert planned.outputs["queueId"] == "[unknown]"
    assert stack.outputs() == first.outputs, "a preview changes nothing"

    replaced = stack.up(name="second", version="2")
    kept = stack.export()["deployment"]["resources"]
    assert replaced.outputs["queueId"].endswith("/second")
    assert replaced.outputs["policyId"].endswith("/second")
    assert not [r for r in kept if r.get("delete") or str(r.get("id")).endswith("/first")], "the old ones are deleted"

    stack.up(alone="true", name="second", version="2")
    assert stack.done() == {"policy": "delete"}
    assert "policyId" not in stack.outputs()

    assert stack.destroy().errors == ()
    assert stack.export()["deployment"]["resources"] == []


def test_elastic_ips_get_addresses_of_their_own_and_keep_them(tmp_path: Path) -> None:
    stack = EngineStack(tmp_path, program="addresses")
    first = stack.up().outputs
    assert len(set(first["addresses"])) == 3
    assert all(address.startswith("198.51.100.") for address in first["addresses"])
    assert first["gateway"] == first["addresses"][0]
    second = stack.up(version="2")
    assert second.counts["update"] == 4
    assert second.outputs == first


def test_a_failing_create_keeps_what_was_made_and_a_second_up_finishes(stack: EngineStack) -> None:
    stack.faults(fail=["policy"])
    started = time.monotonic()
    failed = stack.up(faulty=True)
    assert [e for e in failed.errors if "no right to create policy" in e]
    assert len(failed.errors) == 1, "one fault is one error, without the SDK's echo"
    assert time.monotonic() - started < 30, "the program ends soon after an error"
    assert set(stack.resources()) == {"queue"}
    assert failed.pending == ()
    made = stack.resources()["queue"]["id"]
    assert stack.up().ok
    assert stack.done() == {"policy": "create"}
    assert stack.resources()["queue"]["id"] == made


def test_a_crashing_program_deletes_nothing_and_shows_its_own_lines(stack: EngineStack) -> None:
    before = stack.up().outputs
    crashed = stack.up(crash="true", alone="true", secret_config={"version": "hidden-word"})
    assert "ValueError: the program is wrong" in crashed.errors[0]
    assert "launcher.py" not in crashed.errors[0]
    assert "hidden-word" not in crashed.errors[0]
    assert "policy" in stack.resources(), "what the program did not reach is not deleted"
    assert stack.outputs() == before, "outputs of a run that failed do not replace good ones"


def test_a_misspelt_property_and_a_foreign_provider_fail_the_run_by_name(stack: EngineStack) -> None:
    misspelt: dict[str, object] = {"logging": {"loggingRole": "x"}, "redrivePolicyy": "{}"}
    result = stack.preview(raw=raw(bad=("aws:sqs/queue:Queue", misspelt)))
    assert [e for e in result.errors if e.startswith("bad: ") and "redrivePolicyy: no such property" in e]
    result = stack.up(raw=raw(bad=("random:index/randomId:RandomId", {"byteLength": 4})))
    assert [e for e in result.errors if e.startswith("bad: provider 'random' is refused")]


def test_protected_resources_are_neither_replaced_nor_destroyed(stack: EngineStack) -> None:
    stack.up(protect="true")
    replaced = stack.up(protect="true", name="second")
    assert "protected" in replaced.errors[0]
    destroyed = stack.destroy()
    assert destroyed.errors == ("queue: it is protected and can't be deleted: remove `protect` and run `up` first",)
    assert set(stack.resources()) == {"queue"}, "what nothing protected needs is deleted"


def test_delete_before_replace_replaces_the_dependents_too_and_goes_on_after_a_failure(stack: EngineStack) -> None:
    stack.up(deleteFirst="true")
    planned = stack.preview(deleteFirst="true", name="second")
    assert planned.ok
    assert stack.done() == {"queue": "replace", "policy": "replace"}
    stack.faults(fail=["policy"])
    failed = stack.up(faulty=True, deleteFirst="true", name="second")
    assert [e for e in failed.errors if "no right to create policy" in e]
    assert [e.name for e in stack.events if e.op == "delete-replaced"] == ["policy", "queue"]
    assert stack.resources()["policy"]["pendingReplacement"], "it is known that it has to be made again"
    again = stack.up(deleteFirst="true", name="second")
    assert again.ok
    assert stack.done() == {"policy": "replace"}
    assert "pendingReplacement" not in stack.resources()["policy"]
    assert stack.resources()["policy"]["inputs"]["queueUrl"].endswith("/second")


def test_delete_before_replace_deletes_nothing_when_a_dependent_is_protected(stack: EngineStack) -> None:
    stack.up(deleteFirst="true", protectPolicy="true")
    before = stack.resources()
    refused = stack.up(deleteFirst="true", protectPolicy="true", name="second")
    assert "policy must be deleted before, which is protected" in refused.errors[0]
    assert stack.resources().keys() == before.keys()
    assert stack.resources()["queue"]["id"] == before["queue"]["id"]


def test_delete_before_replace_works_alone(stack: EngineStack) -> None:
    first = stack.up(deleteFirst="true", alone="true").outputs["queueId"]
    second = stack.up(deleteFirst="true", alone="true", name="second")
    assert second.ok
    assert second.outputs["queueId"] != first
    assert len(stack.resources()) == 1


def test_a_missing_stack_file_and_a_wrong_target_are_refused(stack: EngineStack) -> None:
    stack.configure(target="aws")
    with pytest.raises(EngineError, match="run `pulumi up -s test`"):
        stack.up()
    (stack.root / "Pulumi.test.yaml").unlink()
    with pytest.raises(EngineError, match=r"Pulumi\.test\.yaml can't be read"):
        stack.up()
