"""Mail from another organisation to users on every home, through every MX; what arrives is what was sent."""

import email
import email.policy
import re

import pytest

from onedallmail.evidence.attachments import Evidence
from tests.lab import BOB, DOMAIN, MAIL, PEER, eventually, run_on, server
from tests.mail.clients import arrived, copies, hops, imap, read, remove, send_from_peer, smtp
from tests.mail.messages import KINDS, SEED, Sample, body_of, corpus, digest, large, message, new_id

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("lab"), pytest.mark.timeout(300)]

NEXT = dict(zip(MAIL, (*MAIL[1:], MAIL[0]), strict=True))
"""For each server another one, so that nothing is read where it lives."""


def check(sample: Sample, raw: bytes) -> None:
    """Fail unless the body is byte for byte what was sent, and the header still carries what it carried."""
    assert digest(body_of(raw)) == digest(sample.body), f"{sample.kind}: the body changed on its way"
    sent = email.message_from_bytes(sample.raw, policy=email.policy.compat32)
    got = email.message_from_bytes(raw, policy=email.policy.compat32)
    for name in ("From", "To", "Subject", "Message-ID", "Content-Type", "List-Id", "List-Unsubscribe", "List-Post"):
        assert str(got[name]).split() == str(sent[name]).split(), f"{sample.kind}: {name} changed"


@pytest.mark.smoke
@pytest.mark.control("iso27001:A.5.14", "iso27001:A.8.14", "soc2:CC6.7")
def test_mail_from_outside_reaches_every_home_and_is_read_elsewhere(
    residents: dict[str, str], evidence: Evidence
) -> None:
    """The platform's promise in one message: any MX takes it, each home stores it, every server shows it."""
    sample = message("To one user of each home", "Written once, read four times.\n")
    evidence.describe(population=f"{len(residents)} homes", query="bob@partner.example through the peer's own server")
    send_from_peer(sample.raw, list(residents.values()))
    for home, user in residents.items():
        raw = arrived(NEXT[home], user, sample.id)
        evidence.attach_text(f"{home}-header.txt", raw.partition(b"\r\n\r\n")[0].decode(errors="replace"))
        check(sample, raw)


@pytest.mark.control("iso27001:A.5.14", "iso27001:A.8.26")
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_message_arrives_unchanged(kind: str, residents: dict[str, str]) -> None:
    """Signatures and attachments survive only when nobody on the way rewrites a byte."""
    sample = KINDS[kind]()
    send_from_peer(sample.raw, list(residents.values()), utf8=sample.utf8, envelope=sample.envelope)
    for home, user in residents.items():
        raw = arrived(NEXT[home], user, sample.id)
        check(sample, raw)
        assert f"Return-Path: <{sample.envelope}>".encode() in raw.partition(b"\r\n\r\n")[0]


@pytest.mark.control("iso27001:A.8.6", "iso27001:A.5.14")
def test_an_attachment_of_25_megabytes_arrives(residents: dict[str, str]) -> None:
    """The size that users are promised, on the longest way: stored in one region, read in the other."""
    sample, home = large(), MAIL[-1]
    send_from_peer(sample.raw, [residents[home]])
    try:
        check(sample, arrived(MAIL[0], residents[home], sample.id, within_s=120))
    finally:
        remove(home, residents[home], sample.id)


@pytest.mark.control("iso27001:A.8.26", "iso27001:A.8.33")
def test_real_messages_of_a_corpus_arrive_unchanged(residents: dict[str, str], evidence: Evidence) -> None:
    """Real mail breaks rules: odd charsets, missing parts, old date forms. None of it may be lost or altered."""
    samples, home = corpus(), MAIL[1]
    evidence.describe(population="bounces in flufl.bounce 4.0", sample=", ".join(s.kind for s in samples), seed=SEED)
    for sample in samples:
        send_from_peer(sample.raw, [residents[home]])
    for sample in samples:
        raw = arrived(NEXT[home], residents[home], sample.id)
        assert digest(body_of(raw)) == digest(sample.body), f"{sample.kind} changed on its way"


@pytest.mark.control("iso27001:A.8.14", "soc2:CC9.1")
@pytest.mark.parametrize("mx", MAIL)
def test_every_server_takes_mail_for_every_home(mx: str, residents: dict[str, str]) -> None:
    """Senders choose an MX by chance: each knows every user, and hands over to every home inside TLS."""
    sample = message(f"Through {mx}", "To one user of each home.\n")
    with smtp(mx, node=PEER) as client:
        assert client.sendmail(BOB, list(residents.values()), sample.raw) == {}
    for home, user in residents.items():
        raw = arrived(home, user, sample.id)
        received = hops(raw)
        outer = next(hop for hop in received if f"by {server(mx).fqdn} (Postfix)" in hop)
        assert "TLSv1.3" in outer, f"mail came to {mx} without TLS 1.3: {outer}"
        if home != mx:
            inner = next(hop for hop in received if f"by {server(home).fqdn} (Postfix)" in hop)
            assert "TLSv1.3" in inner, f"{mx} handed over to {home} without TLS 1.3: {inner}"
            assert server(mx).fqdn in inner


@pytest.mark.control("iso27001:A.8.21", "soc2:CC6.7")
def test_the_outcome_of_verification_stands_in_the_header(residents: dict[str, str]) -> None:
    """Users and filters see who vouched for the sender; a claim that the sender wrote there himself does not count."""
    sample = message("Verified", "Look at my header.\n")
    forged = b"Authentication-Results: " + server(MAIL[0]).fqdn.encode() + b"; dkim=pass header.d=bank.example\r\n"
    send_from_peer(forged + sample.raw, [residents[MAIL[0]]])
    raw = arrived(MAIL[1], residents[MAIL[0]], sample.id)
    results = email.message_from_bytes(raw).get_all("Authentication-Results", [])
    own = [text for text in results if text.split(";")[0].strip().endswith(DOMAIN)]
    assert len(own) == 1, f"results that bear our name: {own}"
    for outcome in ("dkim=pass", "spf=pass", "dmarc=pass"):
        assert outcome in own[0], own[0]
    assert "bank.example" not in own[0]


@pytest.mark.control("iso27001:A.8.21", "iso27001:A.8.26")
def test_mail_for_an_unknown_user_comes_back_to_its_sender() -> None:
    """A typing error must not vanish: refused at once, so that the sender's own server tells the sender."""
    identity = new_id()
    sample = message("To nobody", "Is anybody there?\n")
    raw = sample.raw.replace(sample.id.encode(), identity.encode())
    send_from_peer(raw, [f"no-such-user@{DOMAIN}"])

    def report() -> list[bytes]:
        return [found for found in bounces_to_bob() if identity.encode() in found]

    text = eventually("a bounce to the sender", report, 60)[0]
    assert b"multipart/report" in text
    assert re.search(rb"Status: 5\.1\.1", text)


def bounces_to_bob() -> list[bytes]:
    """Return the reports in the mailbox of the sender at the other organisation, newest first."""
    with imap("peer", BOB) as client:
        client.select("INBOX")
        _, found = client.uid("SEARCH", "FROM", "MAILER-DAEMON")
        return [read(client, uid) for uid in reversed(found[0].decode().split()[-10:])]


@pytest.mark.control("iso27001:A.8.26")
def test_an_address_with_detail_leads_to_its_mailbox(residents: dict[str, str]) -> None:
    """An address and its +detail form are one mailbox: a message to both is there once, as a repeat would be."""
    sample, user = message("Twice addressed", "Both are me.\n"), residents[MAIL[2]]
    local, _, domain = user.partition("@")
    detailed = f"{local}+shopping@{domain}"
    send_from_peer(sample.raw, [user, detailed])
    arrived(MAIL[0], user, sample.id)
    waiting = f"postqueue -j | grep -cF {detailed}"
    queues = (PEER, *MAIL)
    eventually("nothing waits", lambda: all(run_on(name, waiting).stdout.strip() == "0" for name in queues), 60)
    assert len(copies(MAIL[0], user, sample.id)) == 1
