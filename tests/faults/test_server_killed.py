"""A mail server or a whole region dies under load: all read and receive on, and nothing acknowledged is lost."""

import random
import time

import pytest

from onedallmail.evidence.attachments import Evidence
from onedallmail.lab.lab import Lab
from tests.faults.conftest import restore
from tests.faults.journal import BROKEN, Journal, Load
from tests.hosts.reach import reachable
from tests.lab import MAIL, PEER, WITNESS, eventually, public_ip, server
from tests.mail.clients import Imap, imap

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

DELIVERED_WITHIN_S = 150


@pytest.mark.control("iso27001:A.8.14", "iso27001:A.5.29", "iso27001:A.5.30", "soc2:CC7.5", "soc2:CC9.1", "gdpr:Art.32")
def test_a_killed_mail_server_is_replaced(
    whole: Lab, chance: random.Random, residents: dict[str, str], evidence: Evidence
) -> None:
    """As a loss of power: no goodbye, mail in all its queues. Its standbys become home of its users."""
    victim = chance.choice(MAIL)
    evidence.describe(population=", ".join(MAIL), sample=f"{victim} killed")
    _kill_and_serve(whole, [victim], chance, residents, evidence)


@pytest.mark.control("iso27001:A.8.14", "iso27001:A.5.29", "iso27001:A.5.30", "soc2:CC7.5", "soc2:CC9.1", "gdpr:Art.32")
def test_a_lost_region_is_replaced(
    whole: Lab, chance: random.Random, residents: dict[str, str], evidence: Evidence
) -> None:
    """Every server of a region dies at once; the other region serves everybody, and copies go to the witness."""
    regions = sorted({server(name).region for name in MAIL})
    lost = chance.choice(regions)
    evidence.describe(population=", ".join(regions), sample=f"{lost} lost")
    _kill_and_serve(whole, [name for name in MAIL if server(name).region == lost], chance, residents, evidence)


def _kill_and_serve(
    whole: Lab, victims: list[str], chance: random.Random, residents: dict[str, str], evidence: Evidence
) -> None:
    others = [name for name in MAIL if name not in victims]
    journal = Journal()
    load = Load(journal, list(MAIL), list(residents.values()))
    load.start()
    time.sleep(chance.uniform(1.0, 4.0))
    load.dead.update(victims)
    for victim in victims:
        whole.kill(victim)
    try:
        _still_served(journal, others, victims, residents)
    finally:
        load.dead.clear()
        restore()
        load.stop()
        evidence.attach_text("journal.txt", journal.text())
    journal.settle(list(residents.values()), others[0], DELIVERED_WITHIN_S)
    evidence.attach_text("journal-settled.txt", journal.text())


def _still_served(journal: Journal, others: list[str], victims: list[str], residents: dict[str, str]) -> None:
    """Fail unless each living server takes mail for everybody and lets everybody read, also users of the dead."""
    for victim in victims:
        assert not reachable(PEER, {(public_ip(victim), 25)}), f"{victim} still answers, so nothing is being tested"
    for user in residents.values():
        for name in others:
            what = f"{user} reads through {name}"
            eventually(what, lambda n=name, u=user: reads(n, u), 60, every_s=1)  # type: ignore[misc] # bound now
            accepted = eventually(f"{name} takes mail for {user}", lambda m=name, u=user: journal.offer(m, u), 30)  # type: ignore[misc] # bound now
            assert accepted, user
        eventually(f"mail for {user} arrives", lambda u=user: not journal.missing(u, others[0]), 90, every_s=1)  # type: ignore[misc] # bound now


def reads(through: str, user: str) -> bool:
    """Return whether a user is let in through a server, and sees the inbox."""
    try:
        with imap(through, user) as client:
            return client.select("INBOX")[0] == "OK"
    except (*BROKEN, Imap.error):
        return False


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
