"""No secret stands in clear in roles, playbooks or group variables: Secrets Manager and the state have them."""

import math
import re
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .tree import ANSIBLE, ROLES, load

SECRET_NAME = re.compile(r"(password|passphrase|secret|token|private_key|dkim_key)$")
KNOWN_FORMS = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----|\b(AKIA|ASIA)[A-Z0-9]{16}\b|\$ANSIBLE_VAULT|\{(ARGON2ID|BLF-CRYPT|PLAIN)\}\S"
)
MIXED_WORD = re.compile(r"(?=\S*[A-Z])(?=\S*[a-z])(?=\S*[0-9])(?<![/.\w])[A-Za-z0-9+/_-]{32,}(?![/.\w])")
RANDOM_BITS = 4.2
"""Bits a character from which on a long word looks drawn by chance (English and paths stay below 4)."""
FILES = [
    path for top in (ROLES, ANSIBLE) for path in sorted(top.rglob("*")) if path.is_file() and not path.is_symlink()
]
VARIABLES = [path for path in FILES if path.suffix == ".yml" and path.parts[-2] in ("defaults", "vars", "group_vars")]


def entropy(word: str) -> float:
    """Return the bits a character of a word."""
    counts = Counter(word).values()
    return -sum(n / len(word) * math.log2(n / len(word)) for n in counts)


def secrets_in(text: str) -> list[str]:
    """Return the words of a text that look like secrets."""
    found = [match.group() for match in KNOWN_FORMS.finditer(text)]
    return found + [word for word in MIXED_WORD.findall(text) if entropy(word) > RANDOM_BITS]


def literal_secrets(value: Any, name: str = "") -> Iterator[str]:
    """Yield the names of secrets whose value is written out instead of looked up."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from literal_secrets(inner, str(key))
    elif isinstance(value, list):
        for inner in value:
            yield from literal_secrets(inner, name)
    elif isinstance(value, str) and SECRET_NAME.search(name) and value and "{{" not in value and value[0] != "/":
        yield name


@pytest.mark.control("iso27001:A.8.24", "iso27001:A.5.17")
@pytest.mark.parametrize("path", FILES, ids=lambda path: "/".join(path.parts[-4:]))
def test_file_holds_nothing_that_looks_like_a_secret(path: Path) -> None:
    assert not secrets_in(path.read_text())


@pytest.mark.parametrize("path", VARIABLES, ids=lambda path: "/".join(path.parts[-3:]))
def test_variables_look_secrets_up(path: Path) -> None:
    assert not list(literal_secrets(load(path)))


@pytest.mark.parametrize(
    "text", ["-----BEGIN " + "EC PRIVATE KEY-----", "AKIA" + "A1B2" * 4, b64encode(bytes(range(0, 240, 6))).decode()]
)
def test_a_secret_in_a_text_is_noticed(text: str) -> None:
    assert secrets_in(f"key: {text}\n")


def test_a_secret_written_out_in_a_variable_is_noticed() -> None:
    found = literal_secrets({"users": [{"address": "bob", "password": "hunter2"}, {"password": "{{ lookup('x') }}"}]})
    assert list(found) == ["password"]
