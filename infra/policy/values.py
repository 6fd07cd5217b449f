"""Properties as rules read them: by dotted path, and never an unknown value taken for a known one."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
UNKNOWNS = frozenset(
    {
        UNKNOWN,
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
    }
)
"""Pulumi's marks of a value that only the deployment will tell: text, boolean, number, array, object."""


class NotEstablished(Exception):  # noqa: N818 - a state of knowledge, not an error
    """A rule met a value that is not known yet; the message names it."""


class MalformedError(Exception):
    """A property is not of the form that it must have: no JSON document, no network."""


def is_unknown(value: Any) -> bool:
    """Tell whether a value is, or is text built from, one that is not known yet."""
    return isinstance(value, str) and any(mark in value for mark in UNKNOWNS)


class Props:
    """The properties of a resource or of an object inside one."""

    def __init__(self, values: Mapping[str, Any], path: str = "") -> None:
        self._values, self._path = values, path

    def names(self) -> tuple[str, ...]:
        """Return the names of all properties that are given."""
        return tuple(self._values)

    def get(self, path: str) -> Any:
        """Return the value at a dotted path, None without one.

        Raises:
            NotEstablished: it, or what it lies in, is not known yet.
        """
        value: Any = self._values
        for part in path.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
            if is_unknown(value):
                message = f"{self._where(path)} is not known yet"
                raise NotEstablished(message)
        return int(value) if isinstance(value, float) and value.is_integer() else value

    def known(self, path: str) -> Any:
        """Return the value at a path, None when it is absent or not known yet."""
        return None if self.is_unknown(path) else self.get(path)

    def is_unknown(self, path: str) -> bool:
        """Tell whether the value at a path is not known yet."""
        try:
            value = self.get(path)
        except NotEstablished:
            return True
        return isinstance(value, list) and any(is_unknown(v) for v in value)

    def texts(self, path: str) -> tuple[str, ...]:
        """Return the texts of a list, or a single text as a list of one."""
        value = self.get(path)
        values = value if isinstance(value, list) else [] if value is None else [value]
        if any(is_unknown(v) for v in values):
            message = f"a part of {self._where(path)} is not known yet"
            raise NotEstablished(message)
        return tuple(str(v) for v in values)

    def each(self, path: str) -> Iterator["Props"]:
        """Yield the objects of a list, or a single object."""
        value = self.get(path)
        for index, item in enumerate(value if isinstance(value, list) else [] if value is None else [value]):
            where = f"{self._where(path)}[{index}]"
            if is_unknown(item):
                message = f"{where} is not known yet"
                raise NotEstablished(message)
            if isinstance(item, Mapping):
                yield Props(item, where)

    def document(self, path: str) -> dict[str, Any]:
        """Return a JSON document; an absent one is empty.

        Raises:
            MalformedError: the text is no JSON object.
        """
        value = self.get(path)
        if value is None or isinstance(value, Mapping):
            return dict(value or {})
        try:
            parsed = json.loads(value)
        except (TypeError, ValueError) as error:
            message = f"{self._where(path)} is no JSON document: {error}"
            raise MalformedError(message) from error
        if not isinstance(parsed, dict):
            message = f"{self._where(path)} is JSON, but no object"
            raise MalformedError(message)
        return parsed

    def _where(self, path: str) -> str:
        return f"{self._path}.{path}" if self._path else path


def is_true(value: Any) -> bool:
    """Tell whether a boolean is on, also where AWS's provider writes it as text."""
    return value is True or value == "true"
