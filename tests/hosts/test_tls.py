"""Every TLS port of every server: version 1.3 with hybrid key exchange, nothing older, no stranger on inside ports."""

import re
import shlex
import ssl
from functools import cache
from pathlib import Path

import pytest

from onedallmail.evidence.attachments import Evidence
from onedallmail.platform.ports import Port
from tests.hosts.strangers import foreign_identity, gets_service
from tests.lab import PEER, on_all, run_on
from tests.tls import GROUPS, OLD_VERSIONS, PQ, Endpoint, client_context, endpoints, handshake, outdated_context

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("lab")]

ENDPOINTS = endpoints()
MUTUAL = tuple(e for e in ENDPOINTS if e.mutual)
TLS = "/etc/onedallmail/tls"
ALERTS = re.compile(r"ALERT_PROTOCOL_VERSION|alert protocol version", re.IGNORECASE)


def probe(end: Endpoint) -> str:
    """Return the shell command by which a node's own OpenSSL (3.5, which has ML-KEM) greets an endpoint."""
    words = [
        "timeout",
        "8",
        "openssl",
        "s_client",
        "-connect",
        f"{end.address}:{end.port.value}",
        "-servername",
        end.name,
    ]
    words += ["-verify_return_error", "-verify_hostname", end.name, "-ciphersuites", "TLS_AES_256_GCM_SHA384"]
    words += ["-CAfile", f"{TLS}/{'ca.crt' if end.mutual else 'public-ca.crt'}"]
    if end.mutual:
        words += ["-cert", f"{TLS}/server.crt", "-cert_chain", f"{TLS}/chain.crt", "-key", f"{TLS}/server.key"]
    if end.starttls:
        words += ["-starttls", end.starttls]
    return shlex.join(words)


@cache
def greetings() -> dict[Endpoint, str]:
    """Return what OpenSSL reported of each endpoint; one SSH call a source, eight probes at a time."""
    by_source: dict[str, list[Endpoint]] = {}
    for end in ENDPOINTS:
        by_source.setdefault(end.source if end.mutual else PEER, []).append(end)

    def ask(source: str) -> str:
        lines = [
            f"sleep 0.3 | {probe(end)} >$D/{end} 2>&1 &" + (" wait;" if n % 8 == 7 else "")
            for n, end in enumerate(by_source[source])
        ]
        show = "cd $D; for f in *; do printf '\\036%s\\n' $f; cat $f; done"
        script = ["D=$(mktemp -d); trap 'rm -r $D' EXIT", *lines, "wait", show]
        return run_on(source, "\n".join(script)).stdout

    texts = on_all(by_source, ask)
    parts = dict(part.partition("\n")[::2] for text in texts.values() for part in text.split("\x1e")[1:])
    return {end: parts.get(str(end), "no answer") for end in ENDPOINTS}


@pytest.mark.smoke
@pytest.mark.control("iso27001:A.8.24", "iso27001:A.8.21", "iso27001:A.5.14", "soc2:CC6.7", "gdpr:Art.32")
@pytest.mark.parametrize("end", ENDPOINTS, ids=str)
def test_tls_1_3_with_the_best_key_exchange_of_the_service(end: Endpoint, evidence: Evidence) -> None:
    """What is recorded today must stay closed to tomorrow's quantum computer; the certificate has the right name."""
    seen = greetings()[end]
    evidence.describe(population=f"{len(ENDPOINTS)} TLS ports", sample=str(end), query=probe(end))
    evidence.attach_text(f"{end}.txt", seen)
    assert re.search(r"New, TLSv1\.3, Cipher is TLS_AES_256_GCM_SHA384|Protocol *: TLSv1\.3", seen), seen[-1500:]
    assert "Verify return code: 0 (ok)" in seen or "Verification: OK" in seen, seen[-1500:]
    group = re.search(r"Negotiated TLS1\.3 group: (\S+)|(?:Peer|Server) Temp Key: (?:ECDH, )?(\w+)", seen)
    assert group, f"OpenSSL named no key exchange group: {seen[-1500:]}"
    assert (group[1] or group[2]) == GROUPS.get(end.port, PQ)


SILENT = {Port.COPIES, Port.SYNC}
"""Python's asyncio ends a failed handshake before its alert is sent; only our own servers call these ports."""


@pytest.mark.control("iso27001:A.8.24", "iso27001:A.8.21", "soc2:CC6.7", "gdpr:Art.32")
@pytest.mark.parametrize("end", ENDPOINTS, ids=str)
def test_older_versions_are_refused_with_the_right_alert(end: Endpoint) -> None:
    """A version that is offered will be used by whoever wants it to be; the alert tells honest clients why."""
    for version in OLD_VERSIONS:
        with pytest.raises(ssl.SSLError) as refused, handshake(end, outdated_context(version)):
            pytest.fail(f"{end} accepted {version.name}")
        told = ALERTS.search(str(refused.value))
        assert told or end.port in SILENT, f"{end}, {version.name}: {refused.value}"


@pytest.mark.control("iso27001:A.8.24", "iso27001:A.5.15", "iso27001:A.8.27", "soc2:CC6.1", "gdpr:Art.32")
@pytest.mark.parametrize("identity", ["no certificate", "a foreign certificate"])
@pytest.mark.parametrize("end", MUTUAL, ids=str)
def test_inside_ports_serve_no_stranger(end: Endpoint, identity: str, tmp_path: Path) -> None:
    """An address inside is no identity: without a certificate of the private authority nothing is served."""
    given = None if identity == "no certificate" else foreign_identity(tmp_path)
    try:
        with handshake(end, client_context(identity=given)) as stream:
            stream.settimeout(5)
            served = gets_service(stream, end.port)
    except (ssl.SSLError, ConnectionError):
        return
    except TimeoutError:
        served = "the connection stayed open without an alert"
    assert not served, f"{end} served a client with {identity}: {served}"


@pytest.mark.control("iso27001:A.8.24", "soc2:CC6.7")
def test_the_tables_cover_every_tls_flow() -> None:
    """A port that is added to the intent graph is tested here without anybody thinking of it."""
    assert {e.port for e in ENDPOINTS} >= {Port.SMTP, Port.IMAPS, Port.HANDOVER, Port.POSTGRES, Port.SYSLOG}
    assert len({(e.server, e.port) for e in ENDPOINTS}) == len(ENDPOINTS)
