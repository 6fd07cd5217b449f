"""Judges the inputs of a resource by the rules of its type. Reasons never show values: they may be secret."""

import ipaddress
import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from onedallmail.platform.regions import AWS_REGIONS

from . import Rules
from .documents import json_problem, policy_problems
from .paths import given, values_at

Violation = tuple[str, str]
Values = dict[str, Any]

NAMED_KINDS = {
    "account": (re.compile(r"\d{12}"), "an account id of 12 digits"),
    "zone": (re.compile(r"[A-Z0-9]{8,32}"), "the id of a hosted zone"),
    "uuid": (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "a UUID"),
}


def violations(rules: Rules, values: Values) -> Iterator[Violation]:
    """Yield (place, reason) for each rule that the known values break."""
    yield from _scalars(rules, values)
    yield from _documents(rules, values)
    yield from _combinations(rules, values)
    for place, region in values_at(values, "region"):
        if region not in AWS_REGIONS:
            yield place, f"must be one of the AWS regions: {', '.join(sorted(AWS_REGIONS))}"


def _scalars(rules: Rules, values: Values) -> Iterator[Violation]:
    for path, allowed in rules.enums.items():
        for place, value in values_at(values, path):
            if _text(value) not in allowed:
                yield place, f"must be one of {', '.join(allowed)}"
    for path, (low, high) in rules.ranges.items():
        for place, value in values_at(values, path):
            if _number(value) is not None and not low <= float(value) <= high:
                yield place, f"must be from {low} to {high}"
    yield from _each(rules.cidrs, values, lambda v: _cidr_problem(v, 4))
    yield from _each(rules.cidrs6, values, lambda v: _cidr_problem(v, 6))
    for path, kinds in rules.ids.items():
        several = (kinds,) if isinstance(kinds, str) else kinds
        for place, value in values_at(values, path):
            if isinstance(value, str) and not any(_matcher(kind)[0](value) for kind in several):
                yield place, f"must be {' or '.join(_matcher(kind)[1] for kind in several)}"


def _documents(rules: Rules, values: Values) -> Iterator[Violation]:
    yield from _each(rules.json_texts, values, json_problem)
    for path, policy in rules.policies.items():
        for place, value in values_at(values, path):
            for reason in policy_problems(value, policy):
                yield place, reason


def _combinations(rules: Rules, values: Values) -> Iterator[Violation]:
    for group in rules.conflicts:
        stated = [path for path in group if given(values, path)]
        if len(stated) > 1:
            yield stated[0], f"{' and '.join(stated)} exclude each other"
    for group in rules.needs_one_of:
        if not any(given(values, path) for path in group):
            yield group[0], f"one of {', '.join(group)} is needed"
    for path, others in rules.together.items():
        if missing := [o for o in others if given(values, path) and not given(values, o)]:
            yield path, f"needs {', '.join(missing)} as well"
    for path, reason in rules.lab_needs.items():
        if not given(values, path):
            yield path, f"is needed: {reason}"


def _each(paths: tuple[str, ...], values: Values, problem: Callable[[Any], str]) -> Iterator[Violation]:
    for path in paths:
        for place, value in values_at(values, path):
            if reason := problem(value):
                yield place, reason


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _cidr_problem(value: Any, version: int) -> str:
    if value == "":
        return ""  # pulumi-aws takes it for none
    try:
        network = ipaddress.ip_network(value)
    except ValueError as error:
        detail = "host bits are set" if "host bits" in str(error) else "not an address"
        return f"must be an IPv{version} network in CIDR form ({detail})"
    if network.version != version:
        return f"must be an IPv{version} network in CIDR form, not IPv{network.version}"
    return "" if "/" in str(value) else f"must be an IPv{version} network in CIDR form (the prefix length is missing)"


@cache
def _matcher(kind: str) -> tuple[Callable[[str], bool], str]:
    """Return test and description of a kind: `vpc-`, `arn:iam:role/` (service, start of resource) or a named one."""
    if kind in NAMED_KINDS:
        pattern, text = NAMED_KINDS[kind]
        return lambda value: pattern.fullmatch(value) is not None, text
    if kind.startswith("arn:"):
        _, service, resource = kind.split(":", 2)
        form = re.compile(rf"arn:aws[a-z-]*:{service or '[a-z0-9-]+'}:[a-z0-9-]*:[a-z0-9-]*:{re.escape(resource)}.*")
        return lambda value: form.match(value) is not None, f"an ARN of {service or 'a resource'} {resource}".strip()
    return lambda value: value.startswith(kind), f"an id that begins with {kind}"
