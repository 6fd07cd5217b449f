"""What must be refused, each with the code that tells an honest sender why (RFC 3463, RFC 5321, RFC 9051)."""

import base64
import imaplib
import smtplib

import pytest

from onedallmail.platform.ports import Port
from tests.hosts.reach import reachable
from tests.lab import BOB, CLIENT, DOMAIN, MAIL, PEER, connect, on_all, password, public_ip
from tests.mail.clients import Imap, Smtp, authenticate, enhanced, imap, smtp, submit
from tests.mail.messages import EICAR, GTUBE, message, with_attachment
from tests.mail.sieve import Sieve, SieveError
from tests.tls import read_lines, sieve_done

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("lab"), pytest.mark.timeout(180)]

FIRST = MAIL[0]
TOO_LARGE = 60_000_000
GUESSER = PEER
"""Where wrong passwords come from: servers slow an address down that guesses; the other tests come from elsewhere."""


def reply(name: str, *commands: str, node: str = CLIENT, port: Port = Port.SMTP, user: str = "") -> str:
    """Return code and enhanced code of the last of some commands inside TLS; those before it must succeed."""
    with smtp(name, port, node, user) as client:
        for command in commands[:-1]:
            code, text = client.docmd(command)
            assert code < 400, f"{name} answered {command!r} with {code} {text!r}"
        return enhanced(*client.docmd(commands[-1]))


def outcome(name: str, sender: str, raw: bytes, to: str, node: str = CLIENT) -> str:
    """Return how a whole message is answered on port 25: its code when refused, `250` when taken."""
    with smtp(name, node=node) as client:
        try:
            client.sendmail(sender, [to], raw)
        except smtplib.SMTPRecipientsRefused as error:
            return enhanced(*error.recipients[to])
        except smtplib.SMTPResponseException as error:
            return enhanced(error.smtp_code, as_bytes(error.smtp_error))
        return "250"


def as_bytes(text: bytes | str) -> bytes:
    """Return the text of a reply as smtplib got it."""
    return text if isinstance(text, bytes) else text.encode()


@pytest.mark.control("iso27001:A.8.21", "iso27001:A.8.26")
@pytest.mark.parametrize("name", MAIL)
def test_an_unknown_user_is_refused_at_once(name: str) -> None:
    """Accepting first and bouncing later would send mail to people whose address was forged."""
    assert reply(name, f"MAIL FROM:<{BOB}>", f"RCPT TO:<no-such-user@{DOMAIN}>", node=PEER) == "550 5.1.1"


@pytest.mark.control("iso27001:A.8.6", "iso27001:A.8.21")
@pytest.mark.parametrize("name", MAIL)
def test_a_message_that_says_it_is_too_large_is_refused(name: str) -> None:
    """The sender learns the limit before a byte is wasted (RFC 1870)."""
    assert reply(name, f"MAIL FROM:<{BOB}> SIZE={TOO_LARGE}", node=PEER) == "552 5.3.4"


@pytest.mark.control("iso27001:A.8.6", "iso27001:A.8.26")
def test_a_message_that_is_too_large_is_refused_though_it_kept_silent(residents: dict[str, str]) -> None:
    """The limit holds for senders who do not announce the size, too."""
    with smtp(FIRST, node=PEER) as client:
        client.mail(BOB)
        client.rcpt(residents[FIRST])
        line = b"x" * 998 + b"\r\n"
        code, text = client.data(b"Subject: too large\r\n\r\n" + line * (42 * 1024 * 1024 // len(line)))
    assert enhanced(code, text) == "552 5.3.4"


@pytest.mark.smoke
@pytest.mark.control("iso27001:A.8.21", "iso27001:A.8.26", "soc2:CC6.6")
@pytest.mark.parametrize("name", MAIL)
def test_no_server_relays_for_strangers(name: str) -> None:
    """An open relay sends the world's spam under our name within hours."""
    assert reply(name, f"MAIL FROM:<{BOB}>", "RCPT TO:<somebody@elsewhere.example>", node=PEER) == "554 5.7.1"


@pytest.mark.control("iso27001:A.8.24", "iso27001:A.5.14", "soc2:CC6.7", "gdpr:Art.32")
@pytest.mark.parametrize("name", MAIL)
def test_mail_without_tls_is_refused(name: str) -> None:
    """Strict policy: a letter is not accepted on a postcard, from nobody."""
    with Smtp(name, Port.SMTP, PEER) as client:
        client.ehlo()
        assert enhanced(*client.docmd(f"MAIL FROM:<{BOB}>")) == "530 5.7.0"


@pytest.mark.control("iso27001:A.8.5", "iso27001:A.5.17", "soc2:CC6.1")
@pytest.mark.parametrize("port", [Port.SUBMISSIONS, Port.SUBMISSION], ids=lambda port: port.service)
def test_a_wrong_password_does_not_submit(port: Port, residents: dict[str, str]) -> None:
    """Answered with 535 on every server, also where the user does not live."""

    def attempt(name: str) -> str:
        with smtp(name, port, node=GUESSER) as client:
            return enhanced(*authenticate(client, residents[FIRST], "not the password"))

    assert on_all(MAIL, attempt) == dict.fromkeys(MAIL, "535 5.7.8")


@pytest.mark.control("iso27001:A.8.5", "iso27001:A.5.17", "soc2:CC6.1")
@pytest.mark.parametrize("user", ["known", "unknown"])
def test_a_wrong_password_does_not_read(user: str, residents: dict[str, str]) -> None:
    """The same answer whether the user exists or not: who guesses must not learn names."""
    address = residents[MAIL[1]] if user == "known" else f"no-such-user@{DOMAIN}"

    def attempt(name: str) -> str:
        with Imap(name, GUESSER) as client, pytest.raises(imaplib.IMAP4.error) as refused:
            client.login(address, "not the password")
        return str(refused.value)

    answers = on_all(MAIL, attempt)
    assert all("[AUTHENTICATIONFAILED]" in answer for answer in answers.values()), answers
    assert len(set(answers.values())) == 1, f"servers answer differently: {answers}"


@pytest.mark.control("iso27001:A.8.5", "soc2:CC6.1")
def test_a_wrong_password_manages_no_filters(residents: dict[str, str]) -> None:
    """A filter that copies all mail to a stranger is an intruder's first wish."""

    def attempt(name: str) -> str:
        with Sieve(name, GUESSER) as client, pytest.raises(SieveError) as refused:
            client.login(residents[FIRST], "not the password")
        return str(refused.value)

    assert all(answer.startswith("NO") for answer in on_all(MAIL, attempt).values())


@pytest.mark.control("iso27001:A.8.5", "iso27001:A.8.24", "soc2:CC6.1", "gdpr:Art.32")
@pytest.mark.parametrize("name", MAIL)
def test_passwords_are_not_taken_in_plain_text(name: str, residents: dict[str, str]) -> None:
    """Before TLS no server offers a log-in, and refuses one that comes all the same."""
    user = residents[FIRST]
    token = base64.b64encode(f"\0{user}\0{password(user)}".encode()).decode()
    for port in (Port.SUBMISSION, Port.SMTP):
        with Smtp(name, port, GUESSER) as client:
            client.ehlo()
            assert not client.has_extn("auth"), f"port {port} offers AUTH before TLS"
            code, text = client.docmd("AUTH", f"PLAIN {token}")
            assert code in (503, 530, 538), f"port {port} answered {code} {text!r}"
    with smtp(name) as client:
        assert not client.has_extn("auth"), "port 25 is no port for users, TLS or not"
    with connect(GUESSER, public_ip(name), Port.SIEVE.value) as plain:
        greeting = read_lines(plain, sieve_done)
        assert b'"SASL" ""' in greeting, f"ManageSieve offers a log-in before TLS: {greeting!r}"
        plain.sendall(f'AUTHENTICATE "PLAIN" "{token}"\r\n'.encode())
        assert read_lines(plain, sieve_done).startswith(b"NO")


@pytest.mark.control("iso27001:A.8.20", "iso27001:A.8.24", "soc2:CC6.6")
def test_ports_of_old_protocols_are_closed() -> None:
    """POP, and IMAP without TLS, are not served at all."""
    assert not reachable(CLIENT, {(public_ip(name), port) for name in MAIL for port in (109, 110, 143, 995, 2000)})


@pytest.mark.control("iso27001:A.8.26", "iso27001:A.8.21", "soc2:CC6.6")
@pytest.mark.parametrize("name", MAIL)
def test_an_address_of_ours_does_not_come_from_outside(name: str, residents: dict[str, str]) -> None:
    """The mail of a false director: the envelope says one of us, the connection says a stranger."""
    sender = residents[MAIL[1]]
    sample = message("Urgent transfer", "Please pay.\n", sender=sender)
    assert outcome(name, sender, sample.raw, residents[FIRST]).startswith(("550 5.7", "553 5.7", "554 5.7"))


@pytest.mark.control("iso27001:A.8.26", "iso27001:A.8.21", "soc2:CC6.6")
def test_a_header_of_ours_does_not_come_from_outside(residents: dict[str, str]) -> None:
    """The envelope is honest, the header that people read is not: our own DMARC policy says reject."""
    sample = message("Urgent transfer", "Please pay.\n", sender=residents[MAIL[1]])
    assert outcome(FIRST, BOB, sample.raw, residents[FIRST], node=PEER).startswith(("550 5.7", "554 5.7"))


@pytest.mark.control("iso27001:A.8.26", "iso27001:A.8.21", "soc2:CC6.6")
@pytest.mark.parametrize("name", MAIL)
def test_a_forged_partner_is_refused_by_the_partners_policy(name: str, residents: dict[str, str]) -> None:
    """The other organisation asks to reject what it did not send; the same message from its own server is taken."""
    sample = message("An invoice", "With new bank details.\n")
    assert outcome(name, BOB, sample.raw, residents[name]).startswith(("550 5.7", "554 5.7"))
    assert outcome(name, BOB, message("An invoice", "A real one.\n").raw, residents[name], node=PEER) == "250"


@pytest.mark.control("iso27001:A.5.16", "iso27001:A.8.26", "soc2:CC6.1")
@pytest.mark.parametrize("port", [Port.SUBMISSIONS, Port.SUBMISSION], ids=lambda port: port.service)
def test_a_user_does_not_send_as_somebody_else(port: Port, residents: dict[str, str]) -> None:
    """Neither in the envelope nor in the header that people read."""
    user, other = residents[FIRST], residents[MAIL[1]]
    assert reply(FIRST, f"MAIL FROM:<{other}>", f"RCPT TO:<{BOB}>", port=port, user=user) == "553 5.7.1"
    forged = message("As my colleague", "I am not me.\n", sender=other)
    with pytest.raises(smtplib.SMTPDataError) as refused:
        submit(FIRST, user, forged.raw, [residents[MAIL[2]]], port)
    assert refused.value.smtp_code in (550, 554)


@pytest.mark.control("iso27001:A.8.7", "iso27001:A.8.26", "soc2:CC6.8")
@pytest.mark.parametrize("name", MAIL)
def test_spam_and_malware_test_patterns_are_refused(name: str, residents: dict[str, str]) -> None:
    """GTUBE and EICAR stand for spam and malware: refused while the sender is still there to be told."""
    to = residents[MAIL[1]]
    assert outcome(name, BOB, message("Offer", f"{GTUBE}\n").raw, to, node=PEER).startswith(("550 5.7", "554 5.7"))
    infected = with_attachment(EICAR, "invoice.com")
    assert outcome(name, BOB, infected.raw, to, node=PEER).startswith(("550 5.7", "554 5.7"))


@pytest.mark.control("iso27001:A.8.7", "iso27001:A.8.12", "soc2:CC6.8")
def test_users_do_not_send_malware_either(residents: dict[str, str]) -> None:
    """A captured account must not infect colleagues or partners."""
    user = residents[FIRST]
    with pytest.raises(smtplib.SMTPDataError) as refused:
        submit(FIRST, user, with_attachment(EICAR, "a.com", sender=user).raw, [residents[MAIL[1]]])
    assert refused.value.smtp_code in (550, 554)


@pytest.mark.control("iso27001:A.8.3", "iso27001:A.5.15", "soc2:CC6.3", "gdpr:Art.32")
def test_a_user_sees_no_mailbox_of_others(residents: dict[str, str]) -> None:
    """Each user's list holds the user's own folders; another's can't be opened by any name."""
    with imap(FIRST, residents[FIRST]) as client:
        listed = b"\n".join(part for part in client.list()[1] if isinstance(part, bytes))
        assert b"INBOX" in listed
        for other in (user for user in residents.values() if user != residents[FIRST]):
            assert other.encode() not in listed
            for folder in (f"user/{other}", f"shared/{other}/INBOX", f"../{other.partition('@')[0]}/mail/INBOX"):
                assert client.select(f'"{folder}"')[0] == "NO"
