"""Property values as Pulumi's wire has them: protobuf structs, and sentinels for secrets and unknowns.

The sentinels are Pulumi's own (sdk/go/common/resource), so that states and plugins are interchangeable.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from google.protobuf import json_format, struct_pb2

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - the public mark of a secret, not one
MASK = "[secret]"

MIN_ECHO_LENGTH = 4
"""Shorter secrets are recognised as a whole value only: inside other text they would match by chance."""


def normalise(value: Any) -> Any:
    """Return `value` with whole floats as integers: a protobuf struct knows floats only."""
    if isinstance(value, float) and math.isfinite(value) and value == int(value):
        return int(value)
    if isinstance(value, dict):
        return {k: normalise(v) for k, v in value.items()}
    return [normalise(v) for v in value] if isinstance(value, list) else value


def from_struct(struct: struct_pb2.Struct) -> dict[str, Any]:
    """Return a struct as plain values."""
    plain: dict[str, Any] = normalise(json_format.MessageToDict(struct))
    return plain


def to_struct(values: Mapping[str, Any]) -> struct_pb2.Struct:
    """Return plain values as a struct."""
    struct = struct_pb2.Struct()
    struct.update(dict(values))
    return struct


def is_secret(value: Any) -> bool:
    """Tell whether a value is wrapped as a secret."""
    return isinstance(value, dict) and value.get(SIGNATURE) == SECRET


def secret(value: Any) -> dict[str, Any]:
    """Return a value wrapped as a secret (once)."""
    return value if is_secret(value) else {SIGNATURE: SECRET, "value": value}


def walk(value: Any, change: Callable[[Any], Any]) -> Any:
    """Return `value` with every node replaced by `change(node)`, leaves first."""
    if isinstance(value, dict):
        value = {k: walk(v, change) for k, v in value.items()}
    elif isinstance(value, list):
        value = [walk(v, change) for v in value]
    return change(value)


def reveal(value: Any) -> Any:
    """Return `value` with the secrets in clear."""
    return walk(value, lambda v: v["value"] if is_secret(v) else v)


def masked(value: Any) -> Any:
    """Return `value` as people and logs may see it: secrets and unknowns are named, not shown."""
    return walk(value, lambda v: MASK if is_secret(v) else "[unknown]" if v == UNKNOWN else v)


def nodes(value: Any) -> Iterator[Any]:
    """Yield `value` and everything inside it."""
    yield value
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for item in inner:
        yield from nodes(item)


def has_secret(value: Any) -> bool:
    """Tell whether a secret is anywhere in `value`."""
    return any(is_secret(node) for node in nodes(value))


def has_unknown(value: Any) -> bool:
    """Tell whether an unknown is anywhere in `value`."""
    return any(node == UNKNOWN for node in nodes(value))


def secret_texts(value: Any) -> set[str]:
    """Return the texts that stand inside the secrets of `value`."""
    inside = (text for node in nodes(value) if is_secret(node) for text in nodes(node.get("value")))
    return {text for text in inside if isinstance(text, str) and text not in ("", UNKNOWN, SECRET)}


def redact(text: str, values: Any) -> str:
    """Return `text` without the secrets of `values`."""
    for hidden in sorted(secret_texts(values), key=len, reverse=True):
        if len(hidden) >= MIN_ECHO_LENGTH:
            text = text.replace(hidden, MASK)
    return text


def keep_secret(outputs: dict[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return `outputs` with everything secret that `inputs` had as a secret, echoes under other names included."""
    marked = {k: _like_input(v, inputs[k]) if k in inputs else v for k, v in outputs.items()}
    hidden = secret_texts(dict(inputs))
    if not hidden:
        return marked
    result: dict[str, Any] = {k: _mark_echoes(v, hidden) for k, v in marked.items()}
    return result


def _like_input(output: Any, source: Any) -> Any:
    both_maps = isinstance(output, dict) and isinstance(source, dict)
    if both_maps and not is_secret(source) and not is_secret(output):
        return {k: _like_input(v, source[k]) if k in source else v for k, v in output.items()}
    return secret(output) if has_secret(source) else output


def _mark_echoes(value: Any, hidden: set[str]) -> Any:
    if is_secret(value):
        return value
    if isinstance(value, dict):
        return {k: _mark_echoes(v, hidden) for k, v in value.items()}
    if isinstance(value, list):
        return [_mark_echoes(v, hidden) for v in value]
    if isinstance(value, str) and any(_shows(value, text) for text in hidden):
        return secret(value)
    return value


def _shows(value: str, text: str) -> bool:
    return value == text or (len(text) >= MIN_ECHO_LENGTH and text in value)


def keep_ignored(inputs: dict[str, Any], old: Mapping[str, Any], path: str) -> None:
    """Set the property at `path` (dots between names) of `inputs` to what it was in `old`, in place."""
    *parents, last = path.split(".")
    for name in parents:
        if not isinstance(inputs.get(name), dict) or not isinstance(old.get(name), dict):
            return
        inputs, old = inputs[name], old[name]
    if last in old:
        inputs[last] = old[last]
    else:
        inputs.pop(last, None)
