"""IAM policy documents as values: statements with every field as a tuple, and what they allow or refuse.

Source: IAM JSON policy elements reference.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

CALLER_CONDITIONS = (
    "aws:sourceaccount",
    "aws:sourcearn",
    "aws:sourceorgid",
    "aws:sourceorgpaths",
    "aws:principalorgid",
    "aws:principalorgpaths",
    "aws:principalaccount",
    "aws:principalarn",
    "aws:sourcevpc",
    "aws:sourcevpce",
    "kms:calleraccount",
)
"""Condition keys that bind a statement to known callers."""


@dataclass(frozen=True)
class Statement:
    """One statement of a policy document."""

    sid: str
    allows: bool
    principals: tuple[tuple[str, str], ...]
    actions: tuple[str, ...]
    not_actions: tuple[str, ...]
    resources: tuple[str, ...]
    not_resources: tuple[str, ...]
    conditions: tuple[tuple[str, str, tuple[str, ...]], ...]
    """(operator, key, values), operator and key in lower case."""

    @property
    def names_everybody(self) -> bool:
        """Whether the principal is everybody, whatever the conditions."""
        return any(name == "*" for _, name in self.principals)

    @property
    def open_to_all(self) -> bool:
        """Whether anybody is meant, as a principal of * is without a condition on the caller."""
        anybody = any(name == "*" and kind in ("AWS", "*") for kind, name in self.principals)
        return anybody and not self.has_condition(*CALLER_CONDITIONS)

    def has_condition(self, *keys: str) -> bool:
        """Tell whether a condition with one of these keys (lower case) narrows the statement."""
        return any(
            key in keys and not operator.endswith("ifexists") and "*" not in values
            for operator, key, values in self.conditions
        )

    def may(self, action: str) -> bool:
        """Tell whether the statement's actions cover an action."""
        return any(fnmatchcase(action.lower(), pattern.lower()) for pattern in self.actions)


def statements(document: Mapping[str, Any]) -> tuple[Statement, ...]:
    """Return the statements of a policy document."""
    listed = document.get("Statement", [])
    return tuple(_statement(s) for s in (listed if isinstance(listed, list) else [listed]))


def allowed(document: Mapping[str, Any]) -> Iterator[Statement]:
    """Yield the statements that allow."""
    return (s for s in statements(document) if s.allows)


def callers(statement: Statement) -> tuple[str, ...]:
    """Return whom a statement speaks of: ARNs that a condition on aws:PrincipalArn names, otherwise its principals."""
    named = tuple(v for op, key, values in statement.conditions if _says_who(op, key) for v in values)
    return named or tuple(name for kind, name in statement.principals if kind != "Service")


def allows(listed: Sequence[Statement], who: str, action: str) -> bool:
    """Tell whether statements let a caller (an ARN, or a pattern of one) do an action, refusals counted.

    A refusal that depends on anything but the caller is not counted.
    """
    given = any(s.allows and s.may(action) and _means(s, who) for s in listed)
    return given and not any(not s.allows and s.may(action) and _refuses(s, who) for s in listed)


def _says_who(operator: str, key: str) -> bool:
    return key == "aws:principalarn" and operator in ("arnlike", "arnequals", "stringlike", "stringequals")


def _means(statement: Statement, who: str) -> bool:
    return any(fnmatchcase(who, pattern) for pattern in callers(statement))


def _refuses(statement: Statement, who: str) -> bool:
    for operator, key, values in statement.conditions:
        matches = any(fnmatchcase(who, pattern) for pattern in values)
        if key != "aws:principalarn" or matches is ("not" in operator):
            return False
    narrowed = any(key == "aws:principalarn" for _, key, _ in statement.conditions)
    return narrowed or statement.names_everybody or _means(statement, who)


def refuses_plain_transport(document: Mapping[str, Any], service: str) -> bool:
    """Tell whether everybody is refused every action of a service over a connection without TLS."""
    return any(
        _refuses_everybody(s, service) and ("bool", "aws:securetransport", ("false",)) in s.conditions
        for s in statements(document)
    )


def refuses_old_tls(document: Mapping[str, Any], service: str, key: str, oldest: str) -> bool:
    """Tell whether everybody is refused TLS below `oldest`."""
    return any(
        _refuses_everybody(s, service) and ("numericlessthan", key.lower(), (oldest,)) in s.conditions
        for s in statements(document)
    )


def _refuses_everybody(statement: Statement, service: str) -> bool:
    every_action = {"*", f"{service}:*"} & {a.lower() for a in statement.actions}
    return not statement.allows and statement.names_everybody and bool(every_action)


def _statement(raw: Mapping[str, Any]) -> Statement:
    return Statement(
        sid=str(raw.get("Sid", "")),
        allows=raw.get("Effect") == "Allow",
        principals=tuple(_principals(raw)),
        actions=_texts(raw.get("Action")),
        not_actions=_texts(raw.get("NotAction")),
        resources=_texts(raw.get("Resource")),
        not_resources=_texts(raw.get("NotResource")),
        conditions=tuple(
            (operator.lower(), key.lower(), tuple(v.lower() if v in ("False", "True") else v for v in _texts(values)))
            for operator, keys in raw.get("Condition", {}).items()
            for key, values in keys.items()
        ),
    )


def _principals(raw: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    principal = raw.get("Principal")
    if isinstance(principal, Mapping):
        return [(kind, name) for kind, names in principal.items() for name in _texts(names)]
    return [("*", name) for name in _texts(principal)]


def _texts(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    values = value if isinstance(value, list) else [value]
    return tuple(str(v).lower() if isinstance(v, bool) else str(v) for v in values)
