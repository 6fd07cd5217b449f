"""Full disks of mailboxes and queue: temporary errors only, the server says so and steps aside, nothing is lost."""

import json
import random
import shlex
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from onedallmail.evidence.attachments import Evidence
from onedallmail.platform.ports import Port
from tests.faults.cache import Cache
from tests.faults.fault import Fault
from tests.faults.journal import Journal
from tests.faults.storage import MAIL_DISK, QUEUE_DISK, disk_full
from tests.hosts.local_ports import local_ports
from tests.hosts.reach import reachable
from tests.lab import MAIL, PEER, Output, eventually, public_ip, run_on
from tests.mail.clients import imap
from tests.mail.messages import message

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("whole"), pytest.mark.timeout(400)]

NOTICED_WITHIN_S, SETTLED_WITHIN_S = 30, 150
PUBLIC = (Port.SMTP, Port.IMAPS, Port.SUBMISSIONS, Port.SIEVE)
DEFERRED = "journalctl -t {tag} --since=-{seconds} --no-pager | grep -F 'to=<{user}>' | grep -F 'status={status}'"


def open_ports(name: str) -> set[int]:
    """Return which public ports of a server answer another organisation."""
    return {port for _, port in reachable(PEER, {(public_ip(name), port.value) for port in PUBLIC})}


def disk_check(name: str) -> tuple[str, str]:
    """Return level and text of a server's check of its disks."""
    found = json.loads(run_on(name, "cat /var/lib/onedallmail/health/status.json").stdout)["checks"]["disk"]
    return str(found["level"]), str(found["text"])


@contextmanager
def full(name: str, disk: str) -> Iterator[Fault]:
    """Let a disk be full while the block runs; then the server must come back by itself."""
    fault = disk_full(name, disk)
    assert open_ports(name) == {port.value for port in PUBLIC}
    try:
        fault.inject()
        yield fault
    finally:
        fault.end()
    eventually(f"{name} is back", lambda: open_ports(name) == {port.value for port in PUBLIC}, NOTICED_WITHIN_S)


def _steps_aside(name: str, disk: str) -> None:
    eventually("the server steps aside", lambda: not open_ports(name), NOTICED_WITHIN_S)
    level, text = disk_check(name)
    assert level == "critical"
    assert disk in text


def _log(node: str, tag: str, user: str, status: str) -> list[str]:
    return run_on(node, DEFERRED.format(tag=tag, seconds=120, user=user, status=status)).lines


@pytest.mark.control("iso27001:A.8.6", "iso27001:A.8.14", "iso27001:A.8.16", "soc2:CC9.1")
def test_mail_waits_while_the_disk_of_its_mailbox_is_full(
    chance: random.Random, residents: dict[str, str], evidence: Evidence
) -> None:
    """Nothing bounces, users read on, and a mail program's cache is right afterwards."""
    name, through = chance.sample(MAIL, 2)
    user, journal = residents[name], Journal()
    evidence.describe(population=", ".join(MAIL), sample=f"{MAIL_DISK} of {name} full, {through} is not")
    cache = Cache(user, "INBOX")
    assert cache.resync(through) == []
    with full(name, MAIL_DISK):
        _steps_aside(name, MAIL_DISK)
        for _ in range(3):
            assert journal.offer(through, user), f"{through} has room and did not take mail"
        deferred = eventually("the delivery is deferred", lambda: _log(name, "postfix/lmtp", user, "deferred"), 60)
        evidence.attach_text("deferred.txt", "\n".join(deferred))
        assert len(journal.missing(user, through)) == len(journal.acknowledged), "reading goes on; nothing has come"
        with imap(through, user) as client:
            raw = message("No room", "For a draft.\n", sender=user).raw
            kind, said = client.append("Drafts", "", "", raw)
            assert kind == "NO", said
        assert not _log(name, "postfix/lmtp", user, "bounced")
    journal.settle([user], through, SETTLED_WITHIN_S)
    assert cache.resync(through) == []
    assert all(cache.uids(identity) for _, identity in journal.acknowledged)


@pytest.mark.control("iso27001:A.8.6", "iso27001:A.8.14", "iso27001:A.8.16", "soc2:CC9.1")
def test_a_server_without_room_for_its_queue_takes_no_mail_and_loses_none(
    chance: random.Random, residents: dict[str, str], evidence: Evidence
) -> None:
    """Other servers take its users' mail and keep it until it can be handed over."""
    name, through = chance.sample(MAIL, 2)
    user, journal = residents[name], Journal()
    evidence.describe(population=", ".join(MAIL), sample=f"{QUEUE_DISK} of {name} full, {through} is not")
    with full(name, QUEUE_DISK):
        said = _handed_in_on(name, user)
        assert said.code != 0
        assert "452" in said.stderr, said
        _steps_aside(name, QUEUE_DISK)
        assert not journal.offer(name, user)
        assert journal.offer(through, user), f"{through} has room and did not take mail"
        deferred = eventually(
            "the hand-over is deferred", lambda: _log(through, "postfix/handover-out/smtp", user, "deferred"), 60
        )
        evidence.attach_text("deferred.txt", "\n".join([said.stderr, *deferred]))
        assert not _log(through, "postfix/handover-out/smtp", user, "bounced")
    journal.settle([user], through, SETTLED_WITHIN_S)
    eventually(f"{name} takes mail again", lambda: journal.offer(name, user), 30)
    journal.settle([user], through, SETTLED_WITHIN_S)


def _handed_in_on(name: str, user: str) -> Output:
    """Hand a message in on the server itself, where no gate is before its Postfix."""
    port = local_ports()["reinject"].port
    code = f"import smtplib; smtplib.SMTP('127.0.0.1', {port}).sendmail('', ['{user}'], 'Subject: no room\\r\\n\\r\\n')"
    return run_on(name, f"setpriv --reuid vmail --regid vmail --clear-groups python3 -c {shlex.quote(code)}")
