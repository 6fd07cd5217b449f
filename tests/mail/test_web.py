"""Autoconfiguration and the MTA-STS policy as mail programs and senders meet them: from outside, over TLS 1.3."""

import http.client
import imaplib
import json
import smtplib
import socket
import ssl
from dataclasses import dataclass

import pytest

from onedallmail.evidence.attachments import Evidence
from onedallmail.platform.ports import Port
from onedallmail.platform.records import WEB_NAMES
from onedallmail.platform.sender_policy import policy_id
from onedallmail.platform.web import AUTOCONFIG_PATHS, AUTODISCOVER_PATH, HEALTH_PATH, POLICY_PATH
from tests.lab import CLIENT, DOMAIN, MAIL, PEER, PLATFORM, connect, on_all, password, public_ip, run_on, trust
from tests.tls import OLD_VERSIONS, outdated_context
from tests.xml_text import parsed

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("lab"), pytest.mark.timeout(120)]

RESPONSE = "{http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a}"
QUESTION = f"""<?xml version="1.0" encoding="utf-8"?>
<Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006">
<Request><EMailAddress>nobody-in-particular@{DOMAIN}</EMailAddress>
<AcceptableResponseSchema>{RESPONSE.strip("{}")}</AcceptableResponseSchema></Request></Autodiscover>"""
AUTOCONFIG, AUTODISCOVER, POLICY = (f"{name}.{DOMAIN}" for name in ("autoconfig", "autodiscover", "mta-sts"))


@dataclass(frozen=True)
class Reply:
    """What a server answered."""

    status: int
    headers: dict[str, str]
    text: str


class Https(http.client.HTTPSConnection):
    """A web client that speaks from the client's network namespace to one server, and expects one name of it."""

    def __init__(self, server: str, name: str) -> None:
        super().__init__(name, Port.HTTPS.value, timeout=20, context=trust())
        self._server, self._name = server, name

    def connect(self) -> None:
        """Open the connection to the server's public address."""
        plain = connect(CLIENT, public_ip(self._server), Port.HTTPS.value)
        self.sock = trust().wrap_socket(plain, server_hostname=self._name)


def ask(server: str, name: str, path: str, *, method: str = "GET", body: str | None = None, host: str = "") -> Reply:
    """Return the answer to one request; `host` is asked for inside the connection instead of its name."""
    headers = {"Host": host or name, **({"Content-Type": "text/xml"} if body else {})}
    client = Https(server, name)
    try:
        client.request(method, path, body, headers)
        found = client.getresponse()
        return Reply(found.status, {k.lower(): v for k, v in found.getheaders()}, found.read().decode())
    finally:
        client.close()


def resolved(name: str, kind: str) -> list[str]:
    """Return what another organisation's resolver, which validates, answers."""
    return sorted(run_on(PEER, f"dig +short +time=5 +tries=2 {name} {kind}").lines)


def imap_log_in(host: str, port: int, user: str) -> None:
    """Log in as a mail program would that was told host and port; raises imaplib's error when it is refused."""

    class Told(imaplib.IMAP4_SSL):
        def _create_socket(self, timeout: float | None) -> ssl.SSLSocket:
            plain = connect(CLIENT, resolved(host, "A")[0], port, timeout or 20)
            return trust().wrap_socket(plain, server_hostname=host)

    with Told(host, port, ssl_context=trust(), timeout=60) as client:
        assert client.login(user, password(user))[0] == "OK"


def smtp_log_in(host: str, port: int, user: str, *, starttls: bool) -> None:
    """Log in for submission as told; raises smtplib's error when it is refused."""

    class Told(smtplib.SMTP):
        def _get_socket(self, told: str, number: int, timeout: float) -> socket.socket:
            plain = connect(CLIENT, resolved(told, "A")[0], number, timeout)
            return plain if starttls else trust().wrap_socket(plain, server_hostname=told)

    with Told(host, port, local_hostname="client.partner.example", timeout=60) as client:
        if starttls:
            assert client.starttls(context=trust())[0] == 220
        assert client.login(user, password(user))[0] == 235


@pytest.mark.smoke
@pytest.mark.control("iso27001:A.8.21", "iso27001:A.8.24", "soc2:CC6.7")
@pytest.mark.parametrize("path", AUTOCONFIG_PATHS)
def test_every_server_tells_mozillas_programs_the_same(path: str, evidence: Evidence) -> None:
    """A program that was told wrong settings sends the password to wherever they lead."""
    found = on_all(MAIL, lambda name: ask(name, AUTOCONFIG, path))
    evidence.attach_text("autoconfig.xml", found[MAIL[0]].text)
    assert {(r.status, r.headers["content-type"]) for r in found.values()} == {(200, "text/xml")}
    assert len({r.text for r in found.values()}) == 1


@pytest.mark.control("iso27001:A.8.21", "iso27001:A.8.5", "soc2:CC6.1")
def test_a_user_logs_in_with_what_autoconfiguration_tells(residents: dict[str, str], evidence: Evidence) -> None:
    """Hosts, ports and kind of TLS as told, names resolved as anybody does, certificate checked by the name told."""
    user = residents[MAIL[0]]
    root = parsed(ask(MAIL[1], AUTOCONFIG, AUTOCONFIG_PATHS[0]).text)
    servers = [*root.iter("incomingServer"), *root.iter("outgoingServer")]
    told = [{part.tag: part.text or "" for part in server} | {"type": server.get("type", "")} for server in servers]
    evidence.attach_text("settings.json", json.dumps(told, indent=1))
    assert [t["type"] for t in told] == ["imap", "smtp", "smtp"]
    for settings in told:
        name = settings["username"].replace("%EMAILADDRESS%", user)
        if settings["type"] == "imap":
            imap_log_in(settings["hostname"], int(settings["port"]), name)
        else:
            starttls = settings["socketType"] == "STARTTLS"
            smtp_log_in(settings["hostname"], int(settings["port"]), name, starttls=starttls)


@pytest.mark.control("iso27001:A.8.21", "iso27001:A.8.5", "soc2:CC6.1")
@pytest.mark.parametrize("path", [AUTODISCOVER_PATH, "/Autodiscover/Autodiscover.xml"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_outlook_is_told_settings_that_work(method: str, path: str, residents: dict[str, str]) -> None:
    """Outlook posts its question with the address; the answer holds for any address of the domain."""
    reply = ask(MAIL[2], AUTODISCOVER, path, method=method, body=QUESTION if method == "POST" else None)
    assert (reply.status, reply.headers["content-type"]) == (200, "text/xml")
    account = parsed(reply.text).find(f"{RESPONSE}Response/{RESPONSE}Account")
    assert account is not None
    assert account.findtext(f"{RESPONSE}Action") == "settings"
    found = {p.findtext(f"{RESPONSE}Type"): p for p in account.findall(f"{RESPONSE}Protocol")}
    assert set(found) == {"IMAP", "SMTP"}
    assert all(p.findtext(f"{RESPONSE}SSL") == "on" for p in found.values())
    user = residents[MAIL[3]]
    ends = {k: (p.findtext(f"{RESPONSE}Server", ""), int(p.findtext(f"{RESPONSE}Port", "0"))) for k, p in found.items()}
    imap_log_in(*ends["IMAP"], user)
    smtp_log_in(*ends["SMTP"], user, starttls=False)


@pytest.mark.smoke
@pytest.mark.control("iso27001:A.5.14", "iso27001:A.8.24", "soc2:CC6.7", "gdpr:Art.32")
def test_senders_find_a_policy_that_names_the_exchangers_and_has_the_announced_id(evidence: Evidence) -> None:
    """A policy that misses an exchanger, or an id that stays when it changes, makes careful senders keep their mail."""
    found = on_all(MAIL, lambda name: ask(name, POLICY, POLICY_PATH))
    evidence.attach_text("mta-sts.txt", found[MAIL[0]].text)
    assert {(r.status, r.headers["content-type"]) for r in found.values()} == {(200, "text/plain")}
    (text,) = {r.text for r in found.values()}
    lines = [line.partition(": ")[::2] for line in text.splitlines()]
    named = sorted(value for key, value in lines if key == "mx")
    assert named == sorted(line.split()[1].rstrip(".") for line in resolved(DOMAIN, "MX"))
    assert resolved(f"_mta-sts.{DOMAIN}", "TXT") == [f'"v=STSv1; id={policy_id(text)}"']
    assert dict(lines)["version"] == "STSv1"
    assert dict(lines)["mode"] == PLATFORM.config.mta_sts_mode


@pytest.mark.control("iso27001:A.8.21", "iso27001:A.8.14")
@pytest.mark.parametrize("name", WEB_NAMES)
def test_web_names_lead_to_every_mail_server(name: str) -> None:
    """A name that leads to one server only dies with it."""
    assert resolved(f"{name}.{DOMAIN}", "A") == sorted(public_ip(server) for server in MAIL)


@pytest.mark.control("iso27001:A.8.24", "iso27001:A.8.21", "soc2:CC6.7")
@pytest.mark.parametrize("server", MAIL)
def test_the_web_side_speaks_no_older_tls(server: str) -> None:
    """The policy is worth what protects its way: a version that is offered will be used by whoever wants it to be."""
    for version in OLD_VERSIONS:
        with connect(CLIENT, public_ip(server), Port.HTTPS.value) as plain, pytest.raises(ssl.SSLError):
            outdated_context(version).wrap_socket(plain, server_hostname=POLICY)


@pytest.mark.control("iso27001:A.8.20", "iso27001:A.8.26", "soc2:CC6.6")
@pytest.mark.parametrize("server", MAIL)
def test_nothing_but_the_declared_is_answered(server: str) -> None:
    """A web server on a mail server is a way in: no other name, no other path, no other method, no large body."""
    refused = {
        "another name": (ask(server, POLICY, POLICY_PATH, host="www.partner.example"), 421),
        "another path": (ask(server, POLICY, "/"), 404),
        "a folder": (ask(server, AUTOCONFIG, "/mail/"), 404),
        "a way upwards": (ask(server, POLICY, "/.well-known/../../../etc/passwd"), 400),
        "a file's inner name": (ask(server, AUTODISCOVER, "/answer"), 404),
        "a method that writes": (ask(server, POLICY, POLICY_PATH, method="PUT", body="x"), 405),
        "a post to a file": (ask(server, AUTOCONFIG, AUTOCONFIG_PATHS[0], method="POST", body="x"), 405),
        "a method that mirrors": (ask(server, AUTODISCOVER, AUTODISCOVER_PATH, method="TRACE"), 405),
        "a large body": (ask(server, AUTODISCOVER, AUTODISCOVER_PATH, method="POST", body="x" * 20_000), 413),
    }
    assert {what: reply.status for what, (reply, _) in refused.items()} == {w: s for w, (_, s) in refused.items()}


@pytest.mark.control("iso27001:A.8.26", "iso27001:A.8.9")
def test_answers_tell_no_version_and_bind_browsers_to_https() -> None:
    """What a server says of itself helps who looks for a flaw in it."""
    reply = ask(MAIL[0], POLICY, POLICY_PATH)
    assert not any(character.isdigit() for character in reply.headers.get("server", ""))
    assert int(reply.headers["strict-transport-security"].partition("max-age=")[2].partition(";")[0]) >= 31536000
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in reply.headers["content-security-policy"]


@pytest.mark.control("iso27001:A.8.16")
def test_the_health_path_answers_whoever_asks_by_address() -> None:
    """Balancers ask by the server's address and name nobody."""
    found = on_all(MAIL, lambda name: ask(name, POLICY, HEALTH_PATH, host=public_ip(name)))
    assert {(r.status, r.text) for r in found.values()} == {(200, "ok\n")}
