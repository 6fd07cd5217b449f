"""The intent graph and the rules from it: every flow has a rule at both ends, nothing else is open."""

from collections import Counter
from functools import lru_cache
from typing import Any

import pytest
from hypothesis import given

from onedallmail.platform.firewall import ANYWHERE, Direction, Rule, host_rules, security_group_rules
from onedallmail.platform.flows import Identity, Party, Protocol, flows_of
from onedallmail.platform.model import Platform, build_platform
from onedallmail.platform.options import Options
from onedallmail.platform.ports import Port
from onedallmail.platform.roles import ServerRole
from onedallmail.platform.servers import Server
from onedallmail.platform.stack import parse_stack

from .stacks import small, stacks

FLOWS = flows_of(Options())


def lab() -> Platform:
    return build_platform(parse_stack("lab", small()))


@lru_cache(maxsize=512)
def cached_rules(platform: Platform, server: Server) -> tuple[Rule, ...]:
    return host_rules(platform, server)


def allowed(platform: Platform, source: Server, target: Server, port: Port) -> bool:
    """Both ends' host rules let a TCP connection from source to target pass."""

    def has(server: Server, direction: Direction, other: Server) -> bool:
        return any(
            r.direction is direction and r.flow.port is port and other.private_ip in peer
            for r in cached_rules(platform, server)
            if r.flow.protocol is Protocol.TCP
            for peer in r.peers
        )

    return has(source, Direction.OUT, target) and has(target, Direction.IN, source)


def test_flow_names_are_unique() -> None:
    assert not [name for name, n in Counter(f.name for f in FLOWS).items() if n > 1]


def test_every_flow_names_an_identity_that_is_authenticated() -> None:
    assert {f.identity for f in FLOWS} <= set(Identity)
    assert not [
        f.name
        for f in FLOWS
        if f.protocol is Protocol.TCP and f.port in {Port.HANDOVER} and f.identity is not Identity.MUTUAL_TLS
    ]


@given(stacks())
def test_every_flow_between_servers_has_a_rule_at_both_ends(settings: dict[str, Any]) -> None:
    platform = build_platform(parse_stack("prod", settings))
    for flow in platform.flows:
        if flow.protocol is not Protocol.TCP:
            continue
        for source in platform.members(flow.source)[:3]:
            for target in platform.members(flow.destination)[:3]:
                assert source == target or allowed(platform, source, target, flow.port), flow.name


@given(stacks())
def test_each_flow_has_exactly_one_rule_at_each_end(settings: dict[str, Any]) -> None:
    platform = build_platform(parse_stack("prod", settings))
    for server in platform.servers[:4]:
        rules = Counter((r.flow.name, r.direction) for r in host_rules(platform, server))
        assert set(rules.values()) <= {1}


@pytest.mark.control("iso27001:A.8.20", "iso27001:A.8.22", "soc2:CC6.6", basis="recorded")
def test_the_internet_reaches_mail_ports_and_the_web_of_mail_servers_only() -> None:
    platform = lab()
    for server in platform.servers:
        open_ports = {
            r.flow.port for r in host_rules(platform, server) if r.direction is Direction.IN and ANYWHERE in r.peers
        }
        mail = {Port.SMTP, Port.SUBMISSIONS, Port.SUBMISSION, Port.IMAPS, Port.SIEVE, Port.HTTPS}
        assert open_ports == (mail if server.role is ServerRole.MAIL else set())


def test_the_witness_cannot_hand_over_mail_and_nobody_logs_to_a_mail_server() -> None:
    platform = lab()
    witness, mail = platform.server("c1"), platform.server("a1")
    assert not allowed(platform, witness, mail, Port.HANDOVER)
    assert not allowed(platform, mail, mail, Port.SYSLOG)
    assert allowed(platform, mail, witness, Port.SYSLOG)


def test_security_groups_never_open_the_management_flow() -> None:
    platform = lab()
    for role in ServerRole:
        members = [s for s in platform.servers if s.role is role]
        rules = security_group_rules(platform, members)
        assert not [r for r in rules if Party.MANAGEMENT in (r.flow.source, r.flow.destination)]
        assert Port.SSH not in {r.flow.port for r in rules}
