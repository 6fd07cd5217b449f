"""The policy pack over whole stacks: what a recorded program or a deployed state looks like to every rule."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from infra.policy.model import Plan, Resource
from infra.policy.report import document
from infra.policy.rules import ALL_RULES
from infra.policy.runner import Result, Status, evaluate
from infra.policy.sources import PROVIDER, from_state, plan_of, resource
from infra.policy.waivers import Defect, apply, load_waivers, standing_defects, unused_defects

from onedallmail.stackfile import load_any

from .recording import record_program


@dataclass(frozen=True)
class Judgement:
    """What came out over one stack, waivers applied, and what is wrong with the waivers."""

    plan: Plan
    results: tuple[Result, ...]
    defects: tuple[Defect, ...]

    def of_control(self, control: str) -> "Judgement":
        """Return the part that speaks of one control."""
        return Judgement(self.plan, tuple(r for r in self.results if control in r.rule.controls), self.defects)

    def document(self, basis: str) -> dict[str, Any]:
        """Return the results as evidence keeps them."""
        rules = [rule for rule in ALL_RULES if any(r.rule is rule for r in self.results)]
        return document(self.results, rules, self.defects, stack=self.plan.stack, basis=basis)

    def lines(self, *statuses: Status) -> list[str]:
        """Return one line for each mandatory result of these kinds."""
        return [
            f"{r.rule.id} ({r.rule.severity}): {r.resource.name}: {'; '.join(r.messages)}"
            for r in self.results
            if r.status in statuses and r.rule.level == "mandatory"
        ]


@cache
def recorded(stack: str) -> Judgement:
    """Return what the pack says of the program of a stack, recorded under mocks."""
    plan = plan_of(load_any(stack))
    found = [
        resource(r.type, r.name, r.inputs, plan, identifier=r.id, outputs=r.outputs)
        for r in record_program(stack)
        if r.type.startswith(PROVIDER)
    ]
    return judge(plan, found)


def deployed(stack: str, exported: dict[str, Any]) -> Judgement:
    """Return what the pack says of a stack's exported state."""
    plan = plan_of(load_any(stack))
    return judge(plan, from_state(exported["deployment"], plan))


def judge(plan: Plan, resources: Sequence[Resource]) -> Judgement:
    """Return what every rule says of these resources, with the repository's waivers."""
    waivers, today = load_waivers(), datetime.now(UTC).date()
    results = apply(evaluate(ALL_RULES, resources, plan), waivers, today)
    defects = standing_defects(waivers, [rule.id for rule in ALL_RULES], today)
    return Judgement(plan, results, (*defects, *unused_defects(waivers, results, plan.stack)))


def controls() -> list[str]:
    """Return the controls of the evidence catalogue that rules feed, in order."""
    return sorted({c for rule in ALL_RULES for c in rule.controls if not c.startswith("cis-aws:")})
