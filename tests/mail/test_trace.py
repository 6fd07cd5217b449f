"""`onedallmail mail trace`: the way of one message over all servers, as an administrator asks for it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from onedallmail.bringup.status import sample_message
from onedallmail.evidence.attachments import Evidence
from tests.lab import BOB, MAIL, PEER, STACK, WITNESS, eventually
from tests.mail.clients import arrived, smtp
from tests.mail.messages import message

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("lab"), pytest.mark.timeout(120)]

CLI = Path(sys.executable).with_name("onedallmail")


def trace(identity: str, *options: str) -> dict[str, Any]:
    """Return what the command prints for programs; nothing found is an empty document."""
    done = subprocess.run(
        [CLI, "mail", "trace", identity, "--stack", STACK, "--json", *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if done.returncode != 0:
        return {"steps": [], "said": done.stderr}
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.control("iso27001:A.8.15", "iso27001:A.5.28", "soc2:CC7.2")
@pytest.mark.parametrize("logs", ["of the servers", "at the witness"])
def test_the_way_of_a_message_can_be_told(logs: str, residents: dict[str, str], evidence: Evidence) -> None:
    """`Where is my mail?` has one answer: accepted by this MX, handed over to that home, stored there."""
    mx, home = MAIL[0], MAIL[-1]
    sample = message("Follow me", "From MX to mailbox.\n")
    with smtp(mx, node=PEER) as client:
        assert client.sendmail(BOB, [residents[home]], sample.raw) == {}
    arrived(mx, residents[home], sample.id)
    options = ("--collector", WITNESS[0]) if logs == "at the witness" else ()

    def complete() -> dict[str, Any]:
        found = trace(sample.id, *options)
        seen = {(step["server"].partition(".")[0], step["step"]) for step in found["steps"]}
        wanted = {(mx, "accepted"), (mx, "handed over"), (home, "taken over"), (home, "delivered")}
        return found if wanted <= seen else {}

    found = eventually("the whole way is told", complete, 30, every_s=1)
    evidence.attach_text("trace.json", json.dumps(found, indent=1))
    times = [step["time"] for step in found["steps"]]
    assert times == sorted(times)


@pytest.mark.control("iso27001:A.8.15")
def test_an_unknown_message_is_not_invented() -> None:
    """The command fails with a sentence, and exit code 1."""
    found = trace("<never-sent@partner.example>")
    assert found["steps"] == []
    assert "no server has seen" in found["said"]


def test_the_line_that_up_offers_sends_a_message(residents: dict[str, str]) -> None:
    """The first thing a newcomer tries has to work, as it is printed."""
    line = sample_message(residents[MAIL[0]])
    done = subprocess.run(
        [CLI, "lab", "shell", PEER, "--stack", STACK, "--", *line],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "250 2.0.0 Ok: queued" in done.stdout
