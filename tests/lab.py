"""What tests of the running lab share: the platform, sockets inside its namespaces, its accounts, bounded waiting.

Nothing here starts or changes the lab; tests/faults does, and puts it back.
"""

import os
import socket
import ssl
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

import pytest
import testinfra

from onedallmail.directory.kept import kept
from onedallmail.directory.remote import mailboxes
from onedallmail.lab import lab as machines
from onedallmail.lab.errors import LabError
from onedallmail.lab.inside import inside
from onedallmail.outputs import OutputsError, read_outputs
from onedallmail.paths import state_dir
from onedallmail.platform.servers import Server
from onedallmail.stackfile import load_platform

T = TypeVar("T")
STACK = os.environ.get("ONEDALLMAIL_STACK", "lab")
PLATFORM = load_platform(STACK)
DOMAIN = PLATFORM.domain
MAIL = tuple(s.name for s in PLATFORM.mail_servers)
ALL = tuple(s.name for s in PLATFORM.servers)
WITNESS = tuple(s.name for s in PLATFORM.servers if s.name not in MAIL)
PEER, CLIENT = "peer", "client"
"""Nodes outside: another organisation's mail server, and a machine that anybody on the internet could have."""
PEER_ADDRESS, CLIENT_ADDRESS = "203.0.113.25", "203.0.113.50"
BOB = "bob@partner.example"


def server(name: str) -> Server:
    """Return the platform's server of that name."""
    return PLATFORM.server(name)


def require_lab() -> machines.Lab:
    """Return the running lab; without one the test is skipped, which CI=true turns into a failure."""
    try:
        read_outputs(STACK)
        lab = machines.load(STACK)
    except (OutputsError, LabError) as error:
        pytest.skip(f"needs the running lab ({error})")
    stopped = [node.name for node in lab.nodes if not node.running and node.name in (*ALL, PEER, "dns")]
    if len(stopped) == len(ALL) + 2:
        pytest.skip("needs the running lab: run ./scripts/up")
    assert not stopped, f"these nodes of the lab do not run: {', '.join(stopped)}; ./scripts/up repairs it"
    return lab


@cache
def public_ip(name: str) -> str:
    """Return the Elastic IP of a mail server."""
    return str(read_outputs(STACK)["servers"][name]["publicIp"])


def connect(node: str, address: str, port: int, timeout_s: float = 10) -> socket.socket:
    """Return a TCP connection that starts in a node's network namespace (it stays there after return)."""
    with inside(node):
        return socket.create_connection((address, int(port)), timeout_s)


@cache
def host(name: str) -> Any:
    """Return testinfra's host of a node: SSH over the operators' link, one connection kept open."""
    lab = machines.load(STACK)
    return testinfra.get_host(f"ssh://{name}", ssh_config=str(lab.ssh_config_path), controlpersist=120)


@dataclass(frozen=True)
class Output:
    """What a command on a node said."""

    code: int
    stdout: str
    stderr: str

    @property
    def lines(self) -> list[str]:
        """Its lines, without empty ones."""
        return [line for line in self.stdout.splitlines() if line.strip()]


def run_on(node: str, script: str) -> Output:
    """Run a shell script on a node as root, in one SSH call."""
    done = host(node).run(script)
    return Output(done.rc, done.stdout, done.stderr)


def on_all(nodes: Iterable[str], work: Callable[[str], T]) -> dict[str, T]:
    """Return the result of `work` for each node; the nodes are asked at the same time."""
    names = list(nodes)
    with ThreadPoolExecutor(max_workers=max(1, len(names))) as pool:
        return dict(zip(names, pool.map(work, names), strict=True))


def eventually(what: str, probe: Callable[[], T], within_s: float, every_s: float = 0.3) -> T:
    """Return the first true result of `probe`; fail when there is none within the bound. Never used to measure."""
    end = time.monotonic() + within_s
    while True:
        found = probe()
        if found:
            return found
        if time.monotonic() > end:
            pytest.fail(f"not within {within_s:.0f} s: {what} (last seen: {found!r})")
        time.sleep(every_s)


def password(address: str) -> str:
    """Return the password of a demonstration account, of ours or of the other organisation."""
    own = kept(STACK, address)
    return own if own is not None else (state_dir(STACK) / "secrets" / address).read_text().strip()


@cache
def trust() -> ssl.SSLContext:
    """Return a client's TLS settings: the lab's public authority, names checked, version 1.3 or nothing."""
    context = ssl.create_default_context(cafile=str(state_dir(STACK) / "pki" / "public-ca.crt"))
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


@cache
def accounts() -> dict[str, str]:
    """Return the home server of each demonstration account by its address."""
    return {row["address"]: row["home"] for row in mailboxes(STACK) if kept(STACK, row["address"])}


def account_on(home: str) -> str:
    """Return a demonstration account whose home is that server."""
    found = [address for address, at in accounts().items() if at == home]
    assert found, f"no demonstration account lives on {home}; accounts: {accounts()}"
    return sorted(found)[0]
