"""Users send over every server: to the other organisation, which can verify it, and to each other."""

import email
import re

import dkim
import dns.message
import dns.query
import dns.rdatatype
import pytest

from onedallmail.evidence.attachments import Evidence
from onedallmail.platform.ports import Port
from tests.lab import BOB, DOMAIN, MAIL, PEER, connect, eventually, public_ip, server
from tests.mail.clients import arrived, hops, imap, read, search, smtp, submit
from tests.mail.messages import message
from tests.mail.test_inbound import NEXT, check

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]

SUBMISSION = (Port.SUBMISSIONS, Port.SUBMISSION)
RESOLVER_OF_PEER = "127.0.0.1"


def txt(name: bytes, timeout: float = 5) -> bytes:
    """Return a TXT record as the other organisation's resolver gives it, validated by DNSSEC; nothing when absent."""
    question = dns.message.make_query(name.decode(), dns.rdatatype.TXT, want_dnssec=True)
    with connect(PEER, RESOLVER_OF_PEER, Port.DNS.value, timeout) as stream:
        answer = dns.query.tcp(question, RESOLVER_OF_PEER, timeout=timeout, sock=stream)
    assert answer.flags & dns.flags.AD, f"{name.decode()} is not validated"
    records = [rdata for rrset in answer.answer if rrset.rdtype == dns.rdatatype.TXT for rdata in rrset]
    return b"".join(records[0].strings) if records else b""


@pytest.mark.smoke
@pytest.mark.control("iso27001:A.5.14", "iso27001:A.8.24", "soc2:CC6.7")
def test_the_other_organisation_can_verify_our_mail(residents: dict[str, str], evidence: Evidence) -> None:
    """DKIM, SPF and DMARC pass in the eyes of the receiver, and its record of the key is signed to the root."""
    home = MAIL[0]
    sample = message("An offer", "To be verified.\n", sender=residents[home], to=BOB)
    submit(NEXT[home], residents[home], sample.raw, [BOB])
    verify(arrived("peer", BOB, sample.id), evidence)


def verify(raw: bytes, evidence: Evidence) -> None:
    """Fail unless the peer's own results pass, and the signature verifies here as well, over the peer's DNS."""
    results = " ".join(email.message_from_bytes(raw).get_all("Authentication-Results", []))
    evidence.attach_text("authentication-results.txt", results)
    for outcome in ("dkim=pass", "spf=pass", "dmarc=pass"):
        assert outcome in results, results
    assert dkim.verify(raw, dnsfunc=txt), "the signature does not verify"
    signed = re.search(r"d=([\w.]+);", email.message_from_bytes(raw)["DKIM-Signature"])
    assert signed
    assert signed[1] == DOMAIN


@pytest.mark.control("iso27001:A.5.14", "iso27001:A.8.14", "iso27001:A.8.24", "soc2:CC6.7")
@pytest.mark.parametrize("port", SUBMISSION, ids=lambda port: port.service)
@pytest.mark.parametrize("name", MAIL)
def test_every_server_sends_for_every_user(
    name: str, port: Port, residents: dict[str, str], evidence: Evidence
) -> None:
    """A user of any home submits at any server; the peer sees mail from the address that SPF and reverse DNS name."""
    for home, user in residents.items():
        sample = message(f"From {user} over {name}", "Hello Bob.\n", sender=user, to=BOB)
        submit(name, user, sample.raw, [BOB], port)
        raw = arrived("peer", BOB, sample.id)
        verify(raw, evidence)
        outer = next(hop for hop in hops(raw) if "by mail1.partner.example (Postfix)" in hop)
        assert server(name).fqdn in outer, f"{home}: {outer}"
        assert public_ip(name) in outer
        assert "TLSv1.3" in outer


@pytest.mark.control("iso27001:A.5.14", "iso27001:A.8.14")
@pytest.mark.parametrize("name", MAIL)
def test_colleagues_reach_each_other_over_every_server(name: str, residents: dict[str, str]) -> None:
    """One organisation: from a user of each home to the users of all others, whichever server takes the message."""
    sender = residents[NEXT[name]]
    sample = message("Meeting", "At ten.\n", sender=sender, to=", ".join(residents.values()))
    submit(name, sender, sample.raw, list(residents.values()))
    for home, user in residents.items():
        check(sample, arrived(NEXT[home], user, sample.id))


@pytest.mark.control("iso27001:A.8.11", "gdpr:Art.25", "soc2:CC6.7")
def test_mail_does_not_tell_where_its_author_sits(residents: dict[str, str]) -> None:
    """The address and program of a user's machine are personal data that the receiver has no need for."""
    user = residents[MAIL[0]]
    sample = message("Private", "Where am I?\n", sender=user, to=BOB)
    raw = b"User-Agent: Secret 1.0\r\nX-Originating-IP: [203.0.113.50]\r\n" + sample.raw
    submit(MAIL[0], user, raw, [BOB])
    head = arrived("peer", BOB, sample.id).partition(b"\r\n\r\n")[0]
    assert b"203.0.113.50" not in head
    assert b"Secret 1.0" not in head


@pytest.mark.control("iso27001:A.8.26")
def test_a_bounce_from_outside_reaches_the_author(residents: dict[str, str]) -> None:
    """The other side refuses: the author gets a report in the own mailbox, and it reads 5.1.1."""
    home = MAIL[2]
    sample = message("To nobody", "Is anybody there?\n", sender=residents[home], to="nobody@partner.example")
    submit(NEXT[home], residents[home], sample.raw, ["nobody@partner.example"])

    def report() -> bytes:
        with imap(NEXT[home], residents[home]) as client:
            client.select("INBOX")
            _, found = client.uid("SEARCH", "FROM", "MAILER-DAEMON", "TEXT", f'"{sample.id}"')
            uids = found[0].decode().split()
            return read(client, uids[-1]) if uids else b""

    text = eventually("a report to the author", report, 60)
    assert b"multipart/report" in text
    assert re.search(rb"Status: 5\.1\.1", text)


@pytest.mark.control("iso27001:A.8.21", "iso27001:A.8.26")
@pytest.mark.parametrize("name", MAIL)
def test_a_user_is_told_at_once_of_an_unknown_colleague(name: str, residents: dict[str, str]) -> None:
    """The mail program shows the typing error before the message has left."""
    with smtp(name, Port.SUBMISSIONS, user=residents[MAIL[0]]) as client:
        client.mail(residents[MAIL[0]])
        code, text = client.rcpt(f"no-such-colleague@{DOMAIN}")
    assert (code, text[:5]) == (550, b"5.1.1")


@pytest.mark.control("iso27001:A.5.14")
def test_a_copy_kept_by_the_mail_program_is_seen_everywhere(residents: dict[str, str]) -> None:
    """What is appended to Sent through one server is there when the user comes to another."""
    home = MAIL[3]
    sample = message("Sent", "A copy.\n", sender=residents[home], to=BOB)
    with imap(MAIL[0], residents[home]) as client:
        assert client.append("Sent", r"(\Seen)", "", sample.raw)[0] == "OK"
    with imap(MAIL[1], residents[home]) as client:
        uids = search(client, "Sent", sample.id)
        assert len(uids) == 1
        assert read(client, uids[0]).rstrip() == sample.raw.rstrip()
