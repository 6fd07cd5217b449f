"""Data keys from AWS KMS: a multi-Region key, whose replicas in other regions answer when the own region does not."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from onedallmail.copies.keys import DataKey, KeysAwayError
from onedallmail.copies.record import WrappedKey

T = TypeVar("T")
CONNECT_S, READ_S = 2, 4
AVOIDED_S = 60.0
"""A region that did not answer comes last for that long."""
REGION, KEY = 3, 5
"""Parts of an ARN (arn:aws:kms:REGION:ACCOUNT:key/ID)."""


class Kms:
    """One key in its regions, the server's own region first; credentials are those of the server's role."""

    def __init__(self, arns: Sequence[str], context: Mapping[str, str]) -> None:
        """Take the ARNs and the encryption context that IAM asks for; nothing is called yet."""
        self._arns = tuple(arns)
        self._context = dict(context)
        self._clients: dict[str, Any] = {}
        self._failed_at: dict[str, float] = {}
        self._lock = threading.Lock()

    def generate(self) -> DataKey:
        """Return a new data key; raises KeysAwayError."""

        def ask(client: Any, arn: str) -> DataKey:
            answer = client.generate_data_key(KeyId=arn, KeySpec="AES_256", EncryptionContext=self._context)
            return DataKey(WrappedKey(arn, answer["CiphertextBlob"]), answer["Plaintext"])

        return self._first(self._arns, ask)

    def unwrap(self, key: WrappedKey) -> bytes:
        """Return the plain key; raises KeysAwayError, also for a key of another platform."""

        def ask(client: Any, arn: str) -> bytes:
            answer = client.decrypt(KeyId=arn, CiphertextBlob=key.data, EncryptionContext=self._context)
            return bytes(answer["Plaintext"])

        return self._first([arn for arn in self._arns if _key_id(arn) == _key_id(key.arn)], ask, key.arn)

    def _first(self, arns: Sequence[str], ask: Callable[[Any, str], T], wanted: str = "") -> T:
        reasons = []
        for arn in sorted(arns, key=self._avoided):
            try:
                found = ask(self._client(arn.split(":")[REGION]), arn)
            except (BotoCoreError, ClientError) as error:
                self._failed_at[arn] = time.monotonic()
                reasons.append(f"{arn}: {error}")
            else:
                self._failed_at.pop(arn, None)
                return found
        if not reasons:
            msg = f"key {wanted} is none of this platform's ({', '.join(self._arns) or 'none is known'})"
            raise KeysAwayError(msg)
        msg = f"KMS gives no key ({'; '.join(reasons)}); check its endpoints and the role of this server"
        raise KeysAwayError(msg)

    def _avoided(self, arn: str) -> bool:
        failed_at = self._failed_at.get(arn)
        return failed_at is not None and time.monotonic() - failed_at < AVOIDED_S

    def _client(self, region: str) -> Any:
        with self._lock:
            if region not in self._clients:
                config = Config(connect_timeout=CONNECT_S, read_timeout=READ_S, retries={"total_max_attempts": 1})
                session = botocore.session.get_session()
                self._clients[region] = session.create_client("kms", region_name=region, config=config)
            return self._clients[region]


def _key_id(arn: str) -> str:
    return arn.split(":")[KEY]
