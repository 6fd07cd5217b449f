"""Checks of rendered files that need no server: each raises ValueError or an error of its parser."""

import configparser
import json
import re
import subprocess
from collections import Counter
from collections.abc import Callable
from ipaddress import ip_address

import dns.zone
import yaml

from tests.xml_text import parsed

MASTER_FIELDS = 8


def check_json(text: str, _: str) -> None:
    """Refuse what is no JSON."""
    json.loads(text)


def check_yaml(text: str, _: str) -> None:
    """Refuse what is no YAML mapping."""
    if not isinstance(yaml.safe_load(text), dict):
        msg = "no mapping"
        raise TypeError(msg)


def check_xml(text: str, _: str) -> None:
    """Refuse what is no well-formed XML, or has a document type (nothing of ours needs one)."""
    parsed(text)


def check_sections(text: str, _: str) -> None:
    """Refuse what has lines that are neither a section nor NAME=VALUE (systemd, stunnel)."""
    configparser.RawConfigParser(strict=False, delimiters=("=",)).read_string(f"[global]\n{text}")


def check_shell(text: str, _: str) -> None:
    """Refuse what a shell can't read."""
    _program(["sh", "-n"], text)


def check_nftables(text: str, _: str) -> None:
    """Refuse what nft does not load, in a network namespace without other rules.

    `destroy` is left out: nft 1.0.6 of Debian 12 does not know it, and a new namespace has nothing to destroy.
    """
    _program(["unshare", "--net", "nft", "--check", "--file", "-"], re.sub(r"(?m)^destroy .*$", "", text))


def check_zone(text: str, dest: str) -> None:
    """Refuse a zone that does not parse, or has no SOA and NS at its top (RFC 1035)."""
    name = dest.rpartition("/")[2].removesuffix(".zone")
    origin = "." if name == "root" else f"{name}."
    dns.zone.from_text(text, origin=origin, relativize=False, check_origin=True)


def check_braces(text: str, _: str) -> None:
    """Refuse braces that do not pair (Dovecot, nginx, rspamd, logrotate)."""
    code = re.sub(r'"(\\.|[^"\\])*"|(?m:^\s*#.*$)', "", text)
    depth = 0
    for brace in re.findall(r"[{}]", code):
        depth += 1 if brace == "{" else -1
        if depth < 0:
            break
    if depth:
        msg = "braces do not pair"
        raise ValueError(msg)


def check_settings(text: str, _: str) -> None:
    """Refuse lines that are not NAME = VALUE, and names that are repeated (Postfix, sysctl)."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith(("#", " ", "\t"))]
    wrong = [line for line in lines if not re.match(r"[\w.*/-]+ *=", line)]
    repeated = [name for name, n in Counter(re.split(r"[ =]", line)[0] for line in lines).items() if n > 1]
    if wrong or repeated:
        msg = f"no settings: {wrong}; repeated: {repeated}"
        raise ValueError(msg)


def check_master(text: str, _: str) -> None:
    """Refuse services of Postfix with a wrong number of columns, or defined twice (master(5))."""
    lines = [line.split() for line in text.splitlines() if line.strip() and line[0] not in "# "]
    wrong = [line for line in lines if len(line) < MASTER_FIELDS]
    repeated = [key for key, n in Counter(tuple(line[:2]) for line in lines).items() if n > 1]
    if wrong or repeated:
        msg = f"columns missing: {wrong}; repeated: {repeated}"
        raise ValueError(msg)


def check_hosts(text: str, _: str) -> None:
    """Refuse lines that do not begin with an address (hosts(5))."""
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            ip_address(line.split()[0])


def _program(argv: list[str], text: str) -> None:
    done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ValueError(done.stderr or done.stdout)


CHECKS: tuple[tuple[str, Callable[[str, str], None]], ...] = (
    (r"\.json$", check_json),
    (r"/knot\.conf$|\.ya?ml$", check_yaml),
    (r"\.xml$", check_xml),
    (r"/systemd/|/home-tunnel\.conf$", check_sections),
    (r"^/etc/(profile\.d|default)/", check_shell),
    (r"/(nftables\.conf|fence\.nft)$", check_nftables),
    (r"\.zone$", check_zone),
    (r"^/etc/(dovecot/dovecot\.conf|onedallmail/web\.conf|rspamd/(override|local)\.d/|logrotate\.d/)", check_braces),
    (r"^/etc/(postfix/(main|sql/\w+)\.cf|sysctl\.d/)", check_settings),
    (r"^/etc/postfix/master\.cf$", check_master),
    (r"^/etc/hosts$", check_hosts),
)
