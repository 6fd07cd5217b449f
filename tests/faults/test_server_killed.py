"""A mail server dies under load: the others take mail for everybody, and nothing that was acknowledged is lost."""

import random
import time

import pytest

from onedallmail.evidence.attachments import Evidence
from onedallmail.lab.lab import Lab
from tests.faults.conftest import restore
from tests.faults.journal import Journal, Load
from tests.hosts.reach import reachable
from tests.lab import MAIL, PEER, WITNESS, eventually, public_ip
from tests.mail.clients import imap

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

DELIVERED_WITHIN_S = 150


@pytest.mark.control("iso27001:A.8.14", "iso27001:A.5.29", "iso27001:A.5.30", "soc2:CC7.5", "soc2:CC9.1", "gdpr:Art.32")
def test_a_killed_mail_server_loses_nothing(
    whole: Lab, chance: random.Random, residents: dict[str, str], evidence: Evidence
) -> None:
    """As a loss of power: no goodbye, mail in all its queues. Its users wait, everybody else does not notice."""
    victim = chance.choice(MAIL)
    others = [name for name in MAIL if name != victim]
    evidence.describe(population=", ".join(MAIL), sample=f"{victim} killed")
    journal = Journal()
    load = Load(journal, list(MAIL), list(residents.values()))
    load.start()
    time.sleep(chance.uniform(1.0, 4.0))
    whole.kill(victim)
    load.dead.add(victim)
    try:
        _still_served(journal, others, victim, residents)
    finally:
        load.stop()
        restore()
        evidence.attach_text("journal.txt", journal.text())
    journal.settle(list(residents.values()), others[0], DELIVERED_WITHIN_S)
    evidence.attach_text("journal-settled.txt", journal.text())


def _still_served(journal: Journal, others: list[str], victim: str, residents: dict[str, str]) -> None:
    """Fail unless each living server takes mail for everybody, and shows the mailboxes whose home lives."""
    assert not reachable(PEER, {(public_ip(victim), 25)}), f"{victim} still answers, so nothing is being tested"
    for mx in others:
        for home, user in residents.items():
            accepted = eventually(f"{mx} takes mail for {user}", lambda m=mx, u=user: journal.offer(m, u), 30)  # type: ignore[misc] # bound now
            assert accepted, home
    for home, user in residents.items():
        if home == victim:
            continue
        for name in others:
            with imap(name, user) as client:
                assert client.select("INBOX")[0] == "OK", f"{name} does not show the mailbox on {home}"
        eventually(f"mail for {user} arrives", lambda u=user: not journal.missing(u, others[0]), 60)  # type: ignore[misc] # bound now


@pytest.mark.control("iso27001:A.8.14", "iso27001:A.5.29", "soc2:CC9.1")
def test_a_killed_witness_stops_no_mail(
    whole: Lab, residents: dict[str, str], evidence: Evidence, chance: random.Random
) -> None:
    """The witness only votes and collects logs: without it a majority still stands, and mail flows."""
    journal, witness = Journal(), WITNESS[0]
    whole.kill(witness)
    try:
        for mx in chance.sample(MAIL, len(MAIL)):
            for user in residents.values():
                assert journal.offer(mx, user), f"{mx} did not take mail for {user} without {witness}"
        journal.settle(list(residents.values()), MAIL[0], 60)
    finally:
        restore()
        evidence.attach_text("journal.txt", journal.text())
