"""What an administrator changes takes effect on every server: new users, aliases, disabled users, new passwords."""

import contextlib
import imaplib
import smtplib
import uuid
from collections.abc import Iterator

import pytest

from onedallmail.directory import aliases, remote
from onedallmail.directory.errors import DirectoryError
from onedallmail.evidence.attachments import Evidence
from onedallmail.platform.ports import Port
from tests.lab import BOB, CLIENT, DOMAIN, MAIL, PEER, STACK, eventually, on_all, password
from tests.mail.clients import Imap, arrived, authenticate, enhanced, imap, read, search, send_from_peer, smtp
from tests.mail.messages import KINDS, Sample, body_of, message
from tests.mail.sieve import Sieve, SieveError

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("lab"), pytest.mark.timeout(180)]

REPLICATED_WITHIN_S = 10


@pytest.fixture
def newcomer() -> Iterator[str]:
    """A user who exists for one test."""
    address = f"test-{uuid.uuid4().hex[:10]}@{DOMAIN}"
    remote.add(STACK, address, None)
    yield address
    with contextlib.suppress(DirectoryError):
        remote.remove(STACK, address)


@pytest.fixture
def alias(residents: dict[str, str]) -> Iterator[str]:
    """An alias that leads to two users in two regions, for one test."""
    address = f"team-{uuid.uuid4().hex[:10]}@{DOMAIN}"
    aliases.add_alias(STACK, address, [residents[MAIL[0]], residents[MAIL[-1]]])
    yield address
    with contextlib.suppress(DirectoryError):
        aliases.remove_alias(STACK, address)


def logs_in(name: str, address: str, secret: str, node: str = CLIENT) -> bool:
    """Return whether a server lets the user in with that password."""
    with Imap(name, node) as client:
        try:
            client.login(address, secret)
        except imaplib.IMAP4.error as error:
            if "AUTHENTICATIONFAILED" not in str(error):
                raise
            return False
        return True


@pytest.mark.control("iso27001:A.5.16", "iso27001:A.5.18", "soc2:CC6.2")
def test_a_new_user_works_on_every_server_at_once(newcomer: str) -> None:
    """Registered once, known everywhere: log-in, mailbox, mail from outside."""
    for name in MAIL:
        eventually(
            f"{newcomer} logs in at {name}",
            lambda n=name: logs_in(n, newcomer, password(newcomer)),  # type: ignore[misc] # bound now
            REPLICATED_WITHIN_S,
        )
    sample = message("Welcome", "Your first mail.\n")
    send_from_peer(sample.raw, [newcomer])
    arrived(MAIL[0], newcomer, sample.id)


@pytest.mark.control("iso27001:A.5.16", "iso27001:A.5.18", "iso27001:A.8.5", "soc2:CC6.2", "soc2:CC6.3")
def test_a_disabled_user_neither_reads_nor_sends_but_still_receives(newcomer: str) -> None:
    """Leaving the organisation ends access on all servers; mail for the address is kept for who takes over."""
    secret = password(newcomer)
    assert eventually("the user logs in", lambda: logs_in(MAIL[0], newcomer, secret), REPLICATED_WITHIN_S)
    remote.disable(STACK, newcomer)

    def refuses(name: str) -> bool:
        eventually(f"{name} refuses the user", lambda: not logs_in(name, newcomer, secret, PEER), REPLICATED_WITHIN_S)
        with smtp(name, Port.SUBMISSIONS, node=PEER) as client:
            assert enhanced(*authenticate(client, newcomer, secret)) == "535 5.7.8"
        with Sieve(name, PEER) as sieve, pytest.raises(SieveError):
            sieve.login(newcomer, secret)
        return True

    assert all(on_all(MAIL, refuses).values())
    sample = message("For the successor", "Still accepted.\n")
    send_from_peer(sample.raw, [newcomer])
    remote.enable(STACK, newcomer)
    eventually("the user logs in again", lambda: logs_in(MAIL[1], newcomer, secret), REPLICATED_WITHIN_S)
    arrived(MAIL[1], newcomer, sample.id)


@pytest.mark.control("iso27001:A.5.17", "iso27001:A.5.18", "soc2:CC6.1")
def test_a_new_password_replaces_the_old_one_everywhere(newcomer: str) -> None:
    """After a theft the old password must open nothing, on no server."""
    old = password(newcomer)
    new = remote.set_password(STACK, newcomer, None)
    assert new != old
    for name in MAIL:
        eventually(
            f"the new password opens {name}",
            lambda n=name: logs_in(n, newcomer, new),  # type: ignore[misc] # bound now
            REPLICATED_WITHIN_S,
        )
    opened = on_all(MAIL, lambda name: logs_in(name, newcomer, old, PEER))
    assert not any(opened.values()), f"the old password still opens {opened}"


@pytest.mark.control("iso27001:A.5.18", "iso27001:A.8.10", "soc2:CC6.2")
def test_a_removed_user_is_unknown_everywhere(newcomer: str) -> None:
    """What is removed must not go on receiving: 550 5.1.1 at each MX."""
    remote.remove(STACK, newcomer)

    def refused(name: str) -> bool:
        with smtp(name, node="peer") as client:
            client.mail(BOB)
            code, text = client.rcpt(newcomer)
            return (code, text[:5]) == (550, b"5.1.1")

    for name in MAIL:
        eventually(f"{name} refuses", lambda n=name: refused(n), REPLICATED_WITHIN_S)  # type: ignore[misc] # bound now


@pytest.mark.control("iso27001:A.5.16", "iso27001:A.8.26")
def test_a_name_that_is_not_ascii_is_a_name() -> None:
    """People are called Zoë: her address receives (RFC 6531), is handed over, and logs in."""
    address = f"zoë-{uuid.uuid4().hex[:8]}@{DOMAIN}"
    secret = remote.add(STACK, address, None)
    try:
        sample = KINDS["smtputf8"]()
        eventually("the message is taken", lambda: _taken(sample, address), REPLICATED_WITHIN_S)
        with Imap(MAIL[0]) as client:
            client.authenticate("PLAIN", lambda _: f"\0{address}\0{secret}".encode())
            uids = eventually("the message", lambda: search(client, "INBOX", sample.id), 30)
            assert len(uids) == 1
            assert body_of(read(client, uids[0])) == sample.body
    finally:
        remote.remove(STACK, address)


def _taken(sample: Sample, to: str) -> bool:
    """Offer a message at an MX until the new address has reached its copy of the directory."""
    with smtp(MAIL[-1], node=PEER) as client:
        try:
            return client.sendmail(BOB, [to], sample.raw, mail_options=["BODY=8BITMIME", "SMTPUTF8"]) == {}
        except smtplib.SMTPRecipientsRefused:
            return False


@pytest.mark.control("iso27001:A.5.14", "iso27001:A.5.18")
def test_an_alias_leads_to_two_users_in_two_regions(alias: str, residents: dict[str, str]) -> None:
    """One address, two people: each gets one copy, whichever server took the message."""
    sample: Sample = message("To the team", "For both of you.\n", to=alias)
    send_from_peer(sample.raw, [alias])
    for home in (MAIL[0], MAIL[-1]):
        arrived(MAIL[1], residents[home], sample.id)


@pytest.mark.control("iso27001:A.5.16", "soc2:CC6.1")
def test_a_member_may_send_as_the_alias(alias: str, residents: dict[str, str], evidence: Evidence) -> None:
    """The team's address can answer, from those who belong to it and from nobody else."""
    evidence.describe(sample=alias)
    member, stranger = residents[MAIL[0]], residents[MAIL[1]]
    sample = message("From the team", "We thank you.\n", sender=alias, to=BOB)
    with smtp(MAIL[2], Port.SUBMISSIONS, user=member) as client:
        assert client.sendmail(alias, [BOB], sample.raw) == {}
    arrived("peer", BOB, sample.id)
    with smtp(MAIL[2], Port.SUBMISSIONS, user=stranger) as client:
        client.mail(alias)
        code, text = client.rcpt(BOB)
    assert (code, text[:5]) == (553, b"5.7.1")


@pytest.mark.control("iso27001:A.8.14", "iso27001:A.8.5")
def test_every_demonstration_account_logs_in_on_every_server(residents: dict[str, str]) -> None:
    """Users type one name and do not know where their mailbox lives."""
    for user in residents.values():
        for name in MAIL:
            with imap(name, user) as client:
                assert client.select("INBOX")[0] == "OK"
