"""The rules as Pulumi's policy pack: reads Pulumi's arguments, reports through Pulumi, decides nothing itself."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from functools import cache
from typing import Any

import pulumi
from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyResource,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    Severity,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE, UnknownValueError

from .model import AnyRule, Plan, Resource, ResourceRule, Stack, StackRule
from .rules import ALL_RULES
from .runner import Result, Status, evaluate, examine
from .sources import PROVIDER, plan_from_config
from .values import Props
from .waivers import Waiver, apply, standing_defects, unused_defects

NAME = "onedallmail"
WAIVERS_POLICY = "waivers-in-force"


class Pack:
    """The policies of one run, and which waivers something needed so far."""

    def __init__(self, waivers: Sequence[Waiver]) -> None:
        self._waivers = waivers
        self._waived: list[Result] = []

    def policies(self) -> list[Policy]:
        """Return every rule as a policy of Pulumi's, and one policy about the waivers themselves."""
        return [*(self._policy(rule) for rule in ALL_RULES), self._waivers_policy()]

    def _policy(self, rule: AnyRule) -> Policy:
        common: dict[str, Any] = {
            "name": rule.id,
            "description": rule.title,
            "display_name": rule.title,
            "enforcement_level": EnforcementLevel(rule.level.value),
            "severity": Severity(rule.severity.value),
            "remediation_steps": rule.remediation,
            "tags": list(rule.controls),
        }
        if isinstance(rule, StackRule):
            return StackValidationPolicy(validate=self._stack_check(rule), **common)
        return ResourceValidationPolicy(validate=self._resource_check(rule), **common)

    def _resource_check(self, rule: ResourceRule) -> Callable[[ResourceValidationArgs, ReportViolation], None]:
        def check(args: ResourceValidationArgs, report: ReportViolation) -> None:
            if not args.resource_type.startswith(PROVIDER) or not rule.covers(args.resource_type):
                return
            plan = current_plan()
            resource = Resource(args.resource_type, args.name, Props(plain(args.props)), plan, urn=args.urn)
            if self._report(rule, resource, Stack(plan, (resource,)), report):
                raise UnknownValueError(UNKNOWN_STRING_VALUE, [rule.id])

        return check

    def _stack_check(self, rule: StackRule) -> Callable[[StackValidationArgs, ReportViolation], None]:
        def check(args: StackValidationArgs, report: ReportViolation) -> None:
            stack = _stack(args)
            open_ends = [self._report(rule, r, stack, report) for r in stack.resources if rule.covers(r.type)]
            if any(open_ends):
                raise UnknownValueError(UNKNOWN_STRING_VALUE, [rule.id])

        return check

    def _report(self, rule: AnyRule, resource: Resource, stack: Stack, report: ReportViolation) -> bool:
        """Report what a rule finds and no waiver accepts; return whether something is not known yet."""
        messages, not_known = examine(rule, resource, stack)
        if messages:
            violation = Result(rule, resource, Status.VIOLATION, messages)
            (result,) = apply([violation], self._waivers, _today())
            if result.status is Status.WAIVED:
                self._waived.append(result)
            else:
                for message in messages:
                    report(f"{resource.name}: {message}. {rule.remediation}.", resource.urn)
        return bool(not_known)

    def _waivers_policy(self) -> Policy:
        def check(args: StackValidationArgs, report: ReportViolation) -> None:
            stack = _stack(args)
            seen = [*self._waived, *evaluate(ALL_RULES, stack.resources, stack.plan)]
            ids = [rule.id for rule in ALL_RULES]
            unused = unused_defects(self._waivers, seen, stack.plan.stack)
            for defect in (*standing_defects(self._waivers, ids, _today()), *unused):
                report(defect.message, None)

        return StackValidationPolicy(
            name=WAIVERS_POLICY,
            description="Every waiver is in force, for a rule that exists, and needed",
            enforcement_level=EnforcementLevel.MANDATORY,
            severity=Severity.HIGH,
            remediation_steps="Repair what was waived, or have the waiver approved anew, in infra/policy/waivers.yaml",
            validate=check,
        )


def plain(value: Any) -> Any:
    """Return Pulumi's guarded properties as plain ones, with the marks of unknown values left in place."""
    if isinstance(value, Mapping):
        return {key: _element(value, key) for key in value}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_element(value, index) for index in range(len(value))]
    return value


def _element(container: Any, key: Any) -> Any:
    try:
        return plain(container[key])
    except UnknownValueError as error:
        return error.unknown_type_sentinel


def current_plan() -> Plan:
    """Return the plan of the stack that Pulumi runs the pack for.

    Raises:
        StackError: the configuration that Pulumi hands over is no stack's.
    """
    return _plan(pulumi.get_stack(), os.environ.get("PULUMI_CONFIG") or "{}")


@cache
def _plan(stack: str, config: str) -> Plan:
    return plan_from_config(stack, json.loads(config))


def _stack(args: StackValidationArgs) -> Stack:
    plan = current_plan()
    return Stack(plan, tuple(_resource(r, plan) for r in args.resources if r.resource_type.startswith(PROVIDER)))


def _resource(entry: PolicyResource, plan: Plan) -> Resource:
    values = plain(entry.props)
    identifier = values.get("id")
    return Resource(
        entry.resource_type,
        entry.name,
        Props(values),
        plan,
        id=identifier if isinstance(identifier, str) else "",
        urn=entry.urn,
        refers={name: frozenset(r.urn for r in targets) for name, targets in entry.property_dependencies.items()},
    )


def _today() -> date:
    return datetime.now(UTC).date()
