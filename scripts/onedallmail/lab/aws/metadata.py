"""The instance metadata service, version 2 only (pure).

Source: EC2 User Guide, "Use the Instance Metadata Service"; what is answered is what the AWS SDKs and agents ask for.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import datetime

from .credentials import Credentials, Issuer
from .estate import Guest
from .messages import Answer, Incoming

LONGEST_TOKEN_S = 21600
TOKEN_PATH = "/latest/api/token"  # noqa: S105 - a path
_TTL, _TOKEN = "x-aws-ec2-metadata-token-ttl-seconds", "x-aws-ec2-metadata-token"
_ROLES = "/latest/meta-data/iam/security-credentials"
_MAC_BYTES = 32


class Metadata:
    """Answers the questions of instances about themselves."""

    def __init__(self, secret: bytes, issuer: Issuer) -> None:
        """Take the lab's secret, and who issues credentials."""
        self._secret, self._issuer = secret, issuer

    def answer(self, guest: Guest, request: Incoming, now: datetime) -> Answer:
        """Return the answer to a request of an instance."""
        path = request.path.partition("?")[0]
        if request.method == "PUT" and path == TOKEN_PATH:
            return self._give_token(guest, request.headers, now)
        if request.method not in ("GET", "HEAD"):
            return Answer(405)
        if not self._knows(guest, request.headers.get(_TOKEN, ""), now):
            return Answer(401)
        return self._fact(guest, path, now)

    def _give_token(self, guest: Guest, headers: Mapping[str, str], now: datetime) -> Answer:
        if "x-forwarded-for" in headers:  # an open proxy must not hand an instance's identity on
            return Answer(403)
        seconds = headers.get(_TTL, "")
        if not (seconds.isascii() and seconds.isdigit() and 1 <= int(seconds[:6]) <= LONGEST_TOKEN_S):
            return Answer(400)
        claim = str(int(now.timestamp()) + int(seconds[:6])).encode()
        token = base64.urlsafe_b64encode(self._mac(guest, claim) + claim)
        return Answer(200, token, {_TTL: seconds, "Content-Type": "text/plain"})

    def _knows(self, guest: Guest, token: str, now: datetime) -> bool:
        try:
            data = base64.urlsafe_b64decode(token.encode("ascii"))
        except ValueError:
            return False
        mac, claim = data[:_MAC_BYTES], data[_MAC_BYTES:]
        return hmac.compare_digest(mac, self._mac(guest, claim)) and int(claim) > now.timestamp()

    def _mac(self, guest: Guest, claim: bytes) -> bytes:
        return hmac.new(self._secret, f"metadata\0{guest.id}\0".encode() + claim, hashlib.sha256).digest()

    def _fact(self, guest: Guest, path: str, now: datetime) -> Answer:
        facts = {
            "/latest/meta-data/instance-id": guest.id,
            "/latest/meta-data/local-ipv4": guest.address,
            "/latest/meta-data/placement/availability-zone": guest.zone,
            "/latest/meta-data/placement/region": guest.region,
            _ROLES: guest.role_name,
        }
        wanted = path.rstrip("/")
        if wanted in facts:
            return Answer(200, facts[wanted].encode(), {"Content-Type": "text/plain"})
        if wanted == f"{_ROLES}/{guest.role_name}":
            return _json(_described(self._issuer.issue(guest.id, now)))
        if wanted == "/latest/dynamic/instance-identity/document":
            return _json(
                {
                    "accountId": guest.account,
                    "availabilityZone": guest.zone,
                    "instanceId": guest.id,
                    "privateIp": guest.address,
                    "region": guest.region,
                    "version": "2017-09-30",
                }
            )
        return Answer(404)


def _json(content: Mapping[str, str]) -> Answer:
    return Answer(200, json.dumps(content, indent=2).encode(), {"Content-Type": "text/plain"})


def _described(found: Credentials) -> dict[str, str]:
    return {
        "Code": "Success",
        "LastUpdated": f"{found.issued:%Y-%m-%dT%H:%M:%SZ}",
        "Type": "AWS-HMAC",
        "AccessKeyId": found.access_key_id,
        "SecretAccessKey": found.secret_access_key,
        "Token": found.token,
        "Expiration": f"{found.expires:%Y-%m-%dT%H:%M:%SZ}",
    }
