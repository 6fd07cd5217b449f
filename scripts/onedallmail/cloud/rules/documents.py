"""JSON documents in inputs: that they parse, and that policies have the form and the size that AWS takes.

Sources: IAM JSON policy reference (grammar); IAM and STS quotas; quotas of the services for resource policies.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

Kind = Literal["identity", "trust", "resource", "control"]
"""`identity`: attached to who acts; `trust`: of a role; `resource`: of a thing; `control`: organisation's guardrail."""

VERSIONS = ("2012-10-17", "2008-10-17")
EFFECTS = ("Allow", "Deny")
TOP = frozenset({"Version", "Id", "Statement"})
ELEMENTS = frozenset(
    {
        "Sid",
        "Effect",
        "Principal",
        "NotPrincipal",
        "Action",
        "NotAction",
        "Resource",
        "NotResource",
        "Condition",
    }
)
IDENTITY_SID = re.compile(r"[A-Za-z0-9]*")


class Policy(NamedTuple):
    """Kind of a policy property, and its greatest length in characters."""

    kind: Kind
    max: int


def json_problem(text: Any) -> str:
    """Return why a text is no JSON object or list, '' when it is one."""
    try:
        found = json.loads(text)
    except (ValueError, TypeError) as error:
        where = f" (line {error.lineno} column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
        return f"must be JSON{where}"
    return "" if isinstance(found, dict | list) else "must be a JSON object or list"


def policy_problems(text: Any, policy: Policy) -> Iterator[str]:
    """Yield what AWS would refuse in a policy document."""
    try:
        document = json.loads(text)
    except (ValueError, TypeError):
        yield json_problem(text)
        return
    if not isinstance(document, dict):
        yield "must be a policy: a JSON object with Version and Statement"
        return
    if unknown := sorted(set(document) - TOP):
        yield f"a policy has no element {', '.join(unknown)}"
    if document.get("Version") not in VERSIONS:
        yield f"Version must be {VERSIONS[0]}"
    yield from _size(text, document, policy)
    statements = document.get("Statement")
    statements = [statements] if isinstance(statements, dict) else statements
    if not isinstance(statements, list) or not statements:
        yield "Statement must be a list of one or more statements"
        return
    yield from _sids(statements)
    for index, statement in enumerate(statements):
        for reason in _statement(statement, policy.kind):
            yield f"Statement[{index}]: {reason}"


def _size(text: str, document: Any, policy: Policy) -> Iterator[str]:
    # IAM counts no white space; the other services count every character.
    counted = json.dumps(document, separators=(",", ":")) if policy.kind in ("identity", "trust") else text
    if len(counted) > policy.max:
        yield f"has {len(counted)} characters; AWS takes {policy.max}"


def _sids(statements: list[Any]) -> Iterator[str]:
    sids = [s["Sid"] for s in statements if isinstance(s, dict) and s.get("Sid")]
    if twice := sorted({s for s in sids if sids.count(s) > 1}):
        yield f"two statements have the Sid {', '.join(twice)}"


def _statement(statement: Any, kind: Kind) -> Iterator[str]:
    if not isinstance(statement, dict):
        yield "must be an object"
        return
    if unknown := sorted(set(statement) - ELEMENTS):
        yield f"a statement has no element {', '.join(unknown)}"
    if statement.get("Effect") not in EFFECTS:
        yield "Effect must be Allow or Deny"
    yield from _one_of(statement, "Action", "NotAction")
    yield from _actions(statement)
    if kind in ("identity", "control") and not IDENTITY_SID.fullmatch(str(statement.get("Sid", ""))):
        yield "Sid may have letters and digits only"
    if kind in ("trust", "resource"):
        yield from _one_of(statement, "Principal", "NotPrincipal")
    elif {"Principal", "NotPrincipal"} & set(statement):
        yield "Principal has no place here: who acts is whom the policy is attached to"
    if kind == "trust":
        if {"Resource", "NotResource"} & set(statement):
            yield "Resource has no place here: the role itself is the resource"
    else:
        yield from _one_of(statement, "Resource", "NotResource")


def _one_of(statement: dict[str, Any], name: str, opposite: str) -> Iterator[str]:
    given = [n for n in (name, opposite) if n in statement]
    if len(given) != 1:
        yield f"{name} or {opposite} is missing" if not given else f"{name} and {opposite} exclude each other"
    elif statement[given[0]] in ([], "", {}):
        yield f"{given[0]} is empty"


def _actions(statement: dict[str, Any]) -> Iterator[str]:
    for name in ("Action", "NotAction"):
        value = statement.get(name, [])
        for action in value if isinstance(value, list) else [value]:
            if not isinstance(action, str) or not (action == "*" or re.fullmatch(r"[A-Za-z0-9-]+:[\w*?]+", action)):
                yield f"{name}: write actions as service:Action"
                return
