"""Every template renders for the hosts that get it, and what it gives holds together as far as no server is needed."""

import re
from collections.abc import Callable

import pytest

from onedallmail.lab.aws.names import METADATA_PORT
from onedallmail.platform.firewall import host_rules
from onedallmail.stackfile import load_platform

from . import formats
from .rendering import CANARY, Outcome
from .site import STACK
from .tree import ROLE_NAMES, templates

LEFT_OVER = re.compile(r"\{\{|\{%|\bUndefined\b|\b(None|True|False)\b")
OLD_PROTOCOLS = re.compile(r"\b(SSLv[23]|TLSv1(\.[012])?)\b(?!\.3)|\bTLS1\.[012]\b")


@pytest.mark.parametrize("template", templates())
def test_template_renders(outcome: Outcome, template: str) -> None:
    assert not outcome.errors.get(template)
    files = [f for f in outcome.files if f"{f.role}/{f.src}" == template]
    assert files, f"roles/{template} is written to no host: no task uses it, or its condition never holds"


@pytest.mark.parametrize("role", ROLE_NAMES)
def test_group_variables_satisfy_the_specification(outcome: Outcome, role: str) -> None:
    assert not outcome.arguments.get(role)


def test_an_undefined_variable_and_a_wrong_argument_are_noticed(outcome: Outcome) -> None:
    assert "canary_undefined" in outcome.errors[f"{CANARY}/broken.j2"][0]
    assert "canary_number" in outcome.arguments[CANARY][0]


@pytest.mark.parametrize("role", ROLE_NAMES)
def test_rendered_files_are_whole(outcome: Outcome, role: str) -> None:
    for file in (f for f in outcome.files if f.role == role):
        place = f"{file.dest} on {file.host} (roles/{role}/templates/{file.src})"
        assert file.text.endswith("\n"), f"{place} ends without a line feed"
        left = [line for line in file.text.splitlines() if LEFT_OVER.search(line.partition("#")[0])]
        assert not left, f"{place} shows what a template should have turned into a value: {left}"


@pytest.mark.parametrize(("pattern", "check"), formats.CHECKS, ids=lambda value: getattr(value, "__name__", ""))
def test_rendered_files_parse(outcome: Outcome, pattern: str, check: Callable[[str, str], None]) -> None:
    files = [f for f in outcome.files if re.search(pattern, f.dest)]
    assert files, f"no role writes a file like {pattern}: remove the check"
    for file in files:
        try:
            check(file.text, file.dest)
        except Exception as error:
            pytest.fail(f"{file.dest} on {file.host} (roles/{file.role}/templates/{file.src}): {error}")


BROKEN = (
    (formats.check_json, "{", "x.json"),
    (formats.check_yaml, "- a", "x.yml"),
    (formats.check_xml, "<a><b></a>", "x.xml"),
    (formats.check_sections, "[Unit]\nnot a setting\n", "x.service"),
    (formats.check_shell, "if true; then\n", "x.sh"),
    (formats.check_nftables, "table inet host { chain input { tcp dport nowhere accept } }\n", "nftables.conf"),
    (formats.check_zone, "acme.example. 60 IN A 192.0.2.1\n", "acme.example.zone"),
    (formats.check_braces, "service imap {\n", "dovecot.conf"),
    (formats.check_settings, "a = 1\na = 2\n", "main.cf"),
    (formats.check_master, "smtp inet n - smtpd\n", "master.cf"),
    (formats.check_hosts, "a1.internal 10.0.0.1\n", "hosts"),
)


@pytest.mark.parametrize(("check", "text", "dest"), BROKEN, ids=lambda value: getattr(value, "__name__", ""))
def test_a_broken_file_is_noticed(check: Callable[[str, str], None], text: str, dest: str) -> None:
    with pytest.raises(Exception, match=r"(?s)\S"):
        check(text, dest)


def test_every_check_is_tried_on_a_broken_file() -> None:
    assert {check for _, check in formats.CHECKS} == {check for check, _, _ in BROKEN}


def test_no_file_of_the_platform_names_an_older_protocol_than_tls_1_3(outcome: Outcome) -> None:
    found = [
        f"{f.host}:{f.dest}: {line}"
        for f in outcome.files
        for line in f.text.splitlines()
        if not line.lstrip().startswith(("#", ";", "--")) and OLD_PROTOCOLS.search(line)
    ]
    assert not found


@pytest.mark.parametrize("host", ["a1", "b1", "c1"])
def test_host_firewall_opens_exactly_the_ports_of_the_intent_graph_and_metadata(outcome: Outcome, host: str) -> None:
    platform = load_platform(STACK)
    rules = [r for r in host_rules(platform, platform.server(host)) if r.peers]
    for direction, keyword in (("in", "saddr"), ("out", "daddr")):
        wanted = {(r.flow.protocol.value, r.flow.port.value) for r in rules if r.direction.value == direction}
        text = next(f.text for f in outcome.files if f.host == host and f.dest == "/etc/nftables.conf")
        opened = re.findall(rf"ip {keyword} @{direction}_\S+ (tcp|udp) dport (\d+) ct state new \S* ?accept", text)
        metadata = {("tcp", METADATA_PORT)} if direction == "out" else set()
        assert {(protocol, int(port)) for protocol, port in opened} == wanted | metadata
        assert re.search(rf"hook {direction}put priority filter; policy drop;", text)
