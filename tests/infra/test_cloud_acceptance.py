"""What a validator's report becomes: verdicts, the emulator's limits apart from faults, the state it speaks of."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from onedallmail.cloud import acceptance
from onedallmail.platform.options import Options

from .offline_states import SIZES, stacks, variants

URN = "urn:pulumi:test::sample::aws:ssm/patchBaseline:PatchBaseline::debian"
SECRET = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}


def report(**changes: Any) -> dict[str, Any]:
    result = {
        "urn": URN,
        "name": "debian",
        "type": "aws:ssm/patchBaseline:PatchBaseline",
        "region": "eu-west-1",
        "verdict": "rejected",
        "stage": "apply",
        "errors": ["creating: api error InvalidResourceId: Invalid Resource Id"],
        "notes": [],
        "not_in_provider": ["newer"],
    }
    results = [{**result, **changes}]
    return {"provider": "hashicorp/aws 5", "applied": True, "seconds": 1.5, "results": results}


def export(*resources: dict[str, Any]) -> dict[str, Any]:
    """Return a state of resources with a report's URN, or their own."""
    return {"deployment": {"resources": [{"urn": URN, "custom": True, **r} for r in resources]}}


def test_an_error_of_the_emulator_is_no_rejection_and_is_said() -> None:
    result = acceptance.acceptance(report(), "test", export())
    assert (result.rejected, result.counts) == ((), {"planned only": 1})
    assert result.not_held == {"the emulator takes no tags on patch baselines": 1}
    assert result.not_checked == ("aws:ssm/patchBaseline:PatchBaseline: newer",)


RULE = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
PROFILE = "aws:iam/instanceProfile:InstanceProfile"
ALIAS = "aws:kms/alias:Alias"
LATE = [
    (PROFILE, {"name": "mail"}, "LimitExceeded: Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1"),
    (
        RULE,
        {"securityGroupId": "sg-1", "fromPort": 25},
        "api error InvalidPermission.Duplicate: the rule already exists",
    ),
    (
        ALIAS,
        {"name": "alias/mail", "targetKeyId": "k1"},
        "AlreadyExistsException: An alias with the name already exists",
    ),
]


def both(token: str, error: str, *inputs: dict[str, Any]) -> acceptance.Acceptance:
    """Return what becomes of a state in which the first of some resources was refused because it exists."""
    told, resources = report(type=token, errors=[error]), []
    for number, asked in enumerate(inputs):
        urn = f"{URN}-{number}"
        verdict = told["results"][0] | {"urn": urn, "verdict": "accepted" if number else "rejected"}
        told["results"].append(verdict)
        resources.append({"urn": urn, "type": token, "inputs": asked})
    told["results"].pop(0)
    return acceptance.acceptance(told, "test", export(*resources))


@pytest.mark.parametrize(("token", "inputs", "error"), LATE)
def test_what_exists_already_though_it_was_asked_for_once_is_the_emulators_late_answer(
    token: str, inputs: dict[str, Any], error: str
) -> None:
    other = inputs | {next(iter(inputs)): "other"}
    assert both(token, error, inputs, other).not_held == {acceptance.LATE: 1}


@pytest.mark.parametrize(("token", "inputs", "error"), LATE)
def test_what_is_asked_for_twice_is_refused_for_good_reason(token: str, inputs: dict[str, Any], error: str) -> None:
    again = inputs | {"description": "the same once more"}
    assert not both(token, error, inputs, again).holds


def test_names_of_roles_count_in_all_regions_together() -> None:
    told = report(type=PROFILE, errors=["EntityAlreadyExists"])
    told["results"].append(told["results"][0] | {"urn": f"{URN}-2", "region": "eu-north-1", "verdict": "accepted"})
    twice = export(
        {"type": PROFILE, "inputs": {"name": "mail"}}, {"urn": f"{URN}-2", "type": PROFILE, "inputs": {"name": "mail"}}
    )
    assert not acceptance.acceptance(told, "test", twice).holds


@pytest.mark.parametrize("changes", [{"stage": "plan"}, {"stage": "validate"}, {"errors": ["another error"]}])
def test_what_the_provider_itself_refuses_stays_a_rejection(changes: dict[str, Any]) -> None:
    result = acceptance.acceptance(report(**changes), "test", export())
    assert [finding.name for finding in result.rejected] == ["debian"]
    assert not result.holds


def test_a_type_that_the_provider_does_not_have_and_an_empty_state_do_not_hold() -> None:
    unknown = acceptance.acceptance(report(verdict="not mapped", stage=None), "test", export())
    assert unknown.unmapped == ("aws:ssm/patchBaseline:PatchBaseline",)
    assert not unknown.holds
    assert not acceptance.acceptance({**report(), "results": []}, "test", export()).holds


def test_it_speaks_of_one_state_and_a_changed_one_needs_another(tmp_path: Path) -> None:
    inputs = {"name": "debian", "password": {**SECRET, "ciphertext": "v1:a:b"}}
    resource = {"urn": URN, "type": "aws:ssm/patchBaseline:PatchBaseline", "custom": True, "inputs": inputs}
    state: dict[str, Any] = {"version": 3, "deployment": {"manifest": {"time": "now"}, "resources": [resource]}}
    file = tmp_path / "state.json"
    file.write_text(json.dumps(state))
    result = acceptance.acceptance(report(), "test", state)
    assert acceptance.read(result.write(tmp_path / "results")) == result
    assert result.valid_for(file)

    shown = copy.deepcopy(state)
    shown["deployment"]["manifest"]["time"] = "later"
    shown["deployment"]["resources"][0]["inputs"]["password"] = {**SECRET, "plaintext": '"word"'}
    file.write_text(json.dumps(shown))
    assert result.valid_for(file), "times and the way a secret is written are no changes"

    shown["deployment"]["resources"][0]["inputs"]["name"] = "ubuntu"
    file.write_text(json.dumps(shown))
    assert not result.valid_for(file)


def test_variants_have_each_size_and_turn_each_option_once() -> None:
    made = {variant.name: variant for variant in variants()}
    defaults = Options().model_dump(by_alias=True)
    assert {v.regions for v in made.values()} == set(SIZES)
    for option, value in defaults.items():
        variant = made[f"{option}-{'off' if value else 'on'}"]
        assert variant.options[option] is not value
        Options.model_validate(variant.options)


def test_stacks_that_others_refer_to_come_first() -> None:
    order = stacks()
    assert "lab" in order
    assert order.index("example-keys") < order.index("example")


@pytest.mark.parametrize(("refusals", "holds"), [(1, True), (2, False)])
def test_what_was_refused_once_gets_another_run_and_what_is_refused_again_is_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusals: int, holds: bool
) -> None:
    state, runs = tmp_path / "state.json", tmp_path / "runs"
    state.write_text(json.dumps(export()))
    for number in range(1, 4):
        verdict = "rejected" if number <= refusals else "accepted"
        told = report(verdict=verdict, errors=["InvalidSubnet.Conflict"])
        (tmp_path / f"report-{number}.json").write_text(json.dumps(told))
    program = tmp_path / "validator"
    program.write_text(f"""#!/bin/sh
echo run >>{runs}
cp {tmp_path}/report-$(wc -l <{runs}).json "$3"
""")
    program.chmod(0o700)
    monkeypatch.setenv(acceptance.VALIDATOR_VARIABLE, str(program))
    assert acceptance.check_state(state, "test", apply=True).holds is holds
    assert len(runs.read_text().split()) == acceptance.APPLIES
