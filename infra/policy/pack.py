"""The rules as Pulumi's policy pack: reads Pulumi's arguments, reports through Pulumi, decides nothing itself."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
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

from . import waivers
from .model import AnyRule, Plan, Resource, ResourceRule, Stack, StackRule
from .rules import ALL_RULES
from .runner import Result, Status, evaluate, examine
from .sources import PROVIDER, plan_from_config
from .values import Props

NAME = "onedallmail"
WAIVERS_POLICY = "waivers-in-force"
Waivers = Sequence[waivers.Waiver]


def policies(held: Waivers) -> list[Policy]:
    """Return every rule as a policy of Pulumi's, and one policy about the waivers themselves."""
    return [_policy(rule, held) for rule in ALL_RULES] + [_waivers_policy(held)]


def _policy(rule: AnyRule, held: Waivers) -> Policy:
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
        return StackValidationPolicy(validate=_stack_check(rule, held), **common)
    return ResourceValidationPolicy(validate=_resource_check(rule, held), **common)


def _resource_check(rule: ResourceRule, held: Waivers) -> Callable[[ResourceValidationArgs, ReportViolation], None]:
    def check(args: ResourceValidationArgs, report: ReportViolation) -> None:
        if not args.resource_type.startswith(PROVIDER):
            return
        plan = _plan()
        resource = Resource(args.resource_type, args.name, Props(plain(args.props)), plan, urn=args.urn)
        if rule.covers(resource) and _report(rule, resource, Stack(plan, (resource,)), held, report):
            raise UnknownValueError(UNKNOWN_STRING_VALUE, [rule.id])

    return check


def _stack_check(rule: StackRule, held: Waivers) -> Callable[[StackValidationArgs, ReportViolation], None]:
    def check(args: StackValidationArgs, report: ReportViolation) -> None:
        stack = _stack(args)
        open_ends = [_report(rule, r, stack, held, report) for r in stack.resources if rule.covers(r)]
        if any(open_ends):
            raise UnknownValueError(UNKNOWN_STRING_VALUE, [rule.id])

    return check


def _report(rule: AnyRule, resource: Resource, stack: Stack, held: Waivers, report: ReportViolation) -> bool:
    """Report what a rule finds and no waiver accepts; return whether something is not known yet."""
    messages, not_known = examine(rule, resource, stack)
    if messages:
        result = Result(rule, resource, Status.VIOLATION, messages)
        (result,) = waivers.apply([result], held, _today())
        for message in messages if result.status is Status.VIOLATION else ():
            report(f"{resource.name}: {message}. {rule.remediation}", resource.urn)
    return bool(not_known)


def _waivers_policy(held: Waivers) -> Policy:
    def check(args: StackValidationArgs, report: ReportViolation) -> None:
        stack = _stack(args)
        results = evaluate(ALL_RULES, stack.resources, stack.plan)
        defects = waivers.standing_defects(held, (r.id for r in ALL_RULES), _today())
        for defect in (*defects, *waivers.unused_defects(held, results, stack.plan.stack)):
            report(defect.message, None)

    return StackValidationPolicy(
        name=WAIVERS_POLICY,
        description="Every waiver is in force, for a rule that exists, and needed",
        enforcement_level=EnforcementLevel.MANDATORY,
        severity=Severity.HIGH,
        remediation_steps="Repair what was waived, or have the waiver approved anew, in infra/policy/waivers.yaml.",
        validate=check,
    )


def plain(value: Any) -> Any:
    """Return Pulumi's guarded properties as plain ones, with the marks of unknown values left in place."""
    if isinstance(value, Mapping):
        return {key: _element(value, key) for key in value}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_element(value, index) for index in range(len(value))]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _element(container: Any, key: Any) -> Any:
    try:
        return plain(container[key])
    except UnknownValueError as error:
        return error.unknown_type_sentinel


def _stack(args: StackValidationArgs) -> Stack:
    plan = _plan()
    return Stack(plan, tuple(_resource(r, plan) for r in args.resources if r.resource_type.startswith(PROVIDER)))


def _resource(entry: PolicyResource, plan: Plan) -> Resource:
    values = plain(entry.props)
    refers = {name: frozenset(r.urn for r in targets) for name, targets in entry.property_dependencies.items()}
    identifier = values.get("id")
    return Resource(
        entry.resource_type,
        entry.name,
        Props(values),
        plan,
        id=identifier if isinstance(identifier, str) else "",
        urn=entry.urn,
        refers=refers,
    )


def _plan() -> Plan:
    return plan_from_config(pulumi.get_stack(), json.loads(os.environ.get("PULUMI_CONFIG") or "{}"))


def _today() -> Any:
    return datetime.now(UTC).date()
