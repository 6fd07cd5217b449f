"""Makes rules out of check functions, so that a rule's text stands above what it checks."""

from collections.abc import Callable, Iterable

from .model import Level, Resource, ResourceRule, Severity, Stack, StackRule

ResourceCheck = Callable[[Resource], Iterable[str]]
StackCheck = Callable[[Resource, Stack], Iterable[str]]


def resource_rule(
    rule_id: str,
    title: str,
    *,
    severity: Severity,
    controls: tuple[str, ...],
    remediation: str,
    applies_to: tuple[str, ...],
    level: Level = Level.MANDATORY,
) -> Callable[[ResourceCheck], ResourceRule]:
    """Return a decorator that makes a rule of a function from a resource to what is wrong with it."""

    def made(check: ResourceCheck) -> ResourceRule:
        return ResourceRule(
            id=rule_id,
            title=title,
            severity=severity,
            level=level,
            controls=controls,
            remediation=remediation,
            applies_to=applies_to,
            check=check,
        )

    return made


def stack_rule(
    rule_id: str,
    title: str,
    *,
    severity: Severity,
    controls: tuple[str, ...],
    remediation: str,
    applies_to: tuple[str, ...],
    level: Level = Level.MANDATORY,
) -> Callable[[StackCheck], StackRule]:
    """Return a decorator that makes a rule of a function from a resource and its stack to what is wrong."""

    def made(check: StackCheck) -> StackRule:
        return StackRule(
            id=rule_id,
            title=title,
            severity=severity,
            level=level,
            controls=controls,
            remediation=remediation,
            applies_to=applies_to,
            check=check,
        )

    return made
