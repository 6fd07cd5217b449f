"""A small cloud for tests of the lab's AWS: two servers and a witness, one key, and requests as SDKs sign them."""

import json
from datetime import UTC, datetime
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as SdkCredentials

from onedallmail.lab.aws.credentials import Credentials
from onedallmail.lab.aws.estate import CloudEstate, Guest
from onedallmail.lab.aws.messages import Incoming

ACCOUNT = "123456789012"
HOME, AWAY = "eu-central-1", "eu-west-1"
KEY_ID = "mrk-00000000-0000-0000-0000-000000000001"
KEY = f"arn:aws:kms:{HOME}:{ACCOUNT}:key/{KEY_ID}"
CONTEXT = {"purpose": "mail-copies"}


def guest(name: str, role: str, region: str = HOME) -> Guest:
    return Guest(
        id=f"i-{name}",
        region=region,
        zone=f"{region}a",
        address=f"10.0.0.{len(name)}",
        role_name=role,
        role_arn=f"arn:aws:iam::{ACCOUNT}:role/{role}",
        hop_limit=1,
    )


MAIL, WITNESS = guest("a1", "mail"), guest("wit", "witness")


def estate() -> CloudEstate:
    allowed = {
        "Effect": "Allow",
        "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
        "Resource": [KEY],
        "Condition": {"StringEquals": {"kms:EncryptionContext:purpose": "mail-copies"}},
    }
    users = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
        "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
        "Resource": "*",
    }
    return CloudEstate(
        regions=(HOME, AWAY),
        guests=(MAIL, WITNESS),
        role_policies={MAIL.role_arn: [{"Statement": [allowed]}], WITNESS.role_arn: []},
        key_policies={KEY: {"Statement": [users]}},
        aliases={f"arn:aws:kms:{HOME}:{ACCOUNT}:alias/mail": KEY},
    )


def signed(
    credentials: Credentials,
    body: dict[str, Any],
    *,
    operation: str = "GenerateDataKey",
    region: str = HOME,
    service: str = "kms",
) -> Incoming:
    """Return a request as the SDK signs it, now."""
    host = f"{service}.{region}.amazonaws.com"
    headers = {"Host": host, "X-Amz-Target": f"TrentService.{operation}", "Content-Type": "application/x-amz-json-1.1"}
    request = AWSRequest("POST", f"https://{host}/", data=json.dumps(body), headers=headers)
    keys = SdkCredentials(credentials.access_key_id, credentials.secret_access_key, credentials.token)
    SigV4Auth(keys, service, region).add_auth(request)
    small = {name.lower(): str(value) for name, value in request.headers.items()}
    return Incoming("POST", "/", small, json.dumps(body).encode())


def now() -> datetime:
    return datetime.now(UTC)
