"""A home server brings the standby's mailbox up to date, and nobody else can; what came once stays once."""

import json
import shlex
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.hosts.local_ports import local_ports
from tests.lab import MAIL, Output, account_on, eventually, password, run_on, server
from tests.mail.clients import copies, imap
from tests.mail.sieve import Sieve

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("lab"), pytest.mark.timeout(180)]

PORTS = local_ports()
TEMPORARY = 75
AS_VMAIL = "setpriv --reuid vmail --regid vmail --clear-groups python3 -c"
API = """
import base64, json, sys, urllib.request
port, command, arguments = json.load(sys.stdin)
key = base64.b64encode(open("/etc/onedallmail/doveadm-api.key").read().strip().encode()).decode()
headers = {"Content-Type": "application/json", "Authorization": "X-Dovecot-API " + key}
body = json.dumps([[command, arguments, "1"]]).encode()
request = urllib.request.Request(f"http://127.0.0.1:{port}/doveadm/v1", body, headers)
print(urllib.request.urlopen(request).read().decode())
"""


def ask(node: str, service: str, command: str, **arguments: object) -> Any:
    """Return Dovecot's answer over its HTTP API on a node, as the mailboxes' account asks; [kind, content]."""
    words = json.dumps([PORTS[service].port, command, arguments])
    done = run_on(node, f"printf %s {shlex.quote(words)} | {AS_VMAIL} {shlex.quote(API)}")
    assert done.code == 0, done.stderr
    return json.loads(done.stdout)[0][:2]


def placement(user: str, home: str) -> str:
    """Return the standby of a user's group by the home's map."""
    group = run_on(home, f"doveadm user -f placement_group {user}").stdout.strip()
    groups = json.loads(run_on(home, "cat /var/lib/onedallmail/placement/groups.json").stdout)["groups"]
    assert groups[group]["home"] == home
    return str(groups[group]["standby"])


def sync(node: str, user: str, to: str) -> Any:
    """Synchronise a mailbox of a node to another server, through the tunnel."""
    loopback = "127." + str(server(to).private_ip).partition(".")[2]
    return ask(node, "doveadm-api", "sync", user=user, fullSync=True, destination=[f"tcp:{loopback}:10143"])


@pytest.fixture
def user() -> Iterator[tuple[str, str]]:
    """Yield an account of the first server and a folder of the test's own; both servers lose both again."""
    name, folder = account_on(MAIL[0]), f"Standby-{uuid.uuid4().hex[:8]}"
    yield name, folder
    with Sieve(MAIL[1]) as client:
        client.login(name, password(name))
        client.drop("test-standby")
    with imap(MAIL[1], name) as mailbox:
        mailbox.delete(folder)
    sync(MAIL[0], name, placement(name, MAIL[0]))


@pytest.mark.control("iso27001:A.8.14", "iso27001:A.8.13", "soc2:CC9.1")
def test_the_standby_gets_mail_flags_folders_subscriptions_and_filters(user: tuple[str, str]) -> None:
    """What a user has at home must be there after a failover: not only the messages."""
    name, folder = user
    standby, ingest = placement(name, MAIL[0]), uuid.uuid4().hex
    with Sieve(MAIL[1]) as client:
        client.login(name, password(name))
        client.put("test-standby", "keep;")
    with imap(MAIL[1], name) as mailbox:
        mailbox.create(folder)
        mailbox.subscribe(folder)
        raw = f"Subject: standby\r\nX-Ingest-Id: {ingest}\r\n\r\nbody\r\n".encode()
        mailbox.append(folder, r"(\Flagged $Label1)", "", raw)
    assert sync(MAIL[0], name, standby) == ["doveadmResponse", []]
    fields = {"field": ["guid", "flags", "hdr.x-ingest-id"], "query": ["mailbox", folder]}
    kind, rows = ask(standby, "doveadm-upkeep", "fetch", user=name, **fields)
    assert kind == "doveadmResponse"
    assert [row["hdr.x-ingest-id"] for row in rows] == [ingest]
    assert {"\\Flagged", "$Label1"} <= set(rows[0]["flags"].split())
    assert rows[0]["guid"] == ask(MAIL[0], "doveadm-api", "fetch", user=name, **fields)[1][0]["guid"]
    subscribed = ask(standby, "doveadm-upkeep", "mailboxList", user=name, subscriptions=True)[1]
    assert {"mailbox": folder} in subscribed
    scripts = ask(standby, "doveadm-upkeep", "sieveList", user=name)[1]
    assert {"script": "test-standby", "active": "ACTIVE"} in scripts
    assert ask(standby, "doveadm-api", "fetch", user=name, **fields)[0] == "error", (
        "a standby serves as if it were home"
    )
    assert ask(standby, "doveadm-upkeep", "fetch", user=name, **fields)[1] == rows


@pytest.mark.control("iso27001:A.8.14", "iso27001:A.8.3")
def test_a_server_that_is_not_the_standby_takes_no_synchronisation() -> None:
    """A former home that comes back must not write into the new one's mailboxes."""
    name = account_on(MAIL[0])
    standby = placement(name, MAIL[0])
    other = next(n for n in MAIL[1:] if n != standby)
    assert sync(MAIL[0], name, other) == ["error", {"type": "exitCode", "exitCode": TEMPORARY}]
    backwards = f"doveadm sync -u {name} -f tcp:127.{str(server(MAIL[0]).private_ip).partition('.')[2]}:10143"
    assert run_on(standby, backwards).code == TEMPORARY


def reinject(node: str, user: str, raw: str) -> Output:
    """Put a message back into a server's queue, as the keeper of copies does."""
    code = f"import smtplib; smtplib.SMTP('127.0.0.1', {PORTS['reinject'].port}).sendmail('', ['{user}'], {raw!r})"
    return run_on(node, f"{AS_VMAIL} {shlex.quote(code)}")


@pytest.mark.control("iso27001:A.8.14", "iso27001:A.5.14")
def test_a_message_that_comes_again_is_kept_once() -> None:
    """After a failover copies and old queues bring what the mailbox has had already."""
    name, ingest = account_on(MAIL[0]), uuid.uuid4().hex
    for number in (1, 2):
        head = f"Message-ID: <{ingest}-{number}@partner.example>\r\nX-Ingest-Id: {ingest}\r\nSubject: again\r\n"
        sample = f"{head}\r\n{number}\r\n"
        assert reinject(MAIL[0], name, sample).code == 0
        eventually("an empty queue", lambda: "empty" in run_on(MAIL[0], "postqueue -p").stdout, 60)
    assert len(copies(MAIL[1], name, f"{ingest}-1@partner.example")) == 1
    assert copies(MAIL[1], name, f"{ingest}-2@partner.example") == []
