"""Reachability as the intent graph has it: every declared flow works between every pair, and nothing else does."""

import subprocess

import pytest

from onedallmail.evidence.attachments import Evidence
from onedallmail.lab.lab import Lab
from onedallmail.platform.flows import Flow, Party, Protocol
from onedallmail.platform.ports import Port
from tests.hosts.reach import Target, listeners, may_connect, reachable
from tests.lab import (
    ALL,
    CLIENT,
    CLIENT_ADDRESS,
    MAIL,
    PEER,
    PEER_ADDRESS,
    PLATFORM,
    on_all,
    public_ip,
    server,
)

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("lab")]

NAME_SERVER = "192.0.2.53"
OPERATORS = "ops"
TCP = tuple(flow for flow in PLATFORM.flows if flow.protocol is Protocol.TCP)
UNDECLARED = (22, 80, 8080, 110, 143, 995, 5000)
"""Ports that no flow names; the host has the most wanted ones of an intruder among them."""
EVERY_PORT = tuple(sorted({port.value for port in Port} | set(UNDECLARED)))


def pairs(flow: Flow, lab: Lab) -> list[tuple[str, Target]]:
    """Return (node, address and port) for every pair that a flow stands for, with the lab's stand-ins outside."""
    port = flow.port.value
    sources = [s.name for s in PLATFORM.members(flow.source)]
    if flow.source is Party.INTERNET:
        return [(CLIENT, (public_ip(name), port)) for name in MAIL]
    if flow.source is Party.MANAGEMENT:
        return [(OPERATORS, (node.address, port)) for node in lab.nodes if node.name in ALL]
    if flow.destination is Party.INTERNET:
        outside = {Port.SMTP: PEER_ADDRESS, Port.DNS: NAME_SERVER}.get(flow.port, CLIENT_ADDRESS)
        return [(source, (outside, port)) for source in sources]
    ends = PLATFORM.members(flow.destination)
    return [(a, (str(b.private_ip), port)) for a in sources for b in ends if b.name != a]


@pytest.mark.control("iso27001:A.8.22", "iso27001:A.8.21", "soc2:CC6.6")
@pytest.mark.parametrize("flow", TCP, ids=lambda flow: flow.name)
def test_a_declared_flow_works_between_every_pair(flow: Flow, lab: Lab, evidence: Evidence) -> None:
    """A flow that the graph declares and a firewall drops is an outage that shows only at the next failover."""
    wanted = pairs(flow, lab)
    evidence.describe(population=f"{len(wanted)} pairs", query=f"intent graph, flow {flow.name}")
    assert wanted
    by_source: dict[str, set[Target]] = {}
    for source, target in wanted:
        by_source.setdefault(source, set()).add(target)
    listening = (flow.port.value,) if flow.destination is Party.INTERNET else ()
    with listeners(CLIENT, CLIENT_ADDRESS, listening):
        opened = on_all(by_source, lambda node: reachable(node, by_source[node], within_s=5))
    closed = {
        source: sorted(by_source[source] - opened[source]) for source in by_source if by_source[source] - opened[source]
    }
    assert not closed, f"{flow.name} does not pass: {closed}"


@pytest.mark.smoke
@pytest.mark.control("iso27001:A.8.22", "iso27001:A.8.20", "iso27001:A.8.27", "soc2:CC6.6")
def test_no_undeclared_port_opens_between_servers(evidence: Evidence) -> None:
    """A captured server must not reach what the graph does not grant it; both directions and every port are tried."""
    closed = {
        source: {
            (str(server(other).private_ip), port)
            for other in ALL
            for port in EVERY_PORT
            if other != source and not may_connect(source, other, port)
        }
        for source in ALL
    }
    evidence.describe(population=f"{sum(map(len, closed.values()))} pairs of source, server and port")
    opened = on_all(ALL, lambda node: reachable(node, closed[node]))
    assert not any(opened.values()), f"open without a flow: { {k: sorted(v) for k, v in opened.items() if v} }"


@pytest.mark.smoke
@pytest.mark.control("iso27001:A.8.20", "iso27001:A.8.22", "soc2:CC6.6", "gdpr:Art.32")
def test_the_internet_reaches_the_public_ports_and_nothing_else(evidence: Evidence) -> None:
    """No path from the internet to the directory, the placement map or SSH: by public and by private address."""
    public = {f.port.value for f in PLATFORM.flows if f.source is Party.INTERNET}
    wanted = {(public_ip(name), port) for name in MAIL for port in EVERY_PORT}
    wanted |= {(str(server(name).private_ip), port) for name in ALL for port in EVERY_PORT}
    evidence.describe(population=f"{len(wanted)} pairs of address and port", query="from a client on the internet")
    assert reachable(CLIENT, wanted) == {(public_ip(name), port) for name in MAIL for port in public}


@pytest.mark.control("iso27001:A.8.22", "iso27001:A.8.23", "iso27001:A.8.12", "soc2:CC6.6")
@pytest.mark.parametrize("name", ALL)
def test_a_server_calls_out_on_declared_ports_only(name: str) -> None:
    """Command channels and exfiltration use whatever port is open; a listener waits outside, and is not reached."""
    declared = {
        f.port.value for f in TCP if f.destination is Party.INTERNET and server(name) in PLATFORM.members(f.source)
    }
    with listeners(CLIENT, CLIENT_ADDRESS, EVERY_PORT):
        opened = reachable(name, {(CLIENT_ADDRESS, port) for port in EVERY_PORT})
    assert {port for _, port in opened} == declared


@pytest.mark.control("iso27001:A.8.22", "iso27001:A.8.31", "iso27001:A.8.34")
def test_servers_do_not_meet_on_the_operators_link(lab: Lab) -> None:
    """The management link leads to the operators only: it must not become a way around the firewalls."""
    addresses = {node.name: node.address for node in lab.nodes if node.name in (*ALL, PEER)}
    for source in addresses:
        wanted = {(address, port) for other, address in addresses.items() if other != source for port in EVERY_PORT}
        assert not reachable(source, wanted, within_s=1), f"{source} reaches another node by the operators' link"


@pytest.mark.control("iso27001:A.8.31", "iso27001:A.8.34")
@pytest.mark.parametrize("node", [*ALL, PEER, CLIENT])
def test_the_lab_has_no_way_to_the_machine_it_runs_on(node: str) -> None:
    """Tests must not touch anything real: no address of the machine, nor its gateway, answers from inside the lab."""
    machine = {line.split()[3].partition("/")[0] for line in _machine("ip -4 -o addr show scope global")}
    machine |= {line.split()[2] for line in _machine("ip -4 route show default")}
    assert machine, "the machine has no address to try"
    assert not reachable(node, {(address, port) for address in machine for port in (22, 53, 80, 443)}, within_s=1)


def _machine(command: str) -> list[str]:
    return subprocess.run(command.split(), capture_output=True, text=True, check=True).stdout.splitlines()
