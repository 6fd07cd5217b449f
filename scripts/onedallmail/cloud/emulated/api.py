"""What the services share: clients, handlers, tags, and the marks that tell a stack's own leftovers."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from onedallmail.cloud import emulator
from onedallmail.cloud.rules import rules_of
from onedallmail.cloud.rules.paths import stated_at

Values = dict[str, Any]
CLAIM_TAG = "onedallmail:claim"
"""Tag of things with a name of their own: a run that was killed before it recorded one finds it again by this."""

GONE = frozenset(
    {
        "NotFoundException",
        "NoSuchBucket",
        "404",
        "NoSuchHostedZone",
        "NoSuchHealthCheck",
        "NoSuchLifecycleConfiguration",
        "OwnershipControlsNotFoundError",
        "ReplicationConfigurationNotFoundError",
        "ResourceNotFoundException",
        "NoSuchBucketPolicy",
        "NoSuchPublicAccessBlockConfiguration",
        "ServerSideEncryptionConfigurationNotFoundError",
    }
)


class RefusedError(ValueError):
    """AWS would refuse this, although the emulator does not."""


class Api:
    """Clients of one stack's emulator, which is started at the first use."""

    def __init__(self, state_dir: Path) -> None:
        """Use the emulator of a stack's state folder."""
        self._state_dir = state_dir
        self._clients: dict[tuple[str, str], Any] = {}

    @cached_property
    def _url(self) -> str:
        return emulator.ensure(self._state_dir.name, state_dir=self._state_dir).url

    def __call__(self, service: str, region: str) -> Any:
        """Return a client."""
        key = (service, region)
        if key not in self._clients:
            self._clients[key] = emulator.connect(self._url, service, region)
        return self._clients[key]

    @staticmethod
    def claim(token: str, urn: str, inputs: Values) -> str:
        """Return the mark of a thing: a replacement (its force-new inputs differ) has another one."""
        fixed = {path: stated_at(inputs, path) for path in sorted(rules_of(token).force_new)}
        return hashlib.sha256(json.dumps([urn, fixed]).encode()).hexdigest()[:32]


@dataclass(frozen=True, kw_only=True)
class Handler:
    """How one type is made, changed, removed and looked for; `inputs` are those that the emulation carries out."""

    create: Callable[[Api, Values, str], tuple[str, Values]]
    update: Callable[[Api, str, Values, Values], Values]
    delete: Callable[[Api, str, Values], None]
    probe: Callable[[Api, str, Values], None]
    inputs: frozenset[str] = field(default=frozenset())


def code(error: ClientError) -> str:
    """Return AWS's code of an error."""
    return str(error.response["Error"]["Code"])


def call_unless_gone(function: Callable[..., None], *arguments: Any) -> bool:
    """Call and return True; False when AWS says that the thing does not exist."""
    try:
        function(*arguments)
    except ClientError as error:
        if code(error) in GONE:
            return False
        raise
    return True


def tag_list(tags: Mapping[str, str] | None, key: str = "Key", value: str = "Value") -> list[dict[str, str]]:
    """Return tags as AWS lists them."""
    return [{key: k, value: v} for k, v in sorted((tags or {}).items())]


def gone_tags(old: Values, new: Values) -> list[str]:
    """Return the keys of tags that are no longer there."""
    return sorted(set(old.get("tags") or {}) - set(new.get("tags") or {}))


def present(**arguments: Any) -> dict[str, Any]:
    """Return the arguments that have a value."""
    return {k: v for k, v in arguments.items() if v is not None}
