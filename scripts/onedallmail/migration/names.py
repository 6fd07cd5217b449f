"""Names of folders: from modified UTF-7 and the source's separator to ours. Pure."""

import base64
import binascii
import re
from dataclasses import dataclass

SEPARATOR = "/"
LONGEST_NAME_BYTES = 255
"""Of one level, as file systems have it."""
_LIST = re.compile(rb'\((?P<flags>[^)]*)\) (?:"(?P<sep>\\?.)"|NIL) (?P<name>.*)', re.DOTALL)


@dataclass(frozen=True)
class Folder:
    """A folder of the source: as it is said there, as it is called here, and why it can't be had here."""

    raw: str
    name: str
    problem: str = ""


def decoded(raw: str) -> str:
    """Return a name in Unicode (RFC 3501, 5.1.3). Raises ValueError for what is no modified UTF-7."""

    def part(found: re.Match[str]) -> str:
        if not found[1]:
            return "&"
        text = found[1].replace(",", "/")
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True).decode("utf-16-be")

    try:
        return re.sub(r"&([^-]*)-", part, raw)
    except (binascii.Error, UnicodeDecodeError) as error:
        msg = f"{raw!r} is no modified UTF-7"
        raise ValueError(msg) from error


def folder_of(row: bytes | tuple[bytes, bytes], prefix: str = "") -> Folder | None:
    """Return the folder of a line of LIST; None for one that can't hold messages. Raises ValueError."""
    line = row if isinstance(row, bytes) else row[0][: row[0].rindex(b"{")] + row[1]
    found = _LIST.fullmatch(line.strip())
    if not found:
        msg = f"LIST was answered {line[:200]!r}"
        raise ValueError(msg)
    flags = found["flags"].lower().split()
    if b"\\noselect" in flags or b"\\nonexistent" in flags:
        return None
    separator = (found["sep"] or b"").decode("ascii", "replace").removeprefix("\\") or ""
    raw = found["name"].decode("utf-8", "replace")
    if isinstance(row, bytes) and raw.startswith('"') and raw.endswith('"'):
        raw = re.sub(r"\\(.)", r"\1", raw[1:-1])
    return _mapped(raw, separator, prefix)


def _mapped(raw: str, separator: str, prefix: str) -> Folder:
    try:
        name = decoded(raw)
    except ValueError as error:
        return Folder(raw, raw, str(error))
    shown = name.removeprefix(prefix) if prefix and name.upper() != "INBOX" else name
    levels = shown.split(separator) if separator else [shown]
    if levels[0].upper() == "INBOX":
        levels[0] = "INBOX"
    mapped = SEPARATOR.join(levels)
    problems = [f"{level[:40]!r} {why}: rename it at the source" for level in levels if (why := _trouble(level))]
    return Folder(raw, mapped, "; ".join(problems))


def _trouble(level: str) -> str:
    rules = (
        (not level, "is an empty level"),
        (SEPARATOR in level, f"has {SEPARATOR} in it"),
        (not level.isprintable(), "has control characters in it"),
        (level.startswith("~") or level in {".", ".."}, "is reserved"),
        (len(level.encode()) > LONGEST_NAME_BYTES, f"is longer than {LONGEST_NAME_BYTES} bytes"),
    )
    return next((why for wrong, why in rules if wrong), "")
