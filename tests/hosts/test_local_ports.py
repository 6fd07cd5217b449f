"""Ports on loopback: the kernel asks which account connects, Dovecot whether the mailbox lives here."""

import shlex

import pytest

from onedallmail.evidence.attachments import Evidence
from onedallmail.platform.ports import Port
from tests.hosts.local_ports import LocalPort, local_ports
from tests.lab import MAIL, Output, account_on, connect, on_all, password, run_on

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("lab")]

PORTS = local_ports()
ACCOUNTS = ("root", "postfix", "vmail", "dovenull", "onedallmail", "_rspamd", "nobody")
TRY = "import socket; socket.create_connection(('127.0.0.1', {port}), 3).close()"
CLOSED = "closed without an answer"
HOME_LISTENERS = ("imap-local", "sieve-local")


def as_account(node: str, account: str, code: str) -> Output:
    """Run Python as an account of a node."""
    return run_on(node, f"setpriv --reuid {account} --clear-groups python3 -c {shlex.quote(code)}")


@pytest.mark.control("iso27001:A.8.3", "iso27001:A.8.22", "iso27001:A.5.15", "soc2:CC6.1")
@pytest.mark.parametrize("local", PORTS.values(), ids=lambda local: local.service)
def test_a_local_port_is_open_to_its_own_accounts_only(local: LocalPort, evidence: Evidence) -> None:
    """A captured program on the server must not deliver, read or re-inject mail because it stands on loopback."""
    script = "\n".join(
        f"setpriv --reuid {account} --clear-groups python3 -c {shlex.quote(TRY.format(port=local.port))} 2>/dev/null"
        f" && echo {account}"
        for account in ACCOUNTS
    )
    found = on_all(MAIL, lambda name: set(run_on(name, f"{script}\ntrue").lines))
    evidence.describe(population=f"{len(ACCOUNTS)} accounts on {len(MAIL)} servers", sample=local.service)
    assert found == {name: {"root", *local.users} for name in MAIL}


@pytest.mark.control("iso27001:A.8.24", "iso27001:A.8.5")
def test_local_delivery_shows_the_certificate_of_this_server_and_no_older_tls() -> None:
    """Who takes the port in Dovecot's absence gets no mail; nothing on it is in clear."""
    port = PORTS["lmtp"].port
    command = f"openssl s_client -connect 127.0.0.1:{port} -CAfile /etc/onedallmail/tls/ca.crt -verify_return_error"
    for name in MAIL:
        seen = run_on(name, f"{command} -verify_hostname {name}.internal </dev/null 2>&1")
        assert "Verification: OK" in seen.stdout, seen.stdout
        assert "TLSv1.3" in seen.stdout
        assert run_on(name, f"{command} -tls1_2 </dev/null 2>&1").code != 0
        plain = f"import socket; s = socket.create_connection(('127.0.0.1', {port}), 3); s.settimeout(2); s.recv(9)"
        assert "TimeoutError" in as_account(name, "root", plain).stderr, "LMTP greets in clear"


def imap_login(node: str, user: str, secret: str) -> str:
    """Return the answer to a log-in at a node's own listener for its mailboxes, where it never proxies."""
    with connect(node, "127.0.0.1", PORTS["imap-local"].port, 20) as stream:
        lines = stream.makefile("rb")
        assert lines.readline().startswith(b"* OK")
        stream.sendall(f'1 LOGIN {user} "{secret}"\r\n'.encode())
        answer = next((line for line in lines if line.startswith((b"1 ", b"* BYE"))), CLOSED.encode())
    return answer.decode().strip()


@pytest.mark.control("iso27001:A.8.14", "iso27001:A.8.5", "soc2:CC6.1")
def test_a_home_listener_serves_what_lives_here_and_refuses_the_rest_for_now() -> None:
    """During a failover a right password must not be called wrong: a program would ask its user for another."""
    here, elsewhere = account_on(MAIL[0]), account_on(MAIL[2])
    assert imap_login(MAIL[0], here, password(here)).startswith("1 OK")
    # Dovecot 2.4.1 at times closes before its answer is out; the proxy in front says UNAVAILABLE for that, too.
    assert imap_login(MAIL[0], elsewhere, password(elsewhere)).startswith(("1 NO [UNAVAILABLE]", CLOSED))
    assert imap_login(MAIL[0], here, "not the password").startswith("1 NO [AUTHENTICATIONFAILED]")
    assert imap_login(MAIL[0], elsewhere, "not the password").startswith("1 NO [AUTHENTICATIONFAILED]")


@pytest.mark.control("iso27001:A.8.14", "iso27001:A.5.14")
def test_delivery_for_a_mailbox_that_lives_elsewhere_waits() -> None:
    """An old map of the queue must never make a second copy of a mailbox."""
    code = f"""
import smtplib, ssl
context = ssl.create_default_context(cafile="/etc/onedallmail/tls/ca.crt")
context.minimum_version = ssl.TLSVersion.TLSv1_3
class Lmtp(smtplib.LMTP):
    def _get_socket(self, host, port, timeout):
        return context.wrap_socket(super()._get_socket(host, port, timeout), server_hostname="{MAIL[0]}.internal")
with Lmtp("127.0.0.1", {PORTS["lmtp"].port}) as client:
    client.ehlo_or_helo_if_needed()
    client.mail("bob@partner.example")
    print(client.rcpt("{account_on(MAIL[2])}")[0], client.rcpt("{account_on(MAIL[0])}")[0])
"""
    done = as_account(MAIL[0], "root", code)
    assert done.stdout.split() == ["451", "250"], done.stdout + done.stderr


def test_what_listens_for_the_home_is_on_loopback() -> None:
    """The proxies' ports and the home's are apart: the fence closes the latter only."""
    assert {PORTS[name].port for name in HOME_LISTENERS}.isdisjoint({Port.IMAPS.value, Port.SIEVE.value})
