"""Credentials of instance roles: made from a secret and the hour, so that they outlive the process that gave them.

As EC2 does, an instance gets the same ones within an hour, and each set lasts six hours.
"""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

ROTATION = timedelta(hours=1)
LIFE = timedelta(hours=6)


@dataclass(frozen=True)
class Credentials:
    """A set of temporary credentials of an instance's role."""

    access_key_id: str
    secret_access_key: str
    token: str
    instance: str
    issued: datetime
    expires: datetime


class Issuer:
    """Issues credentials, and knows its own again."""

    def __init__(self, secret: bytes) -> None:
        """Take the lab's secret."""
        self._secret = secret

    def issue(self, instance: str, now: datetime) -> Credentials:
        """Return the credentials that an instance has at that time."""
        hour = int(ROTATION.total_seconds())
        since = datetime.fromtimestamp(int(now.timestamp()) // hour * hour, tz=UTC)
        claim = json.dumps([instance, int(since.timestamp())]).encode()
        mac = self._mac("token", claim)
        return self._of(base64.b64encode(mac + claim).decode(), instance, since)

    def recognise(self, token: str) -> Credentials | None:
        """Return the credentials that a session token belongs to, expired or not; None if it is none of ours."""
        try:
            data = base64.b64decode(token, validate=True)
            mac, claim = data[:32], data[32:]
            if not hmac.compare_digest(mac, self._mac("token", claim)):
                return None
            instance, since = json.loads(claim)
        except ValueError:
            return None
        return self._of(token, instance, datetime.fromtimestamp(since, tz=UTC))

    def _of(self, token: str, instance: str, since: datetime) -> Credentials:
        name = base64.b32encode(self._mac("id", token.encode())).decode()[:16]
        key = base64.b64encode(self._mac("key", token.encode())).decode()[:40]
        return Credentials(f"ASIA{name}", key, token, instance, since, since + LIFE)

    def _mac(self, purpose: str, data: bytes) -> bytes:
        return hmac.new(self._secret, purpose.encode() + b"\0" + data, hashlib.sha256).digest()
