"""A request of a server to an AWS API: let through to the emulator, or refused as AWS would refuse it."""

import http.client
import json
from collections.abc import Callable
from datetime import datetime
from urllib.parse import urlsplit

from . import signature
from .access import may, read_call
from .credentials import Credentials, Issuer
from .estate import CloudEstate
from .messages import Answer, Incoming
from .names import Api, api_of

LARGEST_BODY_BYTES = 1 << 20
_TIMEOUT_S = 30
_PASSED_ON = ("authorization", "content-type", "x-amz-date", "x-amz-security-token", "x-amz-target")


Forward = Callable[[Incoming], Answer]


_UNSIGNED = ("MissingAuthenticationTokenException", "Missing Authentication Token")
_UNKNOWN = ("UnrecognizedClientException", "The security token included in the request is invalid.")
_EXPIRED = ("ExpiredTokenException", "The security token included in the request is expired")
_WRONG = ("InvalidSignatureException", "The request signature we calculated does not match the signature you provided.")
_AWAY = ("KMSInternalException", "The service does not answer.")


class RefusedError(Exception):
    """A request that is answered with an error, in the form of AWS's JSON protocol."""

    def __init__(self, kind: str, message: str = "", *, status: int = 400) -> None:
        """Take AWS's code for it, and what to say."""
        super().__init__(kind)
        body = json.dumps({"__type": kind, "message": message}).encode()
        self.answer = Answer(status, body, {"Content-Type": "application/x-amz-json-1.1"})


class Apis:
    """The endpoints that servers reach."""

    def __init__(self, cloud: CloudEstate, issuer: Issuer, forward: Forward) -> None:
        """Take what is known of the cloud, who issues credentials, and the way to the emulator."""
        self._cloud, self._issuer, self._forward = cloud, issuer, forward

    def answer(self, request: Incoming, now: datetime) -> Answer:
        """Return the answer to one request."""
        api = api_of(request.headers.get("host", ""), self._cloud.regions)
        if api is None:
            return Answer(421, b"The lab has no such AWS API for its servers.\n", {"Content-Type": "text/plain"})
        try:
            self._check(request, api, now)
        except RefusedError as refusal:
            return refusal.answer
        return self._forward(request)

    def _check(self, request: Incoming, api: Api, now: datetime) -> None:
        """Raise RefusedError for a request that its sender may not make."""
        if (request.method, request.path) != ("POST", "/"):
            raise RefusedError("UnknownOperationException", status=404)  # noqa: EM101 - the code, not a message
        guest = self._cloud.guest(self._caller(request, api, now).instance)
        if guest is None:
            raise RefusedError(*_UNKNOWN)
        try:
            body = json.loads(request.body)
        except ValueError:
            body = None
        target = request.headers.get("x-amz-target", "")
        call = read_call(self._cloud, api, guest.account, target, body) if isinstance(body, dict) else None
        if call is None:
            raise RefusedError("SerializationException")  # noqa: EM101 - as above
        if not may(self._cloud, guest, call):
            what = f"User: {guest.session_arn} is not authorized to perform: {call.action} on resource: {call.key_arn}"
            raise RefusedError("AccessDeniedException", what)  # noqa: EM101 - as above

    def _caller(self, request: Incoming, api: Api, now: datetime) -> Credentials:
        """Return whose signature a request bears."""
        signed = signature.parse(request.headers.get("authorization", ""))
        if signed is None:
            raise RefusedError(*_UNSIGNED)
        found = self._issuer.recognise(request.headers.get("x-amz-security-token", ""))
        if found is None or found.access_key_id != signed.access_key_id:
            raise RefusedError(*_UNKNOWN)
        if now >= found.expires:
            raise RefusedError(*_EXPIRED)
        if not signature.holds(signed, found.secret_access_key, api, request, now):
            raise RefusedError(*_WRONG)
        return found


def forwarder(url: Callable[[], str]) -> Forward:
    """Return the way to the emulator; `url` tells where it is at that moment."""

    def forward(request: Incoming) -> Answer:
        headers = {name: request.headers[name] for name in _PASSED_ON if name in request.headers}
        try:
            connection = http.client.HTTPConnection(urlsplit(url()).netloc, timeout=_TIMEOUT_S)
            try:
                connection.request("POST", "/", request.body, {**headers, "Host": request.headers["host"]})
                answer = connection.getresponse()
                body = answer.read()
            finally:
                connection.close()
        except (OSError, ValueError, KeyError, http.client.HTTPException):
            return RefusedError(*_AWAY, status=500).answer
        return Answer(answer.status, body, {"Content-Type": answer.getheader("Content-Type", "")})

    return forward
