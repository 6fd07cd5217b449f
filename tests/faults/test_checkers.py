"""The checks of this folder are checked: with one protection turned off on the servers, each must report what follows.

Beside the message that must be reported goes one for which the protection still was on, and that one must be right.
"""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from onedallmail.directory.remote import mailboxes
from onedallmail.evidence.attachments import Evidence
from onedallmail.lab.lab import Lab
from tests.faults.conftest import restore
from tests.faults.journal import Journal
from tests.faults.placement import SERVICE, groups, served
from tests.faults.writers import Turns
from tests.lab import MAIL, STACK, eventually, on_all, run_on
from tests.mail.clients import remove

pytestmark = [pytest.mark.lab, pytest.mark.timeout(400)]

QUEUE_STANDS = "cp -a /etc/postfix/main.cf /root/main.cf.whole && postconf -e 'defer_transports = lmtp handover smtp'"
NO_COPIES = "postconf -e copy_milter="
RELOADED = (
    "old=$(pgrep -x 'qmgr|smtpd'); postfix reload; "
    "for one in $old; do timeout 10 tail -s 0.1 --pid=$one -f /dev/null; done; true"
)
"""Ends when the processes that began with the old settings have ended: until then they deliver and accept as before."""
POSTFIX_AGAIN = "[ ! -f /root/main.cf.whole ] || mv /root/main.cf.whole /etc/postfix/main.cf; postfix reload"
SIEVE = "/etc/dovecot/sieve"
REPEATS_IN = f"cp -a {SIEVE} /root/sieve.whole && : > {SIEVE}/ingest.sieve && sievec {SIEVE}/ingest.sieve"
REPEATS_OUT = f"cp -a /root/sieve.whole/ingest.* {SIEVE}/ && rm -r /root/sieve.whole"
NO_FENCE = f"systemctl kill --kill-whom=main --signal=STOP {SERVICE}; nft delete table inet onedallmail_fence"
FENCE = f"systemctl reload onedallmail-fence.service; systemctl kill --kill-whom=main --signal=CONT {SERVICE}"


def _run(names: Sequence[str], script: str) -> None:
    """Run a script on servers; fail when it fails on one."""
    for name, output in on_all(names, lambda name: run_on(name, script)).items():
        assert output.code == 0, f"{name}: {output}"


@contextmanager
def _broken(names: Sequence[str], off: str, on: str) -> Iterator[None]:
    """Turn a protection off on servers, and on again, when all of them run."""
    try:
        _run(names, off)
        yield
    finally:
        restore()
        _run(names, on)


def test_a_message_without_a_copy_is_reported_as_lost(
    whole: Lab, chance: random.Random, residents: dict[str, str], evidence: Evidence
) -> None:
    """A server dies with its queue, right after it said 250 to a message with a copy, and to one without."""
    victim, reader = chance.sample(MAIL, 2)
    user, journal = residents[reader], Journal()
    evidence.describe(population=", ".join(MAIL), sample=f"{victim}: milter of the copies left out, then killed")
    with _broken([victim], f"{QUEUE_STANDS} && {{ {RELOADED}; }}", POSTFIX_AGAIN):
        eventually("a message with a copy is accepted", lambda: journal.offer(victim, user), 30)
        _run([victim], f"{NO_COPIES} && {{ {RELOADED}; }}")
        eventually("a message without a copy is accepted", lambda: journal.offer(victim, user), 30)
        kept, lost = [identity for _, identity in journal.acknowledged]
        assert set(journal.missing(user, reader)) == {kept, lost}, "the queue should have held both"
        _run([victim], "postsuper -d ALL")
        whole.kill(victim)
        what = f"of {kept} and {lost} only the second is lost"
        eventually(what, lambda: journal.missing(user, reader) == [lost], 90, every_s=1)
    assert journal.missing(user, reader) == [lost], "a message of which nothing was left came back"
    with pytest.raises(pytest.fail.Exception, match="all acknowledged mail"):
        journal.settle([user], reader, 1)


@pytest.mark.usefixtures("whole")
def test_a_repeat_that_is_let_in_is_reported_as_doubled(residents: dict[str, str], evidence: Evidence) -> None:
    """A sender that missed the answer offers the same bytes to another server."""
    evidence.describe(population=", ".join(MAIL), sample="all: the script that discards repeats emptied")
    user, journal = residents[MAIL[0]], Journal()

    def twice() -> str:
        offer = journal.compose(user)
        for name in MAIL[:2]:
            assert journal.deliver(name, offer), f"{name} did not accept it"
        return offer.sample.id

    once = twice()
    eventually("it is there", lambda: journal.stored(user, MAIL[0])[once], 60)
    with _broken(MAIL, REPEATS_IN, REPEATS_OUT):
        doubled = twice()
        eventually("it is there twice", lambda: journal.stored(user, MAIL[0])[doubled] == len(MAIL[:2]), 60)
        assert journal.stored(user, MAIL[0])[once] == 1
        with pytest.raises(AssertionError, match="more than once"):
            journal.missing(user, MAIL[0])
    remove(MAIL[0], user, doubled)


@pytest.mark.usefixtures("whole")
def test_two_writers_of_a_mailbox_are_reported(
    chance: random.Random, residents: dict[str, str], evidence: Evidence
) -> None:
    """A home without a fence goes on to deliver when its agent stands still and its standby has taken over."""
    user = chance.choice(sorted(residents.values()))
    number = next(str(row["group"]) for row in mailboxes(STACK) if row["address"] == user)
    old, new = (groups(MAIL[0])[number][name] for name in ("home", "standby"))
    evidence.describe(population=", ".join(MAIL), sample=f"{old}: placement service stopped, fence removed")
    journal, turns = Journal(), Turns([user])

    def delivers(through: str) -> bool:
        """Offer a message, and return whether this server soon delivers it itself; its queue may know an old map."""
        assert journal.offer(through, user), f"{through} did not accept it"
        identity = journal.acknowledged[-1][1]
        log = f"journalctl -t dovecot --since=-60 --no-pager | grep 'stored mail' | grep -F '{identity}'"
        wait = f"for n in $(seq 20); do {log} && exit; sleep 0.3; done"
        return bool(run_on(through, wait).stdout)

    def arrives(through: str) -> None:
        eventually(f"{through} delivers a message itself", lambda: delivers(through), 60)

    arrives(old)
    try:
        _run([old], NO_FENCE)
        eventually(f"{new} serves the mailbox", lambda: number in served(new), 60)
        arrives(new)
        arrives(old)
        found = turns.trespasses()
    finally:
        _run([old], FENCE)
    assert found, f"{old} wrote to {user} after {new} became its home, and nothing reported it"
    assert all(text.startswith(f"{old} wrote to {user} ") for text in found), found
    journal.settle([user], chance.choice(MAIL), 150)
