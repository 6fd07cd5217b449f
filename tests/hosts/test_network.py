"""What listens, and what the host firewall lets through: both exactly as the intent graph says."""

import re
from ipaddress import IPv4Address, IPv4Network, collapse_addresses, summarize_address_range

import pytest

from onedallmail.evidence.attachments import Evidence
from onedallmail.lab.aws.names import METADATA_ADDRESS, METADATA_PORT
from onedallmail.lab.lab import Lab
from onedallmail.platform.firewall import Direction, host_rules
from onedallmail.platform.flows import Party
from onedallmail.platform.ports import Port
from onedallmail.platform.servers import Server
from tests.hosts.facts import Facts
from tests.hosts.local_ports import local_ports
from tests.lab import PLATFORM, server

pytestmark = pytest.mark.lab

HOOKS = ("input", "forward", "output")
RESOLVER = {("tcp", Port.DNS.value), ("udp", Port.DNS.value)}
TUNNEL = {("tcp", port.value) for port in (Port.IMAP_HOME, Port.SIEVE_HOME, Port.SYNC_HOME)}
"""A mail server's own tunnel to the other home servers, on addresses of the loopback network."""
STATUS_PAGE = {("tcp", 8090)}
"""The witness's overview, on its loopback interface."""
METADATA = "ec2-metadata"
"""The one rule beside the flows: what EC2 tells an instance of itself."""
LOCAL = {("tcp", local.port) for local in local_ports().values()}
"""Ports between a mail server's own programs."""
HARMLESS_ACCEPTS = (
    'iifname "lo" accept',
    'oifname "lo" accept',
    "ct state established,related accept",
)


def intended_ports(at: Server) -> set[tuple[str, int]]:
    """Return (protocol, port) of every flow that ends at this server."""
    return {(f.protocol.value, f.port.value) for f in PLATFORM.flows if at in PLATFORM.members(f.destination)}


def listening(facts: Facts) -> set[tuple[str, str, int, str]]:
    """Return (protocol, address, port, program) of each listening socket."""
    found = set()
    for line in facts["sockets"].lines:
        words = line.split()
        address, _, port = words[4].rpartition(":")
        program = re.search(r'\(\("([^"]+)"', line)
        found.add((words[0], address.partition("%")[0].strip("[]"), int(port), program[1] if program else "?"))
    return found


@pytest.mark.smoke
@pytest.mark.control("iso27001:A.8.20", "iso27001:A.8.9", "soc2:CC6.6")
def test_listening_sockets_are_those_of_the_intent_graph(facts: Facts, lab: Lab, evidence: Evidence) -> None:
    """A socket that nobody declared is a way in that nobody watches; a missing one is a service that is down."""
    evidence.attach_text(f"{facts.server}-sockets.txt", facts["sockets"].stdout)
    here = server(facts.server)
    management = next(node.address for node in lab.nodes if node.name == facts.server)
    outside, loopback = set(), set()
    for protocol, address, port, program in listening(facts):
        if program == "unbound" and protocol == "udp" and port >= 1024:
            continue  # the source port of a question that is under way
        if address == management:
            assert (protocol, port) == ("tcp", Port.SSH.value), f"{program} listens on the operators' link: {port}"
            outside.add((protocol, port))
        elif IPv4Address(address).is_loopback if "." in address else address == "::1":
            loopback.add((protocol, port))
        else:
            outside.add((protocol, port))
    assert outside == intended_ports(here)
    allowed = RESOLVER | intended_ports(here) | (TUNNEL | LOCAL if here.role.value == "mail" else STATUS_PAGE)
    assert loopback <= allowed, f"loopback only, yet not foreseen: {loopback - allowed}"


@pytest.mark.control("iso27001:A.8.20", "iso27001:A.8.22", "soc2:CC6.6")
def test_the_firewall_drops_what_no_rule_names(facts: Facts, evidence: Evidence) -> None:
    """Default deny in all directions: a forgotten service is closed, and a captured one cannot call out."""
    rules = facts["nft"].stdout
    evidence.attach_text(f"{facts.server}-nftables.txt", rules)
    for hook in HOOKS:
        assert re.search(rf"type filter hook {hook} priority filter; policy drop;", rules), f"no policy drop for {hook}"
    tables = set(re.findall(r"^table (.*) \{", rules, re.MULTILINE))
    assert tables == {"inet host", "inet onedallmail_gate"} | ({"inet onedallmail_fence"} if is_mail(facts) else set())
    assert facts["nft-enabled"].lines == ["enabled", "active"]


@pytest.mark.control("iso27001:A.8.20", "iso27001:A.8.22", "iso27001:A.8.27", "soc2:CC6.6")
def test_each_firewall_rule_is_a_flow_with_its_peers(facts: Facts) -> None:
    """The loaded rules are the intent graph and EC2's metadata: no flow without its rule, no peer too many."""
    wanted = {
        (rule.direction.value, rule.flow.name): frozenset(
            collapse_addresses(p for p in rule.peers if isinstance(p, IPv4Network))
        )
        for rule in host_rules(PLATFORM, server(facts.server))
        if Party.MANAGEMENT not in (rule.flow.source, rule.flow.destination)
    }
    wanted["out", METADATA] = frozenset({IPv4Network(f"{METADATA_ADDRESS}/32")})
    assert loaded_rules(host_table(facts)) == wanted


@pytest.mark.control("iso27001:A.8.20", "iso27001:A.8.2")
def test_nothing_else_is_accepted(facts: Facts) -> None:
    """Beside the flows only the loopback, answers, ICMP and the operators' own link pass.

    What table `inet host` drops no other table can accept: an accept ends its own table only.
    """
    accepts = [
        line.strip()
        for line in host_table(facts).splitlines()
        if line.strip().endswith("accept") or " accept comment" in line
    ]
    rest = [line for line in accepts if not line.startswith(HARMLESS_ACCEPTS) and "comment" not in line]
    rest = [line for line in rest if not line.startswith("icmp type ")]
    management = [line for line in rest if "@management" in line]
    assert rest == management, "these rules accept more than the intent graph"
    assert all(re.search(r"(tcp [ds]port 22|icmp type echo-re\w+.*) accept$", line) for line in management)


def host_table(facts: Facts) -> str:
    """Return the rules of the host's own firewall."""
    return facts["nft"].stdout.partition("table inet host {")[2].partition("\n}")[0]


def is_mail(facts: Facts) -> bool:
    """Return whether these are a mail server's."""
    return server(facts.server).role.value == "mail"


def loaded_rules(text: str) -> dict[tuple[str, str], frozenset[IPv4Network]]:
    """Return (direction, flow) to networks from a ruleset."""
    sets = {
        name: frozenset(collapse_addresses(n for item in elements.split(",") for n in _networks(item.strip())))
        for name, elements in re.findall(r"set (\w+) \{[^}]*?elements = \{([^}]*)\}", text)
    }
    found = {}
    for side, name, flow in re.findall(r'ip ([sd])addr @(\w+) .*accept comment "([^"]+)"', text):
        direction = Direction.IN if side == "s" else Direction.OUT
        port = re.search(rf'@{name} (\w+) dport (\d+) .*comment "{flow}"', text)
        assert port, f"the rule of {flow} names no port"
        declared = {f.name: (f.protocol.value, f.port.value) for f in PLATFORM.flows} | {
            METADATA: ("tcp", METADATA_PORT)
        }
        assert (port[1], int(port[2])) == declared[flow], f"{flow} opens another port"
        found[direction.value, flow] = sets[name]
    return found


def _networks(item: str) -> list[IPv4Network]:
    first, _, last = item.partition("-")
    if last:
        return list(summarize_address_range(IPv4Address(first), IPv4Address(last)))
    return [IPv4Network(first)]
