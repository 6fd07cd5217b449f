"""Where resources come from: a recorded program, an exported state; and the plan from a stack's configuration."""

import json
from collections.abc import Mapping
from typing import Any

from .model import Plan, Resource
from .values import UNKNOWN, Props

SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - Pulumi's public mark of a secret, not one
PROVIDER = "aws:"


def plan_from_config(stack: str, config: Mapping[str, str]) -> Plan:
    """Return the plan that a stack's flat configuration (values as Pulumi stores them) states."""
    regions = {str(r["name"]) for r in _json(config, "onedallmail:regions", []) if isinstance(r, dict) and "name" in r}
    home = config.get("aws:region")
    return Plan(
        stack=stack,
        regions=frozenset(regions | ({home} if home else set())),
        options={k: v for k, v in _json(config, "onedallmail:options", {}).items() if isinstance(v, bool)},
        references=_json(config, "onedallmail:references", {}),
    )


def resource(token: str, name: str, values: Mapping[str, Any], plan: Plan, identifier: str = "") -> Resource:
    """Return a resource as a recorder or a test has it: type, name, properties by wire name."""
    return Resource(token, name, Props(values), plan, id=identifier)


def from_state(deployment: Mapping[str, Any], plan: Plan) -> tuple[Resource, ...]:
    """Return the AWS resources of an exported deployment; what its inputs say stands over what outputs say.

    A secret that is still encrypted counts as not known.
    """
    return tuple(_from_state(r, plan) for r in deployment.get("resources", []) if r["type"].startswith(PROVIDER))


def _from_state(entry: Mapping[str, Any], plan: Plan) -> Resource:
    values = {**_plain(entry.get("outputs") or {}), **_plain(entry.get("inputs") or {})}
    refers = {k: frozenset(v or ()) for k, v in (entry.get("propertyDependencies") or {}).items()}
    urn = str(entry["urn"])
    name = urn.rsplit("::", 1)[-1]
    return Resource(entry["type"], name, Props(values), plan, str(entry.get("id", "")), urn, refers)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        if value.get(SIGNATURE) == SECRET:
            return _revealed(value)
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, list) else value


def _revealed(sealed: Mapping[str, Any]) -> Any:
    if "value" in sealed:
        return _plain(sealed["value"])
    return _plain(json.loads(sealed["plaintext"])) if "plaintext" in sealed else UNKNOWN


def _json(config: Mapping[str, str], key: str, default: Any) -> Any:
    value = config.get(key)
    return default if not value else json.loads(value) if isinstance(value, str) else value
