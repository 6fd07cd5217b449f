"""What a server logs arrives at the witness, over TLS, under the name that the certificate proves."""

import uuid

import pytest

from onedallmail.evidence.attachments import Evidence
from tests.hosts.facts import Facts
from tests.lab import MAIL, WITNESS, eventually, on_all, run_on, server

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("lab")]

ARRIVES_WITHIN_S = 20


@pytest.mark.smoke
@pytest.mark.control("iso27001:A.8.15", "iso27001:A.8.16", "iso27001:A.5.28", "soc2:CC7.2")
def test_a_line_logged_on_each_mail_server_arrives_at_the_witness(evidence: Evidence) -> None:
    """Who captures a server can delete its logs, but not what has already left it."""
    marks = {name: f"marker-{uuid.uuid4().hex}" for name in MAIL}
    on_all(MAIL, lambda name: run_on(name, f"logger --priority daemon.notice --tag onedallmail-test {marks[name]}"))
    witness = WITNESS[0]
    look = f"grep --recursive --fixed-strings {' '.join(f'-e {mark}' for mark in marks.values())} /var/log/remote"

    def arrived() -> str:
        text = run_on(witness, look).stdout
        return text if all(mark in text for mark in marks.values()) else ""

    text = eventually("the markers are at the witness", arrived, ARRIVES_WITHIN_S)
    evidence.attach_text("arrived.txt", text)
    for name, mark in marks.items():
        line = next(line for line in text.splitlines() if mark in line)
        assert line.startswith(f"/var/log/remote/{server(name).fqdn}/"), (
            f"the line of {name} was filed elsewhere: {line}"
        )


@pytest.mark.control("iso27001:A.8.15", "soc2:CC7.2")
def test_received_logs_are_closed_to_ordinary_users() -> None:
    """Logs carry addresses and times of people; only administrators read them."""
    found = run_on(WITNESS[0], "find /var/log/remote -printf '%m %U %p\\n'")
    assert found.lines, "nothing was received"
    assert [line for line in found.lines if int(line.split()[0], 8) & 0o007] == []


@pytest.mark.control("iso27001:A.8.15", "iso27001:A.5.33")
def test_the_journal_survives_a_restart(facts: Facts) -> None:
    """A journal in memory would be gone after the crash that it should explain."""
    assert "/var/log/journal" in facts["journal"].stdout
