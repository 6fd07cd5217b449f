"""One run of the pack: rules applied as resources arrive, then over the whole stack, with waivers. No protocol here."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from .model import AnyRule, Level, Plan, Resource, ResourceRule, Severity, Stack, StackRule
from .rules import ALL_RULES
from .runner import Result, Status, evaluate, examine
from .waivers import Waiver, apply, standing_defects, unused_defects

WAIVERS_POLICY = "waivers-in-force"
WAIVERS_TITLE = "Every waiver is in force, for a rule that exists, and needed"
WAIVERS_REMEDIATION = "Repair what was waived, or have the waiver approved anew, in infra/policy/waivers.yaml"


@dataclass(frozen=True)
class Finding:
    """One thing to tell: which policy, how bad, about what."""

    policy: str
    title: str
    level: Level
    severity: Severity
    message: str
    urn: str = ""
    not_known: bool = False
    """Whether the policy could not judge, for a value that is not known yet."""


class Judge:
    """Judges the resources of one stack, and remembers which waivers something needed."""

    def __init__(self, waivers: Sequence[Waiver], rules: Sequence[AnyRule] = ALL_RULES) -> None:
        self._waivers, self._rules = waivers, rules
        self._waived: list[Result] = []

    def resource(self, resource: Resource, today: date) -> Iterator[Finding]:
        """Yield what the rules for single resources find, before the resource is made."""
        alone = Stack(resource.plan, (resource,))
        for rule in self._rules:
            if isinstance(rule, ResourceRule) and rule.covers(resource.type):
                yield from self._findings(rule, resource, alone, today)

    def stack(self, plan: Plan, resources: Iterable[Resource], today: date) -> Iterator[Finding]:
        """Yield what the rules for whole stacks find, and what is wrong with waivers."""
        stack = Stack(plan, tuple(resources))
        for rule in self._rules:
            if isinstance(rule, StackRule):
                for resource in (r for r in stack.resources if rule.covers(r.type)):
                    yield from self._findings(rule, resource, stack, today)
        yield from self._defects(stack, today)

    def _findings(self, rule: AnyRule, resource: Resource, stack: Stack, today: date) -> Iterator[Finding]:
        messages, not_known = examine(rule, resource, stack)
        if messages:
            (result,) = apply([Result(rule, resource, Status.VIOLATION, messages)], self._waivers, today)
            if result.status is Status.WAIVED:
                self._waived.append(result)
            yield from (_told(result, message) for message in messages)
        if not_known:
            yield Finding(rule.id, rule.title, Level.ADVISORY, rule.severity, not_known, resource.urn, not_known=True)

    def _defects(self, stack: Stack, today: date) -> Iterator[Finding]:
        needing = [*self._waived, *evaluate(self._rules, stack.resources, stack.plan)]
        standing = standing_defects(self._waivers, [rule.id for rule in self._rules], today)
        for defect in (*standing, *unused_defects(self._waivers, needing, stack.plan.stack)):
            yield Finding(WAIVERS_POLICY, WAIVERS_TITLE, Level.MANDATORY, Severity.HIGH, defect.message)


def _told(result: Result, message: str) -> Finding:
    rule, resource = result.rule, result.resource
    text = f"{resource.name}: {message}. {rule.remediation}."
    if result.status is Status.WAIVED:
        return Finding(
            rule.id, rule.title, Level.ADVISORY, rule.severity, f"waived by {result.approver}: {text}", resource.urn
        )
    return Finding(rule.id, rule.title, rule.level, rule.severity, text, resource.urn)
