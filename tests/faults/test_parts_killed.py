"""Parts that die and come back: the leader of the quorum, the lab's AWS emulator and endpoints."""

import json
import os
import signal
from datetime import UTC, datetime

import pytest

from onedallmail.cloud import emulator
from onedallmail.engine import run as engine
from onedallmail.evidence.attachments import Evidence
from onedallmail.lab.aws import control as aws
from onedallmail.lab.aws.estate import read_cloud
from onedallmail.outputs import read_outputs
from onedallmail.stacksecrets import use_passphrase
from tests.faults.conftest import unhealthy_voters
from tests.hosts.facts import ETCDCTL
from tests.hosts.test_keys_api import METADATA, python
from tests.lab import ALL, MAIL, PLATFORM, STACK, eventually, on_all, run_on

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("lab"), pytest.mark.timeout(300)]

GROUPS = "sha256sum < /var/lib/onedallmail/placement/groups.json"


@pytest.mark.usefixtures("whole")
@pytest.mark.control("iso27001:A.8.14", "iso27001:A.5.29", "soc2:CC7.5", "soc2:CC9.1")
def test_the_quorum_elects_a_new_leader_and_the_placement_map_stays(evidence: Evidence) -> None:
    """The map of homes must survive the death of whoever leads, unchanged, and the dead voter returns by itself."""
    before = {name: out.stdout for name, out in on_all(MAIL, lambda name: run_on(name, GROUPS)).items()}
    first = _leader(ALL[0])
    assert run_on(first, "systemctl kill --signal=KILL etcd.service").code == 0
    asked = next(name for name in ALL if name != first)
    leader = eventually("another voter leads", lambda: _leader(asked), 60)
    eventually("all voters are healthy again", lambda: not unhealthy_voters(asked), 60)
    after = {name: out.stdout for name, out in on_all(MAIL, lambda name: run_on(name, GROUPS)).items()}
    evidence.attach_text("leaders.txt", f"before {first}\nafter {leader}\nmaps {json.dumps(after)}")
    assert after == before


def _leader(asked: str) -> str:
    """Return the voter that leads, as one server sees it; nothing while there is none."""
    output = run_on(asked, f"{ETCDCTL} --command-timeout=4s endpoint status --cluster --write-out=json 2>/dev/null")
    if not output.stdout.strip().startswith("["):
        return ""
    for entry in json.loads(output.stdout):
        status = entry["Status"]
        if status["leader"] and status["leader"] == status["header"]["member_id"]:
            host = entry["Endpoint"].removeprefix("https://").partition(":")[0]
            return next((s.name for s in PLATFORM.servers if str(s.private_ip) == host), "")
    return ""


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


@pytest.mark.control("iso27001:A.8.14", "iso27001:A.5.29", basis="emulated")
def test_the_aws_endpoints_come_back_and_know_the_credentials_that_they_gave(evidence: Evidence) -> None:
    """A server keeps its role's credentials for hours: they must not die with what the lab's `up` repairs."""
    evidence.emulated()
    role = f"onedallmail-{STACK}-{PLATFORM.server(MAIL[0]).region}-mail"
    path = f"meta-data/iam/security-credentials/{role}"
    before = python(MAIL[0], METADATA, path)
    assert "AccessKeyId" in before
    use_passphrase(STACK)
    cloud = read_cloud(engine.export(STACK))
    first = aws.ensure(STACK, cloud)
    assert first == aws.running(STACK), "what runs and serves the deployment is left alone"
    first.send(signal.SIGKILL)
    assert first.wait(10)
    assert aws.running(STACK) is None
    assert aws.ensure(STACK, cloud).pid != first.pid
    assert python(MAIL[0], METADATA, path) == before or datetime.now(UTC).minute == 0
