"""Preflight: a cloud that drops outbound port 25 is told apart from an outage, with what to ask for."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from onedallmail.lab import naming
from onedallmail.paths import ROOT, lab_id
from tests.lab import MAIL, PEER_ADDRESS

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("lab")]

NAME_SERVER = "192.0.2.53:53"
TABLE = "table inet preflight_block"
BLOCK = f"""{TABLE} {{
    chain forward {{
        type filter hook forward priority -10
        tcp dport 25 drop
    }}
}}
"""


def nft(text: str) -> None:
    space = naming.namespace(lab_id(), naming.INET)
    subprocess.run(["ip", "netns", "exec", space, "nft", "-f", "-"], input=text, text=True, check=True)


@contextmanager
def port_25_dropped() -> Iterator[None]:
    """Drop port 25 where the lab's internet begins, as EC2 does for an account that has not asked."""
    nft(BLOCK)
    try:
        yield
    finally:
        nft(f"delete {TABLE}\n")


def preflight() -> tuple[int, dict[str, str], str]:
    argv = [str(Path(sys.executable).with_name("onedallmail")), "preflight", "port25", "--to", PEER_ADDRESS]
    done = subprocess.run(
        [*argv, "--control", NAME_SERVER, "--json"], cwd=ROOT, capture_output=True, text=True, timeout=180, check=False
    )
    return done.returncode, {f["server"]: f["verdict"] for f in json.loads(done.stdout)}, done.stderr


@pytest.mark.control("iso27001:A.8.21")
def test_a_block_of_port_25_is_found_on_every_server_and_ends_with_the_request() -> None:
    with port_25_dropped():
        code, verdicts, said = preflight()
    assert (code, verdicts) == (3, dict.fromkeys(MAIL, "blocked"))
    assert "reverse DNS" in said
    assert preflight()[:2] == (0, dict.fromkeys(MAIL, "open"))
