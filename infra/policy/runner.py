"""Applies rules to resources and says of each pair what came out. Pure: the same input gives the same results."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from .model import AnyRule, Level, Plan, Resource, Stack, StackRule
from .values import MalformedError, NotEstablished


class Status(StrEnum):
    """What is known about a rule at a resource."""

    PASS = "pass"  # noqa: S105 - a status, no password
    VIOLATION = "violation"
    WAIVED = "waived"
    NOT_ESTABLISHED = "not established"
    """It touched a value that is not known yet, or that another stack holds."""


@dataclass(frozen=True)
class Result:
    """One rule at one resource."""

    rule: AnyRule
    resource: Resource
    status: Status
    messages: tuple[str, ...] = ()
    approver: str = ""

    @property
    def stops(self) -> bool:
        """Whether a deployment must not go on."""
        return self.status is Status.VIOLATION and self.rule.level is Level.MANDATORY


Examined = tuple[tuple[str, ...], str]
"""Violations, and what could not be established ("" when everything could)."""


def examine(rule: AnyRule, resource: Resource, stack: Stack) -> Examined:
    """Return what one rule finds at one resource."""
    found: list[str] = []
    try:
        for message in rule.check(resource, stack) if isinstance(rule, StackRule) else rule.check(resource):
            found.append(message)
    except MalformedError as error:
        found.append(str(error))
    except NotEstablished as error:
        return tuple(found), str(error)
    return tuple(found), ""


def evaluate(rules: Iterable[AnyRule], resources: Iterable[Resource], plan: Plan) -> tuple[Result, ...]:
    """Return one result for each rule and each resource that it covers, before any waiver."""
    stack = Stack(plan, tuple(resources))
    return tuple(
        _result(rule, resource, examine(rule, resource, stack))
        for rule in rules
        for resource in stack.resources
        if rule.covers(resource.type)
    )


def _result(rule: AnyRule, resource: Resource, examined: Examined) -> Result:
    messages, not_known = examined
    if messages:
        return Result(rule, resource, Status.VIOLATION, messages)
    if not_known:
        return Result(rule, resource, Status.NOT_ESTABLISHED, (not_known,))
    return Result(rule, resource, Status.PASS)


def stopping(results: Sequence[Result]) -> tuple[Result, ...]:
    """Return the results that stop a deployment."""
    return tuple(r for r in results if r.stops)
