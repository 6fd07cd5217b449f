"""What a mailbox may be: its password, quota and name. Pure; refuses before anything changes."""

import re
import unicodedata

from .address import Address, normal
from .errors import InputError

MIN_PASSWORD, MAX_PASSWORD = 12, 128
MIN_DISTINCT = 5
SHORTEST_TELLING_LOCAL = 3
MAX_NAME = 128
MIN_QUOTA_BYTES, MAX_QUOTA_BYTES = 1 << 20, 1 << 50
UNITS = {"M": 1 << 20, "G": 1 << 30, "T": 1 << 40, "P": 1 << 50}
DEFAULT_QUOTA = "5G"

COMMON_WORDS = (
    "administrator", "passwort", "password", "passphrase", "iloveyou", "football", "baseball", "sunshine",
    "princess", "superman", "starwars", "changeme", "letmein", "welcome", "monkey", "dragon", "master", "secret",
    "qwerty", "qwertz", "azerty", "geheim", "hallo", "hello", "admin", "login", "test", "user", "mail", "root",
    "my", "the", "is", "this", "new", "abc",
)  # fmt: skip
"""Words that the commonest leaked passwords are made of, longest first."""
ROWS = ("abcdefghijklmnopqrstuvwxyz", "01234567890123456789", "qwertyuiop", "qwertzuiop", "asdfghjkl", "zxcvbnm")
RUN = 4
LEET = str.maketrans("@4310$57!", "aaeiossti")
MIN_OWN_SYMBOLS = 8


def checked_password(password: str, address: Address) -> str:
    """Return a password in NFC (RFC 8265, section 4.2).

    Raises:
        InputError: it is too short, too long, tells the account's name, or is one of the commonest patterns.
    """
    value = unicodedata.normalize("NFC", password)
    why = _too_weak(value, address)
    if why:
        msg = f"password of {address}: {why} (`--generate` makes a good one)"
        raise InputError(msg)
    return value


def _too_weak(value: str, address: Address) -> str:
    local = normal(address.local)
    tells = len(local) >= SHORTEST_TELLING_LOCAL and local in normal(value)
    reasons = (
        (len(value) < MIN_PASSWORD, f"it has {len(value)} characters: take {MIN_PASSWORD} or more"),
        (len(value.encode(errors="replace")) > MAX_PASSWORD, f"it is longer than {MAX_PASSWORD} octets: shorten it"),
        (
            any(unicodedata.category(char)[0] == "C" for char in value),
            "it holds a control character, which many programs can't send: leave it out",
        ),
        (tells, f"it contains '{local}', the account's name: take another"),
        (len(set(value)) < MIN_DISTINCT, f"it has fewer than {MIN_DISTINCT} different characters: take another"),
        (is_common(value[:MAX_PASSWORD]), "it is made of the commonest words, runs or repetitions: take another"),
    )
    return next((reason for bad, reason in reasons if bad), "")


def is_common(password: str) -> bool:
    """Tell whether less than MIN_OWN_SYMBOLS characters stay when well-known words, runs and repeats are left out."""
    return min(_own_symbols(password.lower()), _own_symbols(password.lower().translate(LEET))) < MIN_OWN_SYMBOLS


def _own_symbols(text: str) -> int:
    for word in COMMON_WORDS:
        text = text.replace(word, "\0")
    text = re.sub(r"(19|20)\d\d", "\0", text)
    text = re.sub(r"(.{1,6}?)\1+", r"\1", text)
    runs = {row[i : i + RUN] for r in ROWS for row in (r, r[::-1]) for i in range(len(row) - RUN + 1)}
    inside = [text[i : i + RUN] in runs for i in range(len(text))]
    return sum(char != "\0" and not any(inside[max(0, i - RUN + 1) : i + 1]) for i, char in enumerate(text))


def quota_bytes(text: str) -> int:
    """Return a quota such as `5G` in bytes (binary units).

    Raises:
        InputError: it is no number with a unit, or not between 1M and 1P.
    """
    found = re.fullmatch(r"(\d{1,7})\s*([MGTP])(i?B)?", text.strip(), re.ASCII | re.IGNORECASE)
    if not found:
        msg = f"quota '{text}': write a whole number and one of the units {', '.join(UNITS)}, such as {DEFAULT_QUOTA}"
        raise InputError(msg)
    size = int(found[1]) * UNITS[found[2].upper()]
    if not MIN_QUOTA_BYTES <= size <= MAX_QUOTA_BYTES:
        msg = f"quota '{text}': it has to be between 1M and 1P"
        raise InputError(msg)
    return size


def quota_text(size_bytes: int) -> str:
    """Return a size in the largest unit that states it without a fraction."""
    for unit, factor in reversed(UNITS.items()):
        if size_bytes % factor == 0:
            return f"{size_bytes // factor}{unit}"
    return f"{size_bytes}B"


def display_name(text: str) -> str:
    """Return a person's name for lists, in NFC without surrounding space.

    Raises:
        InputError: it is too long or holds control characters.
    """
    name = unicodedata.normalize("NFC", text.strip())
    if len(name) > MAX_NAME or any(unicodedata.category(char) in {"Cc", "Cs"} for char in name):
        msg = f"name {name[:40]!r}: it has to be {MAX_NAME} characters or fewer, without control characters"
        raise InputError(msg)
    return name
