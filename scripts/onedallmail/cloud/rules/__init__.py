"""What the SDK's classes do not say about a resource type: ids, ARNs, replacement, enums, documents, conflicts.

The data is beside this file: `<module>.yaml` and `<module>-<part>.yaml` hold the types of a pulumi-aws module. A type
without an entry is unknown to the lab, and is refused. Sources: the schema, the validation and the plans of the
Terraform AWS provider, which pulumi-aws bridges; the AWS API references; the AWS Service Authorization Reference
(forms of ARNs).
"""

from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict

from .documents import Policy

Paths = tuple[str, ...]
"""Properties by path (paths.py)."""

HOME = Path(__file__).parent
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Strict(BaseModel):
    """Data that has no field which is not declared."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Autoname(Strict):
    """Property that gets a name when the program gives none: resource name, '-' and 7 random hexadecimal digits."""

    property: str = "name"
    max: int = 255
    """Longest name that AWS takes; a longer one is refused, as pulumi-aws does."""
    prefix: str = ""


class Rules(Strict):
    """Rules of one resource type; templates are filled from the inputs and the names in `recorded.context`."""

    emulated: bool = False
    id: str = "{uuid}"
    arn: str = ""
    outputs: dict[str, Any] = {}
    """Templates of computed properties, lists and objects of templates included."""
    force_new: frozenset[str] = frozenset()
    """Paths whose change replaces the resource."""
    autoname: Autoname | None = Autoname()
    enums: dict[str, Paths] = {}
    ranges: dict[str, tuple[int, int]] = {}
    cidrs: Paths = ()
    """IPv4 networks."""
    cidrs6: Paths = ()
    json_texts: Paths = ()
    policies: dict[str, Policy] = {}
    ids: dict[str, str | Paths] = {}
    """Kind of id or ARN, or the kinds (violations.kind_problem): an id of the wrong kind of resource is found by it."""
    conflicts: tuple[Paths, ...] = ()
    """Groups of which at most one may be given."""
    needs_one_of: tuple[Paths, ...] = ()
    together: dict[str, Paths] = {}
    """What must be given as well when the first is."""
    lab_needs: dict[str, str] = {}
    """What the lab wants stated although AWS does not, with the reason."""


@cache
def _module(name: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for file in sorted((HOME / f"{name}.yaml", *HOME.glob(f"{name}-*.yaml"))):
        if file.exists():
            found |= yaml.load(file.read_text(), Loader=_Loader)  # noqa: S506 - a safe loader
    return found


def module_of(token: str) -> str:
    """Return the pulumi-aws module of a type token: `ec2` of aws:ec2/vpc:Vpc."""
    return token.split(":")[1].partition("/")[0] if token.count(":") > 1 else ""


def has_rules(token: str) -> bool:
    """Tell whether the lab knows a resource type."""
    return token in _module(module_of(token))


@cache
def rules_of(token: str) -> Rules:
    """Return the rules of a resource type; those of a type that the lab does not know are empty."""
    return Rules(**_module(module_of(token)).get(token, {}))


@cache
def known_types() -> tuple[str, ...]:
    """Return every resource type that the lab knows."""
    modules = {file.stem.partition("-")[0] for file in HOME.glob("*.yaml")}
    return tuple(sorted(token for module in modules for token in _module(module)))
