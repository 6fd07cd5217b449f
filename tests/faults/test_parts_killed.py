"""Parts that die and come back by themselves: the leader of the quorum, and the lab's AWS emulator."""

import json
import os
import signal

import pytest

from onedallmail.cloud import emulator
from onedallmail.evidence.attachments import Evidence
from onedallmail.outputs import read_outputs
from tests.faults.conftest import unhealthy_voters
from tests.faults.members import quorum_leader
from tests.lab import ALL, MAIL, PLATFORM, STACK, eventually, on_all, run_on

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("lab"), pytest.mark.timeout(300)]

GROUPS = "sha256sum < /var/lib/onedallmail/placement/groups.json"


@pytest.mark.usefixtures("whole")
@pytest.mark.control("iso27001:A.8.14", "iso27001:A.5.29", "soc2:CC7.5", "soc2:CC9.1")
def test_the_quorum_elects_a_new_leader_and_the_placement_map_stays(evidence: Evidence) -> None:
    """The map of homes must survive the death of whoever leads, unchanged, and the dead voter returns by itself."""
    before = {name: out.stdout for name, out in on_all(MAIL, lambda name: run_on(name, GROUPS)).items()}
    first = quorum_leader(ALL)
    assert run_on(first, "systemctl kill --signal=KILL etcd.service").code == 0
    asked = next(name for name in ALL if name != first)
    leader = eventually("another voter leads", lambda: quorum_leader([asked]), 60)
    eventually("all voters are healthy again", lambda: not unhealthy_voters(asked), 60)
    after = {name: out.stdout for name, out in on_all(MAIL, lambda name: run_on(name, GROUPS)).items()}
    evidence.attach_text("leaders.txt", f"before {first}\nafter {leader}\nmaps {json.dumps(after)}")
    assert after == before


@pytest.mark.control("iso27001:A.8.24", "iso27001:A.8.13", basis="emulated")
def test_what_a_key_encrypted_decrypts_after_the_death_of_the_key_service(evidence: Evidence) -> None:
    """A wrapped key that can't be unwrapped after an outage is lost data."""
    evidence.emulated()
    region = PLATFORM.config.regions[0].name
    key = read_outputs(STACK)["regions"][region]["kmsKeyArn"]
    secret = b"a data key"
    wrapped = emulator.client(STACK, "kms", region).encrypt(KeyId=key, Plaintext=secret)["CiphertextBlob"]
    first = emulator.ensure(STACK)
    os.kill(first.pid, signal.SIGKILL)
    eventually("the emulator is dead", lambda: emulator.status(STACK) is None, 10)
    client = emulator.client(STACK, "kms", region)
    assert emulator.ensure(STACK).pid != first.pid
    assert client.decrypt(KeyId=key, CiphertextBlob=wrapped)["Plaintext"] == secret
