"""Resource types that exist for real behind the emulator's AWS API: one module a service."""

from collections.abc import Iterator
from typing import Any

from . import bucket_settings, health_checks, kms, route53, s3, secretsmanager
from .api import GONE, Api, Handler, RefusedError, call_unless_gone

__all__ = ["GONE", "HANDLERS", "Api", "Handler", "RefusedError", "create", "delete", "exists", "unsupported", "update"]

Values = dict[str, Any]
MODULES = (kms, s3, bucket_settings, secretsmanager, route53, health_checks)
HANDLERS: dict[str, Handler] = {token: handler for module in MODULES for token, handler in module.HANDLERS.items()}
COMMON_INPUTS = {"region", "tags", "tagsAll"}


def unsupported(token: str, inputs: Values) -> Iterator[tuple[str, str]]:
    """Yield (property, reason) for inputs that the emulation would silently leave out."""
    handler = HANDLERS.get(token)
    if handler is None:
        return
    for name, value in inputs.items():
        if not name.startswith("__") and name not in handler.inputs | COMMON_INPUTS and value not in (None, [], {}):
            yield name, f"the lab's emulation does not do it (it does {', '.join(sorted(handler.inputs))})"


def create(api: Api, token: str, urn: str, inputs: Values) -> tuple[str, Values]:
    """Make a resource; return its id and the outputs that AWS gives."""
    return HANDLERS[token].create(api, inputs, api.claim(token, urn, inputs))


def update(api: Api, token: str, identifier: str, old: Values, inputs: Values) -> Values:
    """Change a resource in place; return the outputs that may have changed."""
    return HANDLERS[token].update(api, identifier, old, inputs)


def delete(api: Api, token: str, identifier: str, inputs: Values) -> None:
    """Remove a resource; fine when it is gone already."""
    call_unless_gone(HANDLERS[token].delete, api, identifier, inputs)


def exists(api: Api, token: str, identifier: str, known: Values) -> bool:
    """Tell whether the emulator still has a resource."""
    return call_unless_gone(HANDLERS[token].probe, api, identifier, known)
