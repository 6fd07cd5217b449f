"""The one spelling of a mail address: lower-case NFC local part, lower-case A-label domain.

Lengths and characters after RFC 5321 (section 4.5.3.1), RFC 5322 (dot-atom) and RFC 6531 (UTF-8 local parts).
"""

import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass

from .errors import InputError

LOCAL_MAX_OCTETS = 64
ADDRESS_MAX_OCTETS = 254
DOMAIN_MAX = 253

OWN_SYMBOLS = "._-'&=~"
"""Symbols of the platform's own addresses: `+` begins a detail, `/` divides folders, `!` and `%` once were routes."""
ANY_SYMBOLS = "!#$%&'*+-/=?^_`{|}~."
_LETTERS = ("L", "M", "N")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_LAST_LABEL = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])")


@dataclass(frozen=True)
class Address:
    """An address in its one spelling."""

    local: str
    domain: str

    def __str__(self) -> str:
        """Return `local@domain`."""
        return f"{self.local}@{self.domain}"


def any_address(text: str) -> Address:
    """Return an address of any domain in its one spelling.

    Raises:
        InputError: it is no address; the message says why.
    """
    return _parse(text, ANY_SYMBOLS)


def own_address(text: str, domains: Collection[str]) -> Address:
    """Return an address of one of the stack's `domains` in its one spelling.

    Raises:
        InputError: it is no address, its domain is not the stack's, or its local part has a meaning of its own.
    """
    address = _parse(text, OWN_SYMBOLS)
    if address.domain not in domains:
        msg = (
            f"address '{text}': {address.domain} is no domain of this stack ({', '.join(domains)}); "
            "take one of them, or add it to onedallmail:domains of the stack file and bring the stack up"
        )
        raise InputError(msg)
    return address


def domain_name(text: str) -> str:
    """Return a domain in lower-case A-label form (IDNA 2008).

    Raises:
        InputError: it is no domain of two or more labels.
    """
    name = text.strip().rstrip(".").lower()
    if not name.isascii():
        name = _a_labels(text, name)
    labels = name.split(".")
    good = all(_LABEL.fullmatch(label) for label in labels) and _LAST_LABEL.fullmatch(labels[-1])
    if len(labels) < 2 or not good or len(name) > DOMAIN_MAX:  # noqa: PLR2004 - host and top level
        msg = f"'{text}' is no mail domain: write a name of two or more labels such as 'example.com'"
        raise InputError(msg)
    return name


def _a_labels(text: str, name: str) -> str:
    import idna  # noqa: PLC0415 - its tables are large, and few domains need them

    try:
        return idna.encode(name, uts46=True).decode().lower()
    except (idna.IDNAError, UnicodeError) as error:
        msg = f"'{text}' is no mail domain: {error}"
        raise InputError(msg) from error


def _parse(text: str, symbols: str) -> Address:
    local, at, domain = text.strip().rpartition("@")
    if not at or not local or not domain:
        msg = f"'{text}' is no mail address: write NAME@DOMAIN"
        raise InputError(msg)
    try:
        address = Address(_local_part(text, local, symbols), domain_name(domain))
    except UnicodeEncodeError as error:
        msg = f"address {text!r}: it is not valid Unicode: type it again"
        raise InputError(msg) from error
    size = len(str(address).encode())
    if size > ADDRESS_MAX_OCTETS:
        msg = f"address '{text}': it has {size} octets, and {ADDRESS_MAX_OCTETS} are the limit: shorten it"
        raise InputError(msg)
    return address


def _local_part(text: str, local: str, symbols: str) -> str:
    name = normal(local)
    wrong = sorted({c for c in name if not (_is_letter(c) or c in symbols)})
    if wrong:
        shown = " ".join(c if c.isprintable() and c != " " else f"U+{ord(c):04X}" for c in wrong)
        msg = f"address '{text}': not allowed before the @: {shown} (allowed: letters, digits and {' '.join(symbols)})"
        raise InputError(msg)
    if name.startswith(".") or name.endswith(".") or ".." in name:
        msg = f"address '{text}': a dot may only stand between other characters: remove the dot that does not"
        raise InputError(msg)
    if name.startswith("-") and "+" not in symbols:
        msg = f"address '{text}': it begins with a hyphen, which programs take for an option: begin it otherwise"
        raise InputError(msg)
    folded = unicodedata.normalize("NFC", name.casefold())
    if folded != name and "+" not in symbols:
        msg = f"address '{text}': mail servers take '{name}' for '{folded}' when they look it up: write it so"
        raise InputError(msg)
    size = len(name.encode())
    if size > LOCAL_MAX_OCTETS:
        msg = f"address '{text}': {size} octets before the @, and {LOCAL_MAX_OCTETS} are the limit: shorten it"
        raise InputError(msg)
    return name


def normal(text: str) -> str:
    """Return text in lower case and NFC; a second call changes nothing."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).lower())


def _is_letter(char: str) -> bool:
    if char.isascii():
        return char.isalnum()
    return unicodedata.category(char)[0] in _LETTERS
