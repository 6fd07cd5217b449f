"""The certificates that servers show: who signed them, for which names, for how long, with which key."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from onedallmail.evidence.attachments import Evidence
from onedallmail.platform.records import served_names
from tests.hosts.facts import Facts
from tests.lab import DOMAIN, MAIL, PLATFORM, server

pytestmark = pytest.mark.lab

LONGEST_LIFE = timedelta(days=100)
SHORTEST_REST = timedelta(days=14)
STRONG_KEY = re.compile(r"(?:Public-Key|ED25519)[^\d]*\((\d+) bit\)")


def certificates(facts: Facts) -> dict[str, str]:
    """Return OpenSSL's description of each certificate by its file name."""
    parts = facts["certificates"].stdout.split("file=/etc/onedallmail/tls/")[1:]
    return {part.partition("\n")[0]: part for part in parts}


def names(text: str) -> set[str]:
    """Return the subject alternative names."""
    found = re.search(r"Subject Alternative Name:[^\n]*\n\s*([^\n]+)", text)
    return {name.strip() for name in found[1].split(",")} if found else set()


@pytest.mark.control("iso27001:A.8.24", "iso27001:A.5.17", "soc2:CC6.1", "soc2:CC6.7")
def test_each_server_has_an_identity_of_the_private_authority(facts: Facts, evidence: Evidence) -> None:
    """Servers know each other by this certificate: its names are this server's, and it can be client and server."""
    text = certificates(facts)["server.crt"]
    evidence.attach_text(f"{facts.server}-certificates.txt", facts["certificates"].stdout)
    here = server(facts.server)
    assert "private CA" in next(line for line in text.splitlines() if line.startswith("issuer="))
    assert f"CN={here.fqdn}" in next(line for line in text.splitlines() if line.startswith("subject="))
    assert names(text) == {
        f"DNS:{here.fqdn}",
        f"DNS:{here.internal_name}",
        "DNS:localhost",
        f"IP Address:{here.private_ip}",
        "IP Address:127.0.0.1",
    }
    assert "TLS Web Server Authentication" in text
    assert "TLS Web Client Authentication" in text
    assert "CA:TRUE" not in text


@pytest.mark.control("iso27001:A.8.24", "iso27001:A.8.21", "soc2:CC6.7")
def test_mail_programs_meet_a_certificate_for_the_names_they_use(facts: Facts) -> None:
    """The names of MX, of this server and of what users type; the inside names are nobody's business."""
    found = certificates(facts)
    if facts.server not in MAIL:
        assert "public.crt" not in found, "a server without public services has a public certificate"
        return
    text = found["public.crt"]
    wanted = {f"DNS:{name}.{DOMAIN}" for name in served_names(PLATFORM)} | {f"DNS:{server(facts.server).fqdn}"}
    assert names(text) == wanted
    assert "private CA" not in next(line for line in text.splitlines() if line.startswith("issuer="))


@pytest.mark.control("iso27001:A.8.24", "soc2:CC6.1")
def test_certificates_are_short_lived_and_not_about_to_end(facts: Facts) -> None:
    """A short life bounds what a stolen key is worth, and makes renewal a habit instead of an emergency."""
    for file, text in certificates(facts).items():
        begin, end = (
            datetime.strptime(found, "%b %d %H:%M:%S %Y %Z").replace(tzinfo=UTC)
            for found in re.findall(r"not(?:Before|After)=(.*)", text)
        )
        assert end - begin <= LONGEST_LIFE, f"{file} lives for {end - begin}"
        assert end - datetime.now(UTC) >= SHORTEST_REST, f"{file} ends at {end}"
        bits = STRONG_KEY.search(text)
        assert bits, f"{file}: the key's size is not told"
        assert int(bits[1]) >= (3072 if int(bits[1]) > 1000 else 256), f"{file}: a key of {bits[1]} bit"
