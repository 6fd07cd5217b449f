"""Judges requests by policy documents as IAM does, as far as the project's own documents go.

Source: IAM User Guide, "Policy evaluation logic" and "IAM JSON policy elements: Condition operators".
An operator that no document uses is an error: nothing is allowed because a condition was not understood.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any


@dataclass(frozen=True)
class Request:
    """An API call: what, on what, and the keys that its conditions can see."""

    action: str
    resource: str = "*"
    context: Mapping[str, str] = field(default_factory=dict)


def denies(document: Mapping[str, Any], request: Request) -> bool:
    """Whether a statement of the document denies the request."""
    return any(s["Effect"] == "Deny" and _matches(s, request) for s in document["Statement"])


def allows(document: Mapping[str, Any], request: Request) -> bool:
    """Whether the document allows the request and no statement denies it."""
    granted = any(s["Effect"] == "Allow" and _matches(s, request) for s in document["Statement"])
    return granted and not denies(document, request)


def _list(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _any(patterns: Any, text: str, *, fold: bool = False) -> bool:
    return any(fnmatchcase(text.lower(), p.lower()) if fold else fnmatchcase(text, p) for p in _list(patterns))


def _matches(statement: Mapping[str, Any], request: Request) -> bool:
    if "Action" in statement:
        named = _any(statement["Action"], request.action, fold=True)
    else:
        named = not _any(statement["NotAction"], request.action, fold=True)
    if "Resource" in statement:
        aimed = _any(statement["Resource"], request.resource)
    else:
        aimed = not _any(statement["NotResource"], request.resource)
    conditions = statement.get("Condition", {})
    return (
        named
        and aimed
        and all(
            _holds(operator, key, _list(values), request.context.get(key))
            for operator, block in conditions.items()
            for key, values in block.items()
        )
    )


_POSITIVE: Mapping[str, Callable[[str, str], bool]] = {
    "StringEquals": lambda have, want: have == want,
    "StringLike": fnmatchcase,
    "ArnEquals": fnmatchcase,
    "ArnLike": fnmatchcase,
    "Bool": lambda have, want: have.lower() == want.lower(),
    "NumericGreaterThan": lambda have, want: float(have) > float(want),
    "NumericLessThan": lambda have, want: float(have) < float(want),
}
_NEGATIVE: Mapping[str, Callable[[str, str], bool]] = {
    "StringNotEquals": lambda have, want: have == want,
    "ArnNotLike": fnmatchcase,
}


def _holds(operator: str, key: str, values: list[str], have: str | None) -> bool:
    """Whether a condition holds; a key that the request lacks fails what must match and passes what must not."""
    if operator == "Null":
        return (have is None) == (values == ["true"])
    base = operator.removesuffix("IfExists")
    if base in _NEGATIVE:
        return have is None or not any(_NEGATIVE[base](have, value) for value in values)
    if base in _POSITIVE:
        if have is None:
            return base != operator
        return any(_POSITIVE[base](have, value) for value in values)
    msg = f"condition operator {operator} on {key} is unknown to the simulator: add it with its meaning"
    raise NotImplementedError(msg)
