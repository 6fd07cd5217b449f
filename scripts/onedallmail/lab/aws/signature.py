"""AWS Signature Version 4, checked as AWS does (pure).

Source: IAM User Guide, "Create a signed AWS API request".
"""

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from .messages import Incoming
from .names import Api

ALGORITHM = "AWS4-HMAC-SHA256"
SKEW = timedelta(minutes=15)
MUST_BE_SIGNED = {"host", "x-amz-date", "x-amz-security-token"}
_HEADER = re.compile(
    rf"{ALGORITHM} Credential=(?P<id>[A-Z0-9]+)/(?P<scope>[^,\s]+),\s*SignedHeaders=(?P<names>[^,\s]+),"
    r"\s*Signature=(?P<signature>[0-9a-f]{64})"
)


@dataclass(frozen=True)
class Signed:
    """What an Authorization header says."""

    access_key_id: str
    scope: str
    names: tuple[str, ...]
    signature: str


def parse(authorization: str) -> Signed | None:
    """Return the parts of an Authorization header, None if it is no signature of version 4."""
    found = _HEADER.fullmatch(authorization.strip())
    return Signed(found["id"], found["scope"], tuple(found["names"].split(";")), found["signature"]) if found else None


def holds(signed: Signed, secret: str, api: Api, request: Incoming, now: datetime) -> bool:
    """Whether a POST to `/` was signed with that key, for this API, lately."""
    headers = request.headers
    stamp = headers.get("x-amz-date", "")
    try:
        at = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return False
    scope = f"{stamp[:8]}/{api.region}/{api.service}/aws4_request"
    if signed.scope != scope or abs(now - at) > SKEW or not set(signed.names) >= MUST_BE_SIGNED:
        return False
    if any(name not in headers for name in signed.names) or list(signed.names) != sorted(set(signed.names)):
        return False
    lines = "".join(f"{name}:{' '.join(headers[name].split())}\n" for name in signed.names)
    canonical = f"POST\n/\n\n{lines}\n{';'.join(signed.names)}\n{hashlib.sha256(request.body).hexdigest()}"
    text = f"{ALGORITHM}\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    return hmac.compare_digest(signed.signature, _mac(_key(secret, api, stamp[:8]), text).hex())


def _key(secret: str, api: Api, day: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (day, api.region, api.service, "aws4_request"):
        key = _mac(key, part)
    return key


def _mac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()
