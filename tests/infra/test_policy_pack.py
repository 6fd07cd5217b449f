"""The pack over whole stacks: the lab's program, an exported state, and as the process that Pulumi's engine starts."""

import json
from collections.abc import Iterator

import pytest
import yaml
from infra.policy.judge import WAIVERS_POLICY
from infra.policy.model import Level, Plan
from infra.policy.rules import ALL_RULES
from infra.policy.rules.compute import INSTANCE
from infra.policy.rules.keys import KEY
from infra.policy.rules.network import FLOW_LOG
from infra.policy.rules.security_groups import INGRESS
from infra.policy.rules.stack_network import VPC
from infra.policy.runner import Status, evaluate
from infra.policy.sources import from_state, plan_from_config
from infra.policy.values import UNKNOWN
from pulumi.runtime.proto import analyzer_pb2 as proto

from onedallmail.paths import ROOT

from .engine_stack import EngineStack
from .policy_judging import recorded
from .policy_process import PolicyProcess, made, policy_process, urn

STACK = "lab"
STACKS = sorted(path.name[7:-5] for path in ROOT.glob("Pulumi.*.yaml"))
"""Every stack file of the repository: the lab and the examples of all kinds."""
ROTATING = {"enableKeyRotation": True, "deletionWindowInDays": 30}
TO_THE_DATABASE = {"ipProtocol": "tcp", "fromPort": 5432, "toPort": 5432, "cidrIpv4": "0.0.0.0/0"}


def flat_config() -> dict[str, str]:
    """Return the lab's configuration as Pulumi hands it to programs and policy packs."""
    config = yaml.safe_load((ROOT / f"Pulumi.{STACK}.yaml").read_text())["config"]
    return {k: v if isinstance(v, str) else json.dumps(v) for k, v in config.items()}


@pytest.fixture(scope="module")
def pack() -> Iterator[PolicyProcess]:
    """Return the pack as a process."""
    with policy_process(flat_config()) as process:
        yield process


@pytest.mark.parametrize("stack", STACKS)
def test_the_program_violates_no_mandatory_rule_without_a_waiver(stack: str) -> None:
    assert recorded(stack).lines(Status.VIOLATION) == []


@pytest.mark.parametrize("stack", STACKS)
def test_every_rule_comes_to_a_result_on_the_program(stack: str) -> None:
    assert recorded(stack).lines(Status.NOT_ESTABLISHED) == []


@pytest.mark.parametrize("stack", STACKS)
def test_every_waiver_for_the_stack_is_in_force_and_needed(stack: str) -> None:
    assert [d.message for d in recorded(stack).defects] == []


def test_the_process_offers_every_rule_with_level_severity_remediation_and_controls(pack: PolicyProcess) -> None:
    offered = {p.name: p for p in pack.info().policies}
    assert set(offered) == {rule.id for rule in ALL_RULES} | {WAIVERS_POLICY}
    for rule in ALL_RULES:
        policy = offered[rule.id]
        assert policy.enforcementLevel == (proto.MANDATORY if rule.level is Level.MANDATORY else proto.ADVISORY)
        assert proto.PolicySeverity.Name(policy.severity) == f"POLICY_SEVERITY_{rule.severity.name}"
        assert (policy.remediation_steps, tuple(policy.tags)) == (rule.remediation, rule.controls)


def test_a_violation_stops_the_resource_before_it_is_made(pack: PolicyProcess) -> None:
    found = pack.resource(INGRESS, {**TO_THE_DATABASE, "securityGroupId": "sg-1", "region": "eu-central-1"})
    diagnostic = found["ingress-from-internet-by-flow"]
    assert diagnostic.enforcementLevel == proto.MANDATORY
    assert "tcp 5432 is open to the internet" in diagnostic.message


def test_what_keeps_the_rules_brings_no_diagnostics_of_them(pack: PolicyProcess) -> None:
    assert "key-rotates" not in pack.resource(KEY, {**ROTATING, "region": "eu-central-1"})
    assert "key-rotates" in pack.resource(KEY, {"region": "eu-central-1"})


def test_a_region_outside_of_the_stack_is_refused_by_the_stacks_own_configuration(pack: PolicyProcess) -> None:
    assert "region-of-stack" in pack.resource(VPC, {"region": "us-east-2"})
    assert "region-of-stack" not in pack.resource(VPC, {"region": "eu-north-1"})


def test_a_value_that_a_preview_does_not_know_yields_advice_and_no_pass(pack: PolicyProcess) -> None:
    diagnostic = pack.resource(KEY, {**ROTATING, "enableKeyRotation": UNKNOWN})["key-rotates"]
    assert diagnostic.enforcementLevel == proto.ADVISORY
    assert "can't run policy" in diagnostic.message


def test_a_waived_violation_does_not_stop_and_the_same_one_elsewhere_does(pack: PolicyProcess) -> None:
    server = {"disableApiTermination": False, "region": "eu-central-1"}
    waived = pack.resource(INSTANCE, server, name="a1")["termination-protected"]
    assert waived.enforcementLevel == proto.ADVISORY
    assert "waived by platform-team" in waived.message
    refused = pack.resource(INSTANCE, server, name="another")["termination-protected"]
    assert refused.enforcementLevel == proto.MANDATORY


def test_a_whole_stack_is_judged_by_what_its_resources_refer_to(pack: PolicyProcess) -> None:
    network = made(VPC, "network", {"id": "vpc-1", "region": "eu-central-1"})
    assert pack.stack(network)["vpc-has-flow-log"].urn == urn(VPC, "network")
    by_value = made(FLOW_LOG, "flow", {"vpcId": "vpc-1", "region": "eu-central-1"})
    assert "vpc-has-flow-log" not in pack.stack(network, by_value)
    by_reference = made(FLOW_LOG, "flow", {"vpcId": UNKNOWN, "region": "eu-central-1"}, {"vpcId": urn(VPC, "network")})
    assert "vpc-has-flow-log" not in pack.stack(network, by_reference)
    open_end = made(FLOW_LOG, "flow", {"vpcId": UNKNOWN, "region": "eu-central-1"})
    assert pack.stack(network, open_end)["vpc-has-flow-log"].enforcementLevel == proto.ADVISORY


def test_a_waiver_that_nothing_needs_fails_the_stack() -> None:
    with policy_process(flat_config()) as fresh:
        diagnostic = fresh.stack(made(VPC, "network", {"id": "vpc-1", "region": "eu-central-1"}))[WAIVERS_POLICY]
    assert diagnostic.enforcementLevel == proto.MANDATORY
    assert "nothing needs it" in diagnostic.message


def test_a_user_of_the_pack_may_turn_a_policy_off_or_make_it_advice() -> None:
    refused = {"region": "eu-central-1"}
    with policy_process(flat_config()) as own:
        own.configure({"key-rotates": proto.DISABLED})
        assert "key-rotates" not in own.resource(KEY, refused)
        own.configure({"key-rotates": proto.ADVISORY})
        assert own.resource(KEY, refused)["key-rotates"].enforcementLevel == proto.ADVISORY


def test_an_exported_state_is_judged_like_a_recorded_program(emulated_stack: EngineStack) -> None:
    emulated_stack.up()
    plan = Plan(stack="test", regions=frozenset({"eu-central-1"}))
    found = from_state(emulated_stack.export()["deployment"], plan)
    status = {(r.rule.id, r.resource.name): r.status for r in evaluate(ALL_RULES, found, plan)}
    assert status["bucket-has-versioning", "bucket"] is Status.PASS
    assert status["object-lock-compliance", "bucket"] is Status.VIOLATION
    assert status["bucket-has-policy", "bucket"] is Status.VIOLATION
    assert status["mail-zone-complete", "zone"] is Status.VIOLATION
    assert status["key-rotates", "key"] is Status.PASS


def test_the_plan_of_the_pack_is_the_one_of_the_stack_file() -> None:
    plan = plan_from_config(STACK, flat_config())
    assert plan.regions == {"eu-central-1", "eu-west-1", "eu-north-1"}
    assert plan.options is not None
    assert not plan.options.balancers
    assert plan.flows
