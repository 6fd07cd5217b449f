"""Where resources come from: a recorded program, an exported state; and the plan from a stack's configuration."""

import json
from collections.abc import Mapping
from typing import Any

from onedallmail.platform.accounts import AnyConfig, AuditConfig, parse_any
from onedallmail.platform.flows import flows_of
from onedallmail.platform.stack import StackConfig, settings_from_config

from .model import Plan, Resource
from .values import UNKNOWN, Props

SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - Pulumi's public mark of a secret, not one
PROVIDER = "aws:"


def plan_from_config(stack: str, config: Mapping[str, str]) -> Plan:
    """Return the plan that a program's flat configuration states.

    Raises:
        StackError: the configuration is no stack's.
    """
    return plan_of(parse_any(stack, settings_from_config(config)))


def plan_of(config: AnyConfig) -> Plan:
    """Return the plan that a stack file states."""
    if isinstance(config, StackConfig):
        regions = frozenset(r.name for r in config.regions)
        audit = config.references.audit or ""
        return Plan(config.stack, regions, flows_of(config.options), config.options, audit)
    extra = {config.archive_region} if isinstance(config, AuditConfig) else set()
    return Plan(config.stack, frozenset(config.regions) | extra)


def resource(
    token: str,
    name: str,
    inputs: Mapping[str, Any],
    plan: Plan,
    *,
    identifier: str = "",
    outputs: Mapping[str, Any] | None = None,
) -> Resource:
    """Return a resource as a recorder or a test has it: type, name, properties by wire name."""
    return Resource(token, name, Props(inputs), plan, id=identifier, outputs=outputs or {})


def from_state(deployment: Mapping[str, Any], plan: Plan) -> tuple[Resource, ...]:
    """Return the AWS resources of an exported deployment. A secret that is still encrypted counts as not known."""
    return tuple(_from_state(r, plan) for r in deployment.get("resources", []) if r["type"].startswith(PROVIDER))


def _from_state(entry: Mapping[str, Any], plan: Plan) -> Resource:
    refers = {k: frozenset(v or ()) for k, v in (entry.get("propertyDependencies") or {}).items()}
    urn = str(entry["urn"])
    name = urn.rsplit("::", 1)[-1]
    return Resource(
        entry["type"],
        name,
        Props(plain(entry.get("inputs") or {})),
        plan,
        id=str(entry.get("id", "")),
        urn=urn,
        outputs=plain(entry.get("outputs") or {}),
        refers=refers,
    )


def plain(value: Any) -> Any:
    """Return a value without the wrapping of secrets; one that is still encrypted is not known."""
    if isinstance(value, Mapping):
        if value.get(SIGNATURE) == SECRET:
            return _revealed(value)
        return {k: plain(v) for k, v in value.items()}
    return [plain(v) for v in value] if isinstance(value, list) else value


def _revealed(sealed: Mapping[str, Any]) -> Any:
    if "value" in sealed:
        return plain(sealed["value"])
    return plain(json.loads(sealed["plaintext"])) if "plaintext" in sealed else UNKNOWN
