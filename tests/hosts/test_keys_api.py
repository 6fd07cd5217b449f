"""Servers call KMS as EC2 instances do: with the credentials of their role, as the stack's policies allow."""

import json
import shlex
from typing import Any

import pytest

from onedallmail.cloud import emulator
from onedallmail.evidence.attachments import Evidence
from onedallmail.lab.aws.names import ADDRESS
from onedallmail.lab.lab import Lab
from onedallmail.outputs import read_outputs
from onedallmail.platform.naming import COPIES_CONTEXT
from tests.lab import ALL, CLIENT, MAIL, STACK, WITNESS, connect, run_on, server

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("lab"), pytest.mark.timeout(180)]

METADATA = """
import sys, urllib.error, urllib.request
def ask(path, method="GET", **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request("http://169.254.169.254/latest/" + path, method=method, headers=named)
    try:
        return urllib.request.urlopen(request, timeout=5).read().decode()
    except urllib.error.HTTPError as error:
        return str(error.code)
token = ask("api/token", "PUT", X_aws_ec2_metadata_token_ttl_seconds="60")
print(ask(sys.argv[1], X_aws_ec2_metadata_token=token), ask(sys.argv[1]))
"""
POST = """
import http.client, sys
connection = http.client.HTTPSConnection(sys.argv[1], timeout=10)
connection.request("POST", sys.argv[2], b"{}", {"Host": sys.argv[3]})
print(connection.getresponse().status)
"""
CALL = """
import base64, json, sys
import botocore.session
from botocore.exceptions import ClientError
given = json.loads(sys.stdin.read())
kms = botocore.session.get_session().create_client("kms", region_name=given["region"])
values = given["values"]
if "CiphertextBlob" in values:
    values["CiphertextBlob"] = base64.b64decode(values["CiphertextBlob"])
try:
    found = getattr(kms, given["operation"])(**values)
except ClientError as error:
    print(json.dumps({"error": error.response["Error"]["Code"]}))
else:
    print(json.dumps({k: base64.b64encode(v).decode() for k, v in found.items() if isinstance(v, bytes)}))
"""


def kms(node: str, operation: str, *, region: str | None = None, **values: Any) -> dict[str, str]:
    """Call KMS on a server with no setting but the region; return the texts of the answer, or its error."""
    given = {"operation": operation, "region": region or server(node).region, "values": values}
    return dict(json.loads(python(node, CALL, stdin=json.dumps(given))))


def python(node: str, program: str, *arguments: str, stdin: str = "") -> str:
    """Run a program on a server and return what it printed."""
    done = run_on(node, f"{shlex.join(['python3', '-c', program, *arguments])} <<'END'\n{stdin}\nEND")
    assert done.code == 0, done.stderr
    return done.stdout.strip()


def key(region: str) -> str:
    return str(read_outputs(STACK)["regions"][region]["kmsKeyArn"])


@pytest.mark.parametrize("node", ALL)
@pytest.mark.control("iso27001:A.5.16", "iso27001:A.8.5", "soc2:CC6.1", basis="emulated")
def test_a_server_learns_who_it_is_with_a_token_only(node: str, evidence: Evidence) -> None:
    """Metadata that any web request could read has given away whole accounts: version 2 asks for a token first."""
    evidence.emulated()
    facts = read_outputs(STACK)["servers"][node]
    role = f"onedallmail-{STACK}-{facts['region']}-{facts['role']}"
    for path, value in (
        ("instance-id", facts["instanceId"]),
        ("placement/region", facts["region"]),
        ("local-ipv4", facts["privateIp"]),
        ("iam/security-credentials/", role),
    ):
        assert python(node, METADATA, f"meta-data/{path}") == f"{value} 401", (
            "with a token it is told, without it is not"
        )


@pytest.mark.control("iso27001:A.8.24", "soc2:CC6.1", basis="emulated")
def test_a_mail_server_makes_a_data_key_that_a_server_of_another_region_opens(evidence: Evidence) -> None:
    """A copy must outlive its region: what one region's key service wrapped, another's unwraps."""
    evidence.emulated()
    one = MAIL[0]
    two = next(name for name in MAIL if server(name).region != server(one).region)
    here, there = server(one).region, server(two).region
    made = kms(one, "generate_data_key", KeyId=key(here), KeySpec="AES_256", EncryptionContext=COPIES_CONTEXT)
    wrapped: dict[str, Any] = {"CiphertextBlob": made["CiphertextBlob"]}
    opened = kms(two, "decrypt", KeyId=key(there), EncryptionContext=COPIES_CONTEXT, **wrapped)
    assert opened["Plaintext"] == made["Plaintext"]
    own = kms(one, "decrypt", KeyId=key(here), EncryptionContext=COPIES_CONTEXT, **wrapped)
    assert own["Plaintext"] == made["Plaintext"]
    other = kms(one, "decrypt", KeyId=key(here), EncryptionContext={"purpose": "other"}, **wrapped)
    assert other == {"error": "AccessDeniedException"}


@pytest.mark.control("iso27001:A.8.24", "iso27001:A.5.15", "soc2:CC6.1", basis="emulated")
def test_the_witness_and_servers_without_the_context_are_denied(evidence: Evidence) -> None:
    """Who keeps copies must not be able to read them; who reads mail needs no other use of its key."""
    evidence.emulated()
    (witness,) = WITNESS
    values: dict[str, Any] = {"KeySpec": "AES_256", "EncryptionContext": COPIES_CONTEXT}
    denied = {"error": "AccessDeniedException"}
    assert kms(witness, "generate_data_key", KeyId=key(server(witness).region), **values) == denied
    here = server(MAIL[0]).region
    made = kms(MAIL[0], "generate_data_key", KeyId=key(here), **values)["CiphertextBlob"]
    where = key(server(witness).region)
    assert kms(witness, "decrypt", KeyId=where, CiphertextBlob=made, EncryptionContext=COPIES_CONTEXT) == denied
    assert kms(MAIL[0], "generate_data_key", KeyId=key(here), KeySpec="AES_256") == denied


REQUESTS = (
    ("/moto-api/reset", "kms.{region}.amazonaws.com", "404"),
    ("/moto-api/reset", "localhost", "421"),
    ("/", "moto_api", "421"),
    ("/", "s3.{region}.amazonaws.com", "421"),
    ("/", "iam.amazonaws.com", "421"),
    ("/", "kms.{region}.amazonaws.com", "400"),
)
"""Path, what the request says it is for, and the answer; the last one lacks a signature."""


@pytest.mark.parametrize(("path", "name", "status"), REQUESTS)
@pytest.mark.control("iso27001:A.8.20", "soc2:CC6.6", basis="emulated")
def test_nothing_but_signed_calls_of_the_key_service_is_let_through(
    path: str, name: str, status: str, evidence: Evidence
) -> None:
    """The emulator behind the endpoints can be emptied by one request: no server may be able to send it."""
    evidence.emulated()
    region = server(MAIL[0]).region
    said = python(MAIL[0], POST, f"kms.{region}.amazonaws.com", path, name.format(region=region))
    assert said == status


@pytest.mark.control("iso27001:A.5.16", "soc2:CC6.1", basis="emulated")
def test_metadata_and_emulator_are_out_of_reach_from_elsewhere(lab: Lab) -> None:
    """Credentials of a server are for that server, and what stands behind the endpoints is for nobody."""
    emulated = emulator.ensure(STACK).url.rpartition(":")[2]
    nodes = [node.name for node in lab.nodes if node.kind == "outside"]
    for node in (*nodes, CLIENT):
        with pytest.raises(OSError, match=r"timed out|unreachable|refused"):
            connect(node, "169.254.169.254", 80, timeout_s=3)
    for node in (*ALL, CLIENT):
        for address in ("127.0.0.1", ADDRESS):
            with pytest.raises(OSError, match=r"timed out|unreachable|refused"):
                connect(node, address, int(emulated), timeout_s=3)
