"""Paths into the inputs of a resource: `a.b` names a property of an object, `a[]` every item of a list."""

from collections.abc import Iterator
from functools import cache
from typing import Any

from onedallmail.engine.values import UNKNOWN

EACH = "[]"


@cache
def steps(path: str) -> tuple[tuple[str, bool], ...]:
    """Return the names of a path, each with whether its value is a list to be walked."""
    return tuple((part.removesuffix(EACH), part.endswith(EACH)) for part in path.split("."))


def values_at(values: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield the known values at a path with the place of each (indices filled in); absent and unknown ones are none."""
    yield from _walk(values, steps(path), "")


def _walk(value: Any, left: tuple[tuple[str, bool], ...], place: str) -> Iterator[tuple[str, Any]]:
    if value is None or value == UNKNOWN:
        return
    if not left:
        yield place, value
        return
    if not isinstance(value, dict):
        return  # the SDK's classes say what is wrong with it
    (name, each), *others = left
    below, rest = value.get(name), tuple(others)
    place = f"{place}.{name}" if place else name
    if not each:
        yield from _walk(below, rest, place)
    elif isinstance(below, list):
        for index, item in enumerate(below):
            yield from _walk(item, rest, f"{place}[{index}]")


def given(values: dict[str, Any], path: str) -> bool:
    """Tell whether anything is stated at a path; an unknown value is."""
    return _stated(values, steps(path))


def _stated(value: Any, left: tuple[tuple[str, bool], ...]) -> bool:
    if value is None:
        return False
    if not left or value == UNKNOWN:
        return True
    if isinstance(value, list):
        return any(_stated(item, left) for item in value)
    return isinstance(value, dict) and _stated(value.get(left[0][0]), left[1:])


def stated_at(values: dict[str, Any], path: str) -> Any:
    """Return what is stated at a path, for comparison: a list for a walked list, None for nothing."""
    return _stated_value(values, steps(path))


def _stated_value(value: Any, left: tuple[tuple[str, bool], ...]) -> Any:
    if not left or value is None or value == UNKNOWN:
        return value
    if isinstance(value, list):
        return [_stated_value(item, left) for item in value]
    return _stated_value(value.get(left[0][0]), left[1:]) if isinstance(value, dict) else None
