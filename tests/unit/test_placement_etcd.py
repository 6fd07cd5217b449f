"""The client of etcd's JSON gateway over real TLS: what it sends, whom it trusts, and how it gets past a dead voter."""

import json
import socket
import ssl
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from onedallmail.placement.clock import moment
from onedallmail.placement.etcd import EtcdClient
from onedallmail.placement.settings import Etcd
from onedallmail.placement.store import Compare, EtcdError, Target, Transaction

DEAD = "https://127.0.0.1:9"
PREFIX = "/p/"


def encoded(text: str) -> str:
    return b64encode(text.encode()).decode()


RANGE = {"key": encoded("/p/"), "range_end": encoded("/p0")}


class Gateway(BaseHTTPRequestHandler):
    """Answers with what the test put into the server, and keeps what it was asked."""

    server: "GatewayServer"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, asked))
        self.send_response(self.server.status)
        self.end_headers()
        for delay_s, answer in self.server.answers:
            time.sleep(delay_s)
            self.wfile.write(json.dumps(answer).encode() + b"\n")
            self.wfile.flush()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class GatewayServer(ThreadingHTTPServer):
    """One voter's gateway."""

    status = 200

    def __init__(self, context: ssl.SSLContext, *answers: dict[str, Any], pause_s: float = 0) -> None:
        super().__init__(("127.0.0.1", 0), Gateway)
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.answers = [(pause_s if place else 0.0, answer) for place, answer in enumerate(answers)]
        self.asked: list[tuple[str, Any]] = []

    def handle_error(self, *_: object) -> None:
        """A refused handshake is what some tests want."""

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.server_port}"


@contextmanager
def serving(server: GatewayServer) -> Iterator[GatewayServer]:
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def make_identity(folder: Path, address: str = "127.0.0.1") -> Path:
    """Write ca.crt and a server.crt with its key into a new folder."""
    folder.mkdir()
    authority, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    names = {n: x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, n)]) for n in ("ca", "server")}

    def builder(name: str, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        own, issuer = x509.SubjectKeyIdentifier.from_public_key(public), authority.public_key()
        certificate = x509.CertificateBuilder(names["ca"], names[name], public, x509.random_serial_number())
        certificate = certificate.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(hours=1))
        certificate = certificate.add_extension(own, critical=False)
        return certificate.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer), critical=False)

    usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
    ca = builder("ca", authority.public_key()).add_extension(x509.BasicConstraints(True, None), critical=True)
    alternative = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address(address))])
    leaf = builder("server", key.public_key()).add_extension(alternative, critical=False)
    pem = serialization.Encoding.PEM
    (folder / "ca.crt").write_bytes(
        ca.add_extension(usage, critical=True).sign(authority, hashes.SHA256()).public_bytes(pem)
    )
    (folder / "server.crt").write_bytes(leaf.sign(authority, hashes.SHA256()).public_bytes(pem))
    (folder / "server.key").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_identity(tmp_path_factory.mktemp("tls") / "own")


def server_context(identity: Path) -> ssl.SSLContext:
    """Return what etcd does: a certificate of the private authority is required."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity / "server.crt", identity / "server.key")
    context.load_verify_locations(identity / "ca.crt")
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def client(identity: Path, *endpoints: str) -> EtcdClient:
    return EtcdClient(settings_of(identity, *endpoints))


def settings_of(identity: Path, *endpoints: str) -> Etcd:
    certificate, key, ca = (str(identity / name) for name in ("server.crt", "server.key", "ca.crt"))
    return Etcd(tuple(endpoints), certificate, key, ca, request_timeout_s=2)


def kvs(**values: str) -> list[dict[str, str]]:
    return [
        {"key": encoded(f"/p/{key}"), "value": encoded(value), "mod_revision": str(n)}
        for n, (key, value) in enumerate(values.items(), 5)
    ]


def test_a_prefix_is_read_at_one_revision(identity: Path) -> None:
    answer = {"header": {"revision": "12"}, "kvs": kvs(a="x", b="")}
    with serving(GatewayServer(server_context(identity), answer)) as voter:
        found = client(identity, voter.url).read(PREFIX)
    assert (found.values, found.revision, found.changed) == ({"/p/a": b"x", "/p/b": b""}, 12, 6)
    assert voter.asked == [("/v3/kv/range", RANGE)]


def test_an_empty_prefix_is_read(identity: Path) -> None:
    with serving(GatewayServer(server_context(identity), {"header": {"revision": "12"}})) as voter:
        found = client(identity, voter.url).read(PREFIX)
    assert (found.values, found.revision, found.changed) == ({}, 12, 0)


def test_a_condition_may_be_of_a_whole_prefix_and_keys_are_deleted(identity: Path) -> None:
    with serving(GatewayServer(server_context(identity), {"succeeded": True})) as voter:
        absent = Compare(PREFIX, Target.CREATED, 0, prefix=True)
        assert client(identity, voter.url).commit(Transaction((absent,), {"/p/0": "x"}, ("/q",)))
    [(_, asked)] = voter.asked
    assert asked["compare"] == [{**RANGE, "target": "CREATE", "result": "EQUAL", "create_revision": "0"}]
    assert asked["success"] == [
        {"request_put": {"key": encoded("/p/0"), "value": encoded("x")}},
        {"request_delete_range": {"key": encoded("/q")}},
    ]
    assert "failure" not in asked


@pytest.mark.parametrize(("answer", "held"), [({"succeeded": True}, True), ({"header": {}}, False)])
def test_a_transaction_carries_every_condition(identity: Path, answer: dict[str, Any], held: bool) -> None:
    compares = (Compare("/p/0", Target.CHANGED, 12), Compare("/q", Target.CREATED, 0), Compare("/r", Target.LEASE, 7))
    with serving(GatewayServer(server_context(identity), answer)) as voter:
        assert client(identity, voter.url).commit(Transaction(compares, {"/p/0": "x"})) is held
    [(path, asked)] = voter.asked
    assert path == "/v3/kv/txn"
    assert asked["compare"] == [
        {"key": encoded("/p/0"), "target": "MOD", "result": "EQUAL", "mod_revision": "12"},
        {"key": encoded("/q"), "target": "CREATE", "result": "EQUAL", "create_revision": "0"},
        {"key": encoded("/r"), "target": "LEASE", "result": "EQUAL", "lease": "7"},
    ]
    assert asked["success"] == [{"request_put": {"key": encoded("/p/0"), "value": encoded("x")}}]


def test_a_lease_is_granted_and_bound_to_a_key(identity: Path) -> None:
    with serving(GatewayServer(server_context(identity), {"header": {}, "ID": "77", "TTL": "8"})) as voter:
        keeper = client(identity, voter.url)
        granted = keeper.grant(8)
        keeper.put("/p/a", "x", granted.lease)
        keeper.revoke(granted.lease)
    assert (granted.lease, granted.ttl_s) == (77, 8.0)
    assert voter.asked == [
        ("/v3/lease/grant", {"TTL": "8"}),
        ("/v3/kv/put", {"key": encoded("/p/a"), "value": encoded("x"), "lease": "77"}),
        ("/v3/lease/revoke", {"ID": "77"}),
    ]


@pytest.mark.parametrize(("ttl", "left_s"), [({"TTL": "8"}, 8.0), ({}, 0.0)])
def test_a_renewal_says_what_is_left_and_since_when(identity: Path, ttl: dict[str, str], left_s: float) -> None:
    """The fence may stay open from before the request, not from the answer."""
    answers = ({"result": {"ID": "77", **ttl}},)
    with serving(GatewayServer(server_context(identity), *answers)) as voter:
        before = moment()
        renewal = client(identity, voter.url).keepalive(77)
    assert renewal.ttl_s == left_s
    assert before <= renewal.asked_at <= moment()


def test_the_time_of_a_dead_voter_does_not_count_as_renewed(identity: Path) -> None:
    with serving(GatewayServer(server_context(identity), {"result": {"TTL": "8"}})) as voter:
        listener = socket.create_server(("127.0.0.1", 0))  # takes connections and never answers
        silent = f"https://127.0.0.1:{listener.getsockname()[1]}"
        begun = moment()
        keeper = EtcdClient(settings_of(identity, silent, voter.url), timeout_s=0.3)
        renewal = keeper.keepalive(77)
        listener.close()
    assert renewal.asked_at - begun >= 0.3


@pytest.mark.parametrize("answer", [{"error": {"message": "etcdserver: no leader"}}, {}])
def test_an_answer_that_does_not_tell_is_no_lost_lease(identity: Path, answer: dict[str, Any]) -> None:
    with (
        serving(GatewayServer(server_context(identity), answer)) as voter,
        pytest.raises(EtcdError, match=r"no leader|no result"),
    ):
        client(identity, voter.url).keepalive(77)


def test_a_dead_voter_is_passed_over_and_tried_last_from_then_on(identity: Path) -> None:
    with serving(GatewayServer(server_context(identity), {"header": {"revision": "1"}})) as voter:
        reader = client(identity, DEAD, voter.url)
        assert reader.read(PREFIX).revision == 1
        assert reader._endpoints == [voter.url, DEAD]


def test_a_voter_without_majority_is_an_error_with_its_words(identity: Path) -> None:
    with serving(GatewayServer(server_context(identity), {"error": "etcdserver: no leader"})) as voter:
        voter.status = 503
        with pytest.raises(EtcdError, match=r"127\.0\.0\.1:9: .*refused.*status 503: .*no leader"):
            client(identity, DEAD, voter.url).read(PREFIX)


CREATED: dict[str, Any] = {"result": {"created": True}}
EVENT: dict[str, Any] = {"result": {"events": [{"kv": {"key": "L3AvMA=="}}]}}


def test_a_change_ends_the_wait_and_none_before_the_read_is_missed(identity: Path) -> None:
    with serving(GatewayServer(server_context(identity), CREATED, EVENT, pause_s=0.1)) as voter:
        assert client(identity, voter.url).wait(PREFIX, 12, timeout_s=5)
    assert voter.asked == [("/v3/watch", {"create_request": {**RANGE, "start_revision": "13"}})]


def test_a_wait_without_change_ends_in_time(identity: Path) -> None:
    with serving(GatewayServer(server_context(identity), CREATED, EVENT, pause_s=1.5)) as voter:
        began = time.monotonic()
        assert not client(identity, voter.url).wait(PREFIX, 12, timeout_s=0.3)
        assert time.monotonic() - began < 1.2


@pytest.mark.parametrize(
    ("answers", "reason"),
    [((CREATED,), "without a reason"), (({"result": {"canceled": True, "cancel_reason": "compacted"}},), "compacted")],
)
def test_a_watch_that_the_voter_ends_is_an_error(
    identity: Path, answers: tuple[dict[str, Any], ...], reason: str
) -> None:
    with serving(GatewayServer(server_context(identity), *answers)) as voter, pytest.raises(EtcdError, match=reason):
        client(identity, voter.url).wait(PREFIX, 12, timeout_s=2)


@pytest.mark.control("iso27001:A.8.20", "iso27001:A.8.24")
def test_tls_1_2_is_refused(identity: Path) -> None:
    context = server_context(identity)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with serving(GatewayServer(context, {"header": {"revision": "1"}})) as voter:
        with pytest.raises(EtcdError, match=r"(?i)protocol"):
            client(identity, voter.url).read(PREFIX)
        assert voter.asked == []


@pytest.mark.control("iso27001:A.8.20", "iso27001:A.8.24")
@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2"])
def test_a_voter_of_another_authority_or_another_address_is_refused(
    identity: Path, tmp_path: Path, address: str
) -> None:
    other = make_identity(tmp_path / "other", address)
    trusted = other if address == "127.0.0.2" else identity
    with serving(GatewayServer(server_context(other), {"header": {"revision": "1"}})) as voter:
        with pytest.raises(EtcdError, match="certificate verify failed"):
            client(trusted, voter.url).read(PREFIX)
        assert voter.asked == []
