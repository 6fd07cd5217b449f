"""What the policy pack finds in the state of the deployed stack, as evidence by control. A state only records."""

from functools import cache

import pytest
from infra.policy import report
from infra.policy.rules import ALL_RULES
from infra.policy.runner import Status

from onedallmail.engine import run as engine
from onedallmail.evidence.attachments import Evidence
from onedallmail.stacksecrets import use_passphrase
from tests.infra.policy_judging import Judgement, controls, deployed
from tests.lab import STACK

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("lab")]
BY_CONTROL = [
    pytest.param(c, marks=pytest.mark.control(c, kind="scan", basis="recorded"), id=c.replace(":", "-"))
    for c in controls()
]


@cache
def state() -> Judgement:
    """Return what the pack says of the stack's state; secrets in it stay encrypted."""
    use_passphrase(STACK)
    return deployed(STACK, engine.export(STACK))


@pytest.mark.parametrize("control", BY_CONTROL)
def test_the_deployed_stack_keeps_the_policies_of(control: str, evidence: Evidence) -> None:
    """No resource of the state violates a mandatory rule of this control without a waiver in force."""
    part = state().of_control(control)
    evidence.describe(
        population=f"{len({(r.resource.type, r.resource.name) for r in part.results})} resources of the state",
        query=f"rules of infra/policy that name {control}: {', '.join(sorted({r.rule.id for r in part.results}))}",
        sample="all",
    )
    evidence.tool("infra/policy", f"{len(ALL_RULES)} rules")
    evidence.attach_text("policy-results.json", report.text(part.document("exported state")))
    assert part.lines(Status.VIOLATION, Status.NOT_ESTABLISHED) == []


def test_every_waiver_for_the_deployed_stack_is_in_force_and_needed() -> None:
    assert [d.message for d in state().defects] == []
