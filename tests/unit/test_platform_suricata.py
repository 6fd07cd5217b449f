"""The network firewall's rules as Suricata itself understands them: it reads them all, and judges packets by them."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from onedallmail.platform.inspection_rules import RuleGroup, rule_groups, suricata_variables
from onedallmail.platform.ports import Port

from .captures import Capture, dns_query, smtp, tls
from .fabrics import example
from .test_platform_inspection import lines, option

SURICATA = os.environ.get("ONEDALLMAIL_SURICATA") or shutil.which("suricata")
needs_suricata = pytest.mark.skipif(
    SURICATA is None, reason="no suricata on PATH, and ONEDALLMAIL_SURICATA names none: rules are checked by form only"
)


def configure(folder: Path, groups: tuple[RuleGroup, ...], rules: str) -> list[str]:
    """Write Suricata's configuration and rules; return the command that reads them."""
    (folder / "all.rules").write_text(rules)
    (folder / "classification.config").write_text(
        "".join(f"config classification: {option(line, 'classtype')},x,3\n" for line in lines(groups))
    )
    protocols = {p: {"enabled": True} for p in ("tls", "smtp", "ssh", "http")}
    settings = {
        "vars": {"address-groups": suricata_variables(groups)},
        "classification-file": str(folder / "classification.config"),
        "reference-config-file": str(folder / "none"),
        "threshold-file": str(folder / "none"),
        "default-log-dir": str(folder),
        "logging": {"outputs": [{"console": {"enabled": True}}]},
        "outputs": [{"eve-log": {"enabled": True, "filetype": "regular", "filename": "eve.json", "types": ["alert"]}}],
        "app-layer": {"protocols": {**protocols, "dns": {"tcp": {"enabled": True}, "udp": {"enabled": True}}}},
    }
    (folder / "suricata.yaml").write_text("%YAML 1.1\n---\n" + yaml.safe_dump(settings))
    (folder / "none").touch()
    return [str(SURICATA), "-c", str(folder / "suricata.yaml"), "-S", str(folder / "all.rules"), "-l", str(folder)]


@needs_suricata
@pytest.mark.parametrize("region", ["eu-central-1", "eu-west-1", "eu-north-1"])
def test_suricata_accepts_every_rule(region: str, tmp_path: Path) -> None:
    groups = rule_groups(example("example"), region)
    done = subprocess.run(
        [*configure(tmp_path, groups, "\n".join(lines(groups))), "-T"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "E: " not in done.stdout + done.stderr


# Connections of the test below, by the port that the client calls from.
HERE, THERE, WITNESS, OUTSIDE = "10.10.64.10", "10.20.64.10", "10.30.128.10", "203.0.113.5"
PASS = {
    40001: (HERE, THERE, Port.POSTGRES, tls(None)),
    40002: (THERE, HERE, Port.HANDOVER, smtp(starttls=True)),
    40003: (HERE, OUTSIDE, Port.SMTP, smtp(starttls=True)),
    40004: (HERE, OUTSIDE, Port.SMTP, smtp(starttls=False)),
    40005: (HERE, OUTSIDE, Port.NTS, tls("time.example")),
    40006: (HERE, WITNESS, Port.SYSLOG, tls(None)),
    40007: (HERE, OUTSIDE, Port.HTTPS, tls("deb.debian.org")),
}
REFUSED = {
    41001: (HERE, THERE, Port.SSH, (("s", b"SSH-2.0-x\r\n"), ("c", b"SSH-2.0-y\r\n"))),
    41002: (HERE, THERE, 5433, tls(None)),
    41003: (WITNESS, HERE, Port.HANDOVER, smtp(starttls=True)),
    41004: (HERE, OUTSIDE, 8443, tls("deb.debian.org")),
    41005: (HERE, OUTSIDE, Port.HTTPS, tls("elsewhere.example")),
    41006: (WITNESS, OUTSIDE, Port.SMTP, smtp(starttls=True)),
    41007: (OUTSIDE, HERE, Port.POSTGRES, tls(None)),
}
GUARDED = {
    42001: (HERE, OUTSIDE, Port.SMTP, tls("tunnel.example"), "TLS on the port of SMTP before any greeting"),
    42002: (HERE, OUTSIDE, Port.HTTPS, smtp(starttls=False), "mail leaves by another port than its own"),
    42003: (
        HERE,
        OUTSIDE,
        Port.HTTPS,
        tls("deb.debian.org", newest=False),
        "client offers no version of TLS above 1.2",
    ),
}
DEFAULTS = (
    'pass tls $MAIL_NET any -> any 443 (tls.sni; content:"deb.debian.org"; startswith; endswith; sid:1500001;)',
    'drop tcp any any -> any any (msg:"drop established"; flow:established; dsize:>0; sid:1999999;)',
)
"""What AWS adds: a rule a name of its list, and the policy's default action."""


def verdicts(folder: Path, capture: Capture, rules: list[str]) -> dict[int, set[str]]:
    """Return what Suricata said of each connection (by the client's port); passes say nothing."""
    groups = rule_groups(example("example"), "eu-central-1")
    capture.write(folder / "packets.pcap")
    command = configure(folder, groups, "\n".join(rules))
    subprocess.run(
        [*command, "-r", str(folder / "packets.pcap"), "--simulate-ips", "-k", "none"],
        capture_output=True,
        check=True,
        timeout=120,
    )
    found: dict[int, set[str]] = {}
    for event in map(json.loads, (folder / "eve.json").read_text().splitlines()):
        ports = [event["src_port"], event["dest_port"]]
        found.setdefault(max(ports), set()).add(f"{event['alert']['action']}: {event['alert']['signature']}")
    return found


@needs_suricata
@pytest.mark.control("iso27001:A.8.20", "iso27001:A.8.22", "soc2:CC6.6", basis="recorded")
def test_suricata_lets_the_flows_pass_with_their_answers_and_drops_the_rest(tmp_path: Path) -> None:
    capture = Capture()
    for sport, (source, target, port, said) in {**PASS, **REFUSED}.items():
        capture.tcp(source, target, sport, port, *said)
    capture.udp(HERE, OUTSIDE, 40011, Port.DNS, dns_query(("example", "org")))
    capture.udp(HERE, OUTSIDE, 40012, Port.NTP, b"\x23" + bytes(47))
    capture.udp(HERE, OUTSIDE, 41011, 443, b"quic" * 300)
    groups = [g for g in rule_groups(example("example"), "eu-central-1") if g.name != "guard"]
    found = verdicts(tmp_path, capture, [*lines(tuple(groups)), *DEFAULTS])
    assert {port: said for port, said in found.items() if port < 41000} == {}
    assert {port for port, said in found.items() if any("blocked" in s for s in said)} == {*REFUSED, 41011}


@needs_suricata
def test_suricata_knows_protocols_on_the_wrong_port_and_what_looks_like_a_tunnel(tmp_path: Path) -> None:
    capture = Capture()
    for sport, (source, target, port, said, _) in GUARDED.items():
        capture.tcp(source, target, sport, port, *said)
    for sport, (source, target, port, said) in PASS.items():
        capture.tcp(source, target, sport, port, *said)
    capture.udp(HERE, OUTSIDE, 42011, Port.DNS, dns_query(("a" * 60, "t", "example", "org")))
    guard = tuple(g for g in rule_groups(example("example"), "eu-central-1") if g.name == "guard")
    found = verdicts(tmp_path, capture, lines(guard))
    assert {port: {s.split(": ", 1)[1] for s in said} for port, said in found.items()} == {
        **{sport: {text} for sport, (*_, text) in GUARDED.items()},
        42011: {"DNS tunnel: label that looks encoded"},
    }
