"""What the SDK's classes do not say about a resource type: ids, ARNs, replacement, enums. The data is rules.yaml."""

import ipaddress
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field

UNKNOWN_REGION = "must be one of the AWS regions the lab knows"


class Rules(BaseModel):
    """Rules of one resource type; templates are filled from the inputs and the names in `recorded.context`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    emulated: bool = False
    id: str = "{type}-{hex17}"
    arn: str = "arn:aws:{service}:{region}:{account}:{type}/{id}"
    outputs: dict[str, str] = Field(default_factory=dict)
    force_new: frozenset[str] = frozenset()
    updatable: frozenset[str] = frozenset()
    """Properties that are changed in place although they are force-new for most types."""
    autoname: str = "name"
    """Property that gets a name when the program gives none; empty for none."""
    enums: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    cidrs: tuple[str, ...] = ()
    ids: dict[str, str] = Field(default_factory=dict)
    """Prefix that a property's value must have: an id of the wrong kind of resource is found by it."""
    needs_one_of: tuple[str, ...] = ()
    needs_why: str = ""


@cache
def _table() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "rules.yaml").read_text())
    return content


@cache
def rules_of(token: str) -> Rules:
    """Return the rules of a resource type; types without an entry follow the common ones."""
    own = _table()["types"].get(token, {})
    common = set(_table()["force_new"]) - set(own.get("updatable", ()))
    return Rules(**{**own, "force_new": common | set(own.get("force_new", ()))})


def regions() -> tuple[str, ...]:
    """Return the regions that the lab's provider accepts."""
    return tuple(_table()["regions"])


def violations(rules: Rules, values: Mapping[str, Any], known: Any) -> Iterator[tuple[str, str]]:
    """Yield (property, reason) for each rule that the known values break; `known` tells unknowns apart."""
    given = {k: v for k, v in values.items() if v is not None and known(v)}
    for name, allowed in rules.enums.items():
        if name in given and given[name] not in allowed:
            yield name, f"must be one of {', '.join(allowed)}"
    for name in rules.cidrs:
        if name in given and (reason := _cidr_problem(given[name])):
            yield name, reason
    for name, prefix in rules.ids.items():
        items = given[name] if isinstance(given.get(name), list) else [given[name]] if name in given else []
        if any(isinstance(v, str) and known(v) and not v.startswith(prefix) for v in items):
            yield name, f"must be an id that begins with {prefix}"
    if rules.needs_one_of and not any(values.get(n) is not None for n in rules.needs_one_of):
        yield rules.needs_one_of[0], f"one of {', '.join(rules.needs_one_of)} is needed: {rules.needs_why}"
    if given.get("region") and given["region"] not in regions():
        yield "region", f"{UNKNOWN_REGION}: {', '.join(regions())}"


def _cidr_problem(value: Any) -> str:
    try:
        ipaddress.ip_network(value)
    except ValueError as error:
        return f"must be a network in CIDR form ({error})"
    return "" if "/" in str(value) else "must be a network in CIDR form (the prefix length is missing)"
