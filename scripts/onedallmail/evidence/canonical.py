"""One byte form for every JSON document that is hashed or signed, and the hashes themselves.

Canonical means: UTF-8, keys sorted, no spaces, no NaN, and duplicate keys refused on the way in.
"""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

_BLOCK_BYTES = 1 << 20


class CanonicalError(ValueError):
    """A document is not JSON, or says one thing twice."""


def encode(document: object) -> bytes:
    """Return the canonical bytes of a JSON document; raise CanonicalError when it has none (NaN, foreign types)."""
    try:
        text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        message = f"no canonical JSON form: {error}"
        raise CanonicalError(message) from error
    return text.encode("utf-8", errors="surrogatepass")


def decode(data: bytes) -> Any:
    """Return the document in `data`; raise CanonicalError on broken UTF-8, broken JSON or a repeated key."""

    def refuse_repeats(pairs: Iterable[tuple[str, object]]) -> dict[str, object]:
        result: dict[str, object] = {}
        for key, value in pairs:
            if key in result:
                message = f"the key {key!r} appears twice"
                raise CanonicalError(message)
            result[key] = value
        return result

    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=refuse_repeats)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        message = f"not readable as JSON: {error}"
        raise CanonicalError(message) from error


def sha256(data: bytes) -> str:
    """Return the SHA-256 of bytes as 64 lower-case hex digits."""
    return hashlib.sha256(data).hexdigest()
