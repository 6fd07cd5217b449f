"""Whether a role may make a call of KMS, judged by the stack's own policies of the role and of the key (pure).

The emulator judges no policies; here the ones that go to AWS decide. Managed policies of AWS count for nothing: the
one that servers have grants nothing in KMS.
"""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from onedallmail.cloud.iam import Request, allows, denies

from .estate import CloudEstate, Guest
from .names import Api

_TARGET = re.compile(r"TrentService\.([A-Za-z]+)")
_KEY_ID = re.compile(rb"mrk-[0-9a-f-]{36}|[0-9a-f-]{36}")
"""The emulator's ciphertexts begin with the id of their key."""


@dataclass(frozen=True)
class Call:
    """A call of KMS: the action as IAM names it, the key's ARN ("*" without a key), and the encryption context."""

    action: str
    key_arn: str
    context: Mapping[str, str]


def read_call(cloud: CloudEstate, api: Api, account: str, target: str, body: Mapping[str, Any]) -> Call | None:
    """Return what a request asks for; None if it is no call of KMS."""
    found = _TARGET.fullmatch(target)
    context = body.get("EncryptionContext") or {}
    if found is None or not isinstance(context, dict):
        return None
    return Call(f"kms:{found[1]}", _key_of(cloud, api, account, body), {str(k): str(v) for k, v in context.items()})


def _key_of(cloud: CloudEstate, api: Api, account: str, body: Mapping[str, Any]) -> str:
    place = f"arn:aws:kms:{api.region}:{account}:"
    named = str(body.get("KeyId") or "")
    if not named and "CiphertextBlob" in body:
        try:
            blob = base64.b64decode(str(body["CiphertextBlob"]))
        except ValueError:
            blob = b""
        match = _KEY_ID.match(blob)
        named = match[0].decode() if match else ""
    if not named:
        return "*"
    arn = named if named.startswith("arn:") else place + (named if named.startswith("alias/") else f"key/{named}")
    return cloud.aliases.get(arn, arn)


def may(cloud: CloudEstate, guest: Guest, call: Call) -> bool:
    """Whether the role's policies and the key's policy allow the call, and neither denies it."""
    request = Request(
        call.action,
        call.key_arn,
        {
            "aws:PrincipalArn": guest.role_arn,
            "aws:PrincipalAccount": guest.account,
            "kms:CallerAccount": guest.account,
            **{f"kms:EncryptionContext:{name}": value for name, value in call.context.items()},
        },
    )
    own = cloud.role_policies.get(guest.role_arn, [])
    granted = any(allows(policy, request) for policy in own) and not any(denies(policy, request) for policy in own)
    key = cloud.key_policies.get(call.key_arn)
    return granted and key is not None and allows(_for_account(key, guest), request)


def _for_account(policy: Mapping[str, Any], guest: Guest) -> dict[str, Any]:
    """Return the statements of a key's policy that name the role's account, or the role."""
    names = {f"arn:aws:iam::{guest.account}:root", guest.role_arn}
    return {"Statement": [s for s in policy["Statement"] if names & _principals(s)]}


def _principals(statement: Mapping[str, Any]) -> set[str]:
    named = statement.get("Principal", {}).get("AWS", [])
    return {named} if isinstance(named, str) else set(named)
