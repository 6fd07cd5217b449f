"""Passwords as the directory stores them: Argon2id (RFC 9106) in Dovecot's notation."""

import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argon2 import PasswordHasher

MEMORY_KIB, PASSES, LANES = 47104, 1, 1
"""First of the OWASP parameter sets; Dovecot reads them from the hash itself."""
SCHEME = "{ARGON2ID}"

ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
"""Without characters that look alike."""
BLOCKS, BLOCK = 4, 5


def hashed(password: str) -> str:
    """Return `{ARGON2ID}$argon2id$v=19$m=...` of a password, with a new salt."""
    return SCHEME + _hasher().hash(password)


def generate() -> str:
    """Return a new password of 99 random bits, easy to read out and to type."""
    return "-".join("".join(secrets.choice(ALPHABET) for _ in range(BLOCK)) for _ in range(BLOCKS))


def _hasher() -> "PasswordHasher":
    from argon2 import PasswordHasher  # noqa: PLC0415 - a compiled library that most commands do not need

    return PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES)
