"""A small client of etcd's JSON gateway over mutual TLS 1.3: leases, transactions, reading and watching a prefix.

Endpoints are tried in turn, the one that answered last first. Reads are linearizable: without a majority they fail.
"""

import json
import ssl
from base64 import b64decode, b64encode
from collections.abc import Mapping
from http.client import HTTPException, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from onedallmail.placement.clock import moment
from onedallmail.placement.settings import Etcd
from onedallmail.placement.store import Compare, EtcdError, Renewal, Snapshot, Target, Transaction

_FIELDS = {Target.CHANGED: "mod_revision", Target.CREATED: "create_revision", Target.LEASE: "lease"}


class EtcdClient:
    """Talks to the voters of one cluster, for one thread. Every connection reads the certificate anew."""

    def __init__(self, settings: Etcd, timeout_s: float | None = None) -> None:
        """Keep the settings, and how long one endpoint may take; nothing is opened yet."""
        self._settings = settings
        self._timeout_s = timeout_s or settings.request_timeout_s
        self._endpoints = list(settings.endpoints)

    def read(self, prefix: str) -> Snapshot:
        """Return everything under the prefix; raises EtcdError."""
        answer, _ = self._call("/v3/kv/range", _key_range(prefix))
        pairs = {b64decode(pair["key"]).decode(): pair for pair in answer.get("kvs", [])}
        return Snapshot(
            values={key: b64decode(pair.get("value", "")) for key, pair in pairs.items()},
            revision=int(answer["header"]["revision"]),
            changes={key: int(pair["mod_revision"]) for key, pair in pairs.items()},
            leases={key: int(pair.get("lease", 0)) for key, pair in pairs.items()},
        )

    def commit(self, transaction: Transaction) -> bool:
        """Carry out a transaction; return whether its conditions held. Raises EtcdError: then it may have happened."""
        puts = [{"request_put": {"key": _encoded(k), "value": _encoded(v)}} for k, v in transaction.puts.items()]
        deletes = [{"request_delete_range": {"key": _encoded(key)}} for key in transaction.deletes]
        compares = [_compared(compare) for compare in transaction.compares]
        answer, _ = self._call("/v3/kv/txn", {"compare": compares, "success": puts + deletes})
        return bool(answer.get("succeeded", False))

    def grant(self, ttl_s: int) -> Renewal:
        """Return a new lease; raises EtcdError."""
        answer, asked_at = self._call("/v3/lease/grant", {"TTL": str(ttl_s)})
        return Renewal(int(answer["ID"]), float(answer["TTL"]), asked_at)

    def keepalive(self, lease: int) -> Renewal:
        """Renew a lease; raises EtcdError when etcd can't tell."""
        answer, asked_at = self._call("/v3/lease/keepalive", {"ID": str(lease)})
        if "result" not in answer:
            msg = f"etcd's answer to a keepalive has no result: {answer}"
            raise EtcdError(msg)
        return Renewal(lease, float(answer["result"].get("TTL", 0)), asked_at)

    def revoke(self, lease: int) -> None:
        """End a lease; its keys go. Raises EtcdError."""
        self._call("/v3/lease/revoke", {"ID": str(lease)})

    def put(self, key: str, value: str, lease: int = 0) -> None:
        """Write a key, which goes with the lease if there is one; raises EtcdError."""
        self._call("/v3/kv/put", {"key": _encoded(key), "value": _encoded(value), "lease": str(lease)})

    def wait(self, prefix: str, after_revision: int, timeout_s: float) -> bool:
        """Wait for a change under the prefix after the revision; return whether there was one in time.

        Raises EtcdError when the watch breaks: then the caller reads again.
        """
        deadline = moment() + timeout_s
        request = {"create_request": {**_key_range(prefix), "start_revision": str(after_revision + 1)}}
        endpoint = self._endpoints[0]
        connection = self._connection(endpoint)
        try:
            connection.connect()
            stream = connection.sock  # the connection forgets it when the voter announces its end
            response = _post(connection, "/v3/watch", request)
            while (left_s := deadline - moment()) > 0:
                stream.settimeout(left_s)
                if _news(response.readline()):
                    return True
        except TimeoutError:
            return False
        except (OSError, HTTPException, ValueError) as error:
            self._endpoints.append(self._endpoints.pop(0))
            msg = f"etcd: watch at {endpoint} broke: {_reason(error)}"
            raise EtcdError(msg) from error
        finally:
            connection.close()
        return False

    def _call(self, path: str, request: Mapping[str, Any]) -> tuple[dict[str, Any], float]:
        """Return the answer, and the moment before that endpoint was asked."""
        reasons = []
        for endpoint in tuple(self._endpoints):
            asked_at = moment()
            try:
                return self._answer(endpoint, path, request), asked_at
            except (OSError, HTTPException, ValueError) as error:
                reasons.append(f"{endpoint}: {_reason(error)}")
                self._endpoints.append(self._endpoints.pop(0))
        msg = f"etcd gives no answer ({'; '.join(reasons)}); check that a majority of voters runs and can be reached"
        raise EtcdError(msg)

    def _answer(self, endpoint: str, path: str, request: Mapping[str, Any]) -> dict[str, Any]:
        connection = self._connection(endpoint)
        try:
            answer: dict[str, Any] = json.loads(_post(connection, path, request).read())
        finally:
            connection.close()
        if "error" in answer:  # streams begin with status 200 and may fail after it
            msg = f"error {answer['error']}"
            raise HTTPException(msg)
        return answer

    def _connection(self, endpoint: str) -> HTTPSConnection:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_verify_locations(self._settings.ca)
        context.load_cert_chain(self._settings.certificate, self._settings.key)
        address = urlsplit(endpoint)
        return HTTPSConnection(address.hostname or "", address.port, timeout=self._timeout_s, context=context)


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


def _compared(compare: Compare) -> dict[str, str]:
    field = _FIELDS[compare.target]
    keys = _key_range(compare.key) if compare.prefix else {"key": _encoded(compare.key)}
    return {**keys, "target": compare.target, "result": "EQUAL", field: str(compare.value)}


def _key_range(prefix: str) -> dict[str, str]:
    """Return the range of all keys that begin with the prefix: up to the prefix with its last byte grown by one."""
    return {"key": _encoded(prefix), "range_end": _encoded(prefix[:-1] + chr(ord(prefix[-1]) + 1))}


def _encoded(text: str) -> str:
    return b64encode(text.encode()).decode()


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
