"""What the policy pack finds in the recorded lab stack, as evidence by control. Recorded only: it shows intent."""

import pytest
from infra.policy import report
from infra.policy.rules import ALL_RULES
from infra.policy.runner import Status

from onedallmail.evidence.attachments import Evidence

from .policy_judging import controls, recorded

STACK = "lab"
BY_CONTROL = [
    pytest.param(c, marks=pytest.mark.control(c, kind="scan", basis="recorded"), id=c.replace(":", "-"))
    for c in controls()
]


@pytest.mark.parametrize("control", BY_CONTROL)
def test_the_recorded_stack_keeps_the_policies_of(control: str, evidence: Evidence) -> None:
    """No resource that the program makes violates a mandatory rule of this control without a waiver in force."""
    part = recorded(STACK).of_control(control)
    rules = {r.rule.id for r in part.results}
    evidence.describe(
        population=f"{len({(r.resource.type, r.resource.name) for r in part.results})} resources of the program",
        query=f"rules of infra/policy that name {control}: {', '.join(sorted(rules)) or 'none applies'}",
        sample="all",
    )
    evidence.tool("infra/policy", f"{len(ALL_RULES)} rules")
    evidence.attach_text("policy-results.json", report.text(part.document("program recorded under mocks")))
    assert part.lines(Status.VIOLATION) == []
    assert part.lines(Status.NOT_ESTABLISHED) == []


def test_the_document_lists_every_finding_with_rule_resource_and_approver() -> None:
    judgement = recorded(STACK)
    found = judgement.document("test")
    assert len(found["findings"]) == sum(r.status is not Status.PASS for r in judgement.results)
    waived = [f for f in found["findings"] if f["status"] == "waived"]
    assert waived
    assert all(f["approver"] for f in waived)
    assert {r["id"] for r in found["rules"]} >= {f["rule"] for f in found["findings"]}
    assert sum(found["counts"].values()) == len(judgement.results)
    assert report.text(found) == report.text(judgement.document("test"))
