"""A small client of etcd's JSON gateway over mutual TLS 1.3: read a prefix, create it when absent, wait for a change.

Endpoints are tried in turn, the one that answered last first. Reads are linearizable: without a majority they fail.
"""

import json
import ssl
import time
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from onedallmail.placement.settings import Etcd


class EtcdError(Exception):
    """No endpoint gave an answer, with what each of them said."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All keys under a prefix at one revision of the store; changed is the revision of their newest change."""

    values: dict[str, bytes]
    revision: int
    changed: int


class EtcdClient:
    """Talks to the voters of one cluster. A renewed certificate is noticed: every connection reads it anew."""

    def __init__(self, settings: Etcd) -> None:
        """Keep the settings; nothing is opened yet."""
        self._settings = settings
        self._endpoints = list(settings.endpoints)

    def read(self, prefix: str) -> Snapshot:
        """Return everything under the prefix; raises EtcdError."""
        answer = self._call("/v3/kv/range", _key_range(prefix))
        pairs = answer.get("kvs", [])
        return Snapshot(
            values={b64decode(pair["key"]).decode(): b64decode(pair.get("value", "")) for pair in pairs},
            revision=int(answer["header"]["revision"]),
            changed=max((int(pair["mod_revision"]) for pair in pairs), default=0),
        )

    def create(self, prefix: str, values: Mapping[str, str]) -> bool:
        """Write the values in one transaction if nothing is under the prefix; return whether it was so."""
        absent = {**_key_range(prefix), "target": "CREATE", "result": "EQUAL", "create_revision": "0"}
        puts = [{"request_put": {"key": _encoded(k), "value": _encoded(v)}} for k, v in values.items()]
        return bool(self._call("/v3/kv/txn", {"compare": [absent], "success": puts}).get("succeeded", False))

    def wait(self, prefix: str, after_revision: int, timeout_s: float) -> bool:
        """Wait for a change under the prefix after the revision; return whether there was one in time.

        Raises EtcdError when the watch breaks: then the caller reads again.
        """
        deadline = time.monotonic() + timeout_s
        request = {"create_request": {**_key_range(prefix), "start_revision": str(after_revision + 1)}}
        endpoint = self._endpoints[0]
        connection = self._connection(endpoint)
        try:
            connection.connect()
            stream = connection.sock  # the connection forgets it when the voter announces its end
            response = _post(connection, "/v3/watch", request)
            while (left_s := deadline - time.monotonic()) > 0:
                stream.settimeout(left_s)
                if _news(response.readline()):
                    return True
        except TimeoutError:
            return False
        except (OSError, HTTPException, ValueError) as error:
            msg = f"etcd: watch at {endpoint} broke: {_reason(error)}"
            raise EtcdError(msg) from error
        finally:
            connection.close()
        return False

    def _call(self, path: str, request: Mapping[str, Any]) -> dict[str, Any]:
        reasons = []
        for endpoint in tuple(self._endpoints):
            try:
                connection = self._connection(endpoint)
                try:
                    answer: dict[str, Any] = json.loads(_post(connection, path, request).read())
                finally:
                    connection.close()
            except (OSError, HTTPException, ValueError) as error:
                reasons.append(f"{endpoint}: {_reason(error)}")
                self._endpoints.append(self._endpoints.pop(0))
            else:
                return answer
        msg = f"etcd gives no answer ({'; '.join(reasons)}); check that a majority of voters runs and can be reached"
        raise EtcdError(msg)

    def _connection(self, endpoint: str) -> HTTPSConnection:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_verify_locations(self._settings.ca)
        context.load_cert_chain(self._settings.certificate, self._settings.key)
        address = urlsplit(endpoint)
        timeout_s = self._settings.request_timeout_s
        return HTTPSConnection(address.hostname or "", address.port, timeout=timeout_s, context=context)


def _post(connection: HTTPSConnection, path: str, request: Mapping[str, Any]) -> HTTPResponse:
    connection.request("POST", path, json.dumps(request), {"Content-Type": "application/json"})
    response = connection.getresponse()
    if response.status != 200:  # noqa: PLR2004 - HTTP: OK
        msg = f"status {response.status}: {response.read(500).decode(errors='replace').strip()}"
        raise HTTPException(msg)
    return response


def _news(line: bytes) -> bool:
    """Return whether a line of a watch tells of a change; raises HTTPException when it is the end of the watch."""
    result = json.loads(line).get("result", {}) if line else {}
    if not line or result.get("canceled"):
        msg = f"the voter ended it ({result.get('cancel_reason') or 'without a reason'})"
        raise HTTPException(msg)
    return bool(result.get("events"))


def _key_range(prefix: str) -> dict[str, str]:
    """Return the range of all keys that begin with the prefix: up to the prefix with its last byte grown by one."""
    return {"key": _encoded(prefix), "range_end": _encoded(prefix[:-1] + chr(ord(prefix[-1]) + 1))}


def _encoded(text: str) -> str:
    return b64encode(text.encode()).decode()


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
