"""Takes secrets out of text that tests captured before it is kept as evidence.

Deliberately blunt: it would rather blank a harmless value than keep a password.
"""

import re

_MARK = "[redacted]"
_BLOCK = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)", re.DOTALL)
_NAMED = re.compile(
    r"(?i)\b((?:[a-z0-9_]*?(?:password|passwd|passphrase|secret|token|api_?key|private_?key))"
    r"['\"]?\s*(?:=|:)\s*)(\"[^\"]*\"|'[^']*'|[^\s,;)}\]]+)"
)
_HASH = re.compile(r"(\{[A-Z0-9.-]+\})?\$(argon2id?|6|y|2[aby]|scram-sha-256)\$\S+", re.IGNORECASE)
_AUTH = re.compile(r"(?i)\b(AUTH (?:PLAIN|LOGIN)|Authorization: \w+) \S+")


def redact(text: str) -> str:
    """Return text without private keys, values named like secrets, password hashes and SMTP or HTTP credentials."""
    text = _BLOCK.sub(_MARK, text)
    text = _HASH.sub(_MARK, text)
    text = _AUTH.sub(rf"\1 {_MARK}", text)
    return _NAMED.sub(rf"\1{_MARK}", text)


def shorten(text: str, most: int) -> str:
    """Return text of at most about `most` characters: its beginning and end, and how much was left out between."""
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]}\n[… {len(text) - 2 * half} characters left out …]\n{text[-half:]}"
