"""What the lab makes for real: through the engine, over the AWS API, and after the death of the emulator."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from onedallmail.cloud import emulator

from .engine_stack import EngineStack

pytestmark = pytest.mark.timeout(120)
REGION = "eu-central-1"


def client(stack: EngineStack, service: str) -> Any:
    return emulator.client("test", service, REGION, state_dir=stack.state)


def kill_9(stack: EngineStack) -> emulator.Endpoint:
    before = emulator.status("test", state_dir=stack.state)
    assert before is not None
    os.kill(before.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while emulator.status("test", state_dir=stack.state) is not None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return before


def test_what_a_multi_region_key_encrypted_decrypts_in_its_region_before_and_after_kill_9(
    emulated_stack: EngineStack,
) -> None:
    emulator.ensure("test", state_dir=emulated_stack.state)
    key = client(emulated_stack, "kms").create_key(MultiRegion=True)["KeyMetadata"]["Arn"]
    cipher = client(emulated_stack, "kms").encrypt(KeyId=key, Plaintext=b"wrapped")["CiphertextBlob"]
    assert client(emulated_stack, "kms").decrypt(CiphertextBlob=cipher)["Plaintext"] == b"wrapped"
    kill_9(emulated_stack)
    assert client(emulated_stack, "kms").decrypt(CiphertextBlob=cipher)["KeyId"] == key


def test_data_keys_open_in_every_region_of_their_key_with_their_context_before_and_after_kill_9(
    emulated_stack: EngineStack,
) -> None:
    emulator.ensure("test", state_dir=emulated_stack.state)
    key = client(emulated_stack, "kms").create_key(MultiRegion=True)["KeyMetadata"]["Arn"]
    client(emulated_stack, "kms").replicate_key(KeyId=key.rpartition("/")[2], ReplicaRegion="eu-west-1")
    replica = key.replace(REGION, "eu-west-1")
    context = {"purpose": "mail-copies"}
    made = client(emulated_stack, "kms").generate_data_key(KeyId=key, KeySpec="AES_256", EncryptionContext=context)
    assert len(made["Plaintext"]) == 32

    def opened(region: str, arn: str) -> object:
        kms = emulator.client("test", "kms", region, state_dir=emulated_stack.state)
        found = kms.decrypt(KeyId=arn, CiphertextBlob=made["CiphertextBlob"], EncryptionContext=context)
        with pytest.raises(ClientError, match="InvalidCiphertext"):
            kms.decrypt(KeyId=arn, CiphertextBlob=made["CiphertextBlob"], EncryptionContext={"purpose": "other"})
        return found["Plaintext"]

    for _ in range(2):
        assert opened(REGION, key) == opened("eu-west-1", replica) == made["Plaintext"]
        kill_9(emulated_stack)


def test_keys_objects_locks_secrets_and_records_survive_kill_9(emulated_stack: EngineStack) -> None:
    stack = emulated_stack
    result = stack.up()
    assert result.errors == ()
    out = result.outputs
    cipher = client(stack, "kms").encrypt(KeyId="alias/sample", Plaintext=b"wrapped")["CiphertextBlob"]
    signer = client(stack, "kms").create_key(KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    signing = {"KeyId": signer, "Message": b"text", "SigningAlgorithm": "RSASSA_PSS_SHA_256"}
    signature = client(stack, "kms").sign(**signing)["Signature"]
    version = client(stack, "s3").put_object(Bucket=out["bucket"], Key="bundle", Body=b"evidence")["VersionId"]

    before = kill_9(stack)
    after = emulator.ensure("test", state_dir=stack.state)
    assert (after.url, after.pid != before.pid) == (before.url, True), "it comes back on its port"

    assert client(stack, "kms").decrypt(CiphertextBlob=cipher)["Plaintext"] == b"wrapped"
    assert client(stack, "kms").verify(**signing, Signature=signature)["SignatureValid"]
    assert client(stack, "kms").get_key_rotation_status(KeyId=out["keyId"])["KeyRotationEnabled"]
    s3 = client(stack, "s3")
    assert s3.get_object(Bucket=out["bucket"], Key="bundle")["Body"].read() == b"evidence"
    assert s3.head_object(Bucket=out["bucket"], Key="bundle")["ObjectLockMode"] == "GOVERNANCE"
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.delete_object(Bucket=out["bucket"], Key="bundle", VersionId=version)
    lock = s3.get_object_lock_configuration(Bucket=out["bucket"])["ObjectLockConfiguration"]
    retention = lock["Rule"]["DefaultRetention"]
    assert (retention["Mode"], retention["Days"]) == ("GOVERNANCE", 1)
    assert client(stack, "secretsmanager").get_secret_value(SecretId="sample")["SecretString"] == "content 1"
    records = client(stack, "route53").list_resource_record_sets(HostedZoneId=out["zoneId"])["ResourceRecordSets"]
    values = {r["Type"]: r["ResourceRecords"][0]["Value"] for r in records}
    assert (values["MX"], values["TXT"]) == ("10 mx.acme.example.", '"v=spf1 mx -all"')


def test_changes_and_deletes_reach_the_emulator(emulated_stack: EngineStack) -> None:
    stack = emulated_stack
    out = stack.up().outputs
    assert stack.up().changes == 0

    changed = stack.up(version="2")
    assert changed.errors == ()
    assert stack.done() == {"key": "update", "bucket": "update", "secret": "replace", "mx": "update"}
    key = client(stack, "kms").describe_key(KeyId=out["keyId"])["KeyMetadata"]
    assert key["Description"] == "key 2"
    assert client(stack, "secretsmanager").get_secret_value(SecretId="sample")["SecretString"] == "content 2"

    client(stack, "s3").delete_bucket(Bucket=out["bucket"])  # what is gone already is no error
    destroyed = stack.destroy()
    assert destroyed.errors == ()
    assert client(stack, "kms").describe_key(KeyId=out["keyId"])["KeyMetadata"]["KeyState"] == "PendingDeletion"
    assert client(stack, "route53").list_hosted_zones()["HostedZones"] == []
    assert client(stack, "secretsmanager").list_secrets()["SecretList"] == []


def test_one_emulator_a_stack_on_loopback_only_and_stop_ends_only_it(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    one, two = (emulator.ensure("test", state_dir=folder) for folder in (first, second))
    try:
        assert emulator.ensure("test", state_dir=first) == one
        assert one.url != two.url
        assert one.url.startswith("http://127.0.0.1:")
        port = int(one.url.rpartition(":")[2])
        listening = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        assert {
            f[1].partition(":")[0] for f in listening if int(f[1].partition(":")[2], 16) == port and f[3] == "0A"
        } == {"0100007F"}
        # A pid file that names somebody else's process is not believed.
        (second / "cloud" / "emulator.json").write_text(f'{{"pid": {os.getpid()}, "url": "http://127.0.0.1:1"}}')
        assert emulator.status("test", state_dir=second) is None
        assert emulator.stop("test", state_dir=second) is False
    finally:
        (second / "cloud" / "emulator.json").write_text(f'{{"pid": {two.pid}, "url": "{two.url}"}}')
        assert emulator.stop("test", state_dir=second) is True
        assert emulator.status("test", state_dir=first) == one
        emulator.stop("test", state_dir=first)
    assert emulator.status("test", state_dir=first) is None
