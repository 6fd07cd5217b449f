"""Inputs and outputs of each AWS resource type, by introspection of pulumi_aws; nothing of it is written down here.

`pulumi._types` is private to the SDK, which is pinned. Classes load on first use: all of them would take seconds.
"""

import collections.abc
import importlib
import inspect
import threading
import typing
import warnings
from dataclasses import dataclass
from functools import cache
from typing import Any

import pulumi
import pulumi_aws  # noqa: F401 - its import registers the resource modules
from pulumi import _types
from pulumi.runtime import rpc

from onedallmail.engine.values import UNKNOWN


@dataclass(frozen=True)
class Field:
    """One input property."""

    type: Any
    required: bool


@dataclass(frozen=True)
class Problem:
    """What is wrong with one property; the path has dots and indices. Values are not shown: they may be secret."""

    path: str
    reason: str


@cache
def _classes() -> dict[str, tuple[str, str]]:
    modules = (m for listed in rpc._RESOURCE_MODULES.values() for m in listed)
    found: dict[str, tuple[str, str]] = {}
    for module in modules:
        info = getattr(module, "mod_info", None)
        if info:
            found |= {token: (info["fqn"], name) for token, name in info["classes"].items()}
    return found


def known(token: str) -> bool:
    """Tell whether pulumi_aws has this resource type."""
    return token in _classes()


_loading = threading.Lock()
"""pulumi_aws loads its modules lazily and not for several threads at once."""


def _load(token: str) -> tuple[dict[str, Field], dict[str, Any]]:
    with _loading:
        return _loaded(token)


@cache
def _loaded(token: str) -> tuple[dict[str, Field], dict[str, Any]]:
    path, name = _classes()[token]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # each module warns of the old classes it defines
        module = importlib.import_module(path)
        resource = getattr(module, name)
        # pulumi-aws says InitArgs where a nested type already has the shorter name.
        arguments = getattr(module, name + "InitArgs", None) or getattr(module, name + "Args")
    return fields(arguments), _types.resource_types(resource)


def inputs_of(token: str) -> dict[str, Field]:
    """Return the input properties of a resource type by wire name."""
    return _load(token)[0]


def outputs_of(token: str) -> dict[str, Any]:
    """Return the types of all properties of a resource type by wire name."""
    return _load(token)[1]


@cache
def fields(cls: Any) -> dict[str, Field]:
    """Return the properties of an input class by wire name."""
    types = _types.input_type_types(cls)
    parameters = inspect.signature(cls.__init__).parameters
    names = _types.input_type_py_to_pulumi_names(cls)
    return {
        wire: Field(types[wire], parameters[name].default is inspect.Parameter.empty)
        for name, wire in names.items()
        if name in parameters
    }


def plain_type(hint: Any) -> Any:
    """Return a type without the SDK's Optional, Awaitable, Output and dict alternatives."""
    if typing.get_origin(hint) is not typing.Union:
        return hint
    left = [a for a in typing.get_args(hint) if not _is_wrapper(a)]
    if len(left) == 1:
        return plain_type(left[0])
    return typing.Union[tuple(left)] if left else Any  # noqa: UP007 - built at run time


def _is_wrapper(hint: Any) -> bool:
    origin = typing.get_origin(hint)
    typed_dict = inspect.isclass(hint) and issubclass(hint, dict)
    return hint is type(None) or origin in (collections.abc.Awaitable, pulumi.Output) or typed_dict


def problems(token: str, values: dict[str, Any]) -> list[Problem]:
    """Return what is wrong with the inputs of a resource: unknown, missing and mistyped properties at any depth."""
    return list(_object(inputs_of(token), values, ""))


def _object(expected: dict[str, Field], values: dict[str, Any], prefix: str) -> typing.Iterator[Problem]:
    for name, value in values.items():
        if name.startswith("__"):
            continue
        if name not in expected:
            yield Problem(prefix + name, "no such property")
        else:
            yield from _value(expected[name].type, value, prefix + name)
    for name, field in expected.items():
        if field.required and values.get(name) is None:
            yield Problem(prefix + name, "required property is missing")


def _value(hint: Any, value: Any, path: str) -> typing.Iterator[Problem]:
    hint = plain_type(hint)
    origin = typing.get_origin(hint)
    if value is None or value == UNKNOWN or hint is Any or origin is typing.Union:
        return
    if mismatch := _mismatch(hint, origin, value):
        yield Problem(path, f"must be {mismatch}, not {type(value).__name__}")
    elif origin is collections.abc.Sequence:
        for index, item in enumerate(value):
            yield from _value(typing.get_args(hint)[0], item, f"{path}[{index}]")
    elif origin is collections.abc.Mapping:
        for key, item in value.items():
            yield from _value(typing.get_args(hint)[1], item, f"{path}.{key}")
    elif is_object(hint):
        yield from _object(fields(hint), value, path + ".")


def is_object(hint: Any) -> bool:
    """Tell whether a type is an object with properties of its own."""
    return inspect.isclass(hint) and _types.is_input_type(hint)


def _mismatch(hint: Any, origin: Any, value: Any) -> str:
    """Return what the value should be, '' when it is that."""
    if origin is collections.abc.Sequence:
        return "" if isinstance(value, list) else "a list"
    if origin is collections.abc.Mapping:
        return "" if isinstance(value, dict) else "a map"
    if is_object(hint):
        return "" if isinstance(value, dict) else "an object"
    return _scalar_mismatch(hint, value)


def _scalar_mismatch(hint: Any, value: Any) -> str:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if hint is bool and not isinstance(value, bool):
        return "a boolean"
    if hint is int and not (number and value == int(value)):
        return "an integer"
    if hint is float and not number:
        return "a number"
    return "a string" if hint is str and not isinstance(value, str) else ""
