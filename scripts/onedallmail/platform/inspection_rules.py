"""The network firewall's rule groups as AWS takes them: Suricata text from templates, and the list of HTTPS names.

Groups are tried in the order of their priority (strict order), rules from the top down: first what is refused whatever
else holds, then the intent graph's flows, then HTTPS by name, then the refusal of the rest.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network
from typing import Literal

import jinja2

from onedallmail.paths import ROOT

from .egress import allowed_domains
from .inspection import PRIVATE, AddressSet, InspectionRule, mail_networks, pass_rules
from .model import Platform
from .ports import Port

TEMPLATES = ROOT / "templates" / "inspection"

MAX_RULE_LENGTH = 8192
"""Characters of one rule with its variables' values (AWS Network Firewall quotas)."""
MAX_CAPACITY = 30_000

GROWTH = 50
"""Capacity can't change while a group lives, so it is rounded up to the next multiple of this with room for one."""

OUTSIDE = f"!${PRIVATE.name}"


@dataclass(frozen=True)
class RuleGroup:
    """One stateful rule group of a region's firewall policy."""

    name: str
    kind: Literal["rules", "domains"]
    text: str
    """Rules in Suricata's language; empty for names."""
    domains: tuple[str, ...]
    """Names that pass as TLS server name; empty for rules."""
    capacity: int
    priority: int
    sets: tuple[AddressSet, ...]
    """Address sets that the group's text refers to; for names HOME_NET, whose calls the list judges."""

    @property
    def variables(self) -> Mapping[str, tuple[str, ...]]:
        """Return the values of the group's address sets by name."""
        return {held.name: tuple(str(n) for n in held.networks) for held in self.sets}


def rule_groups(platform: Platform, region: str) -> tuple[RuleGroup, ...]:
    """Return the rule groups of a region's firewall, first priority first; nothing without inspection."""
    if not platform.options.inspection:
        return ()
    flows = pass_rules(platform, region)
    home = mail_networks(platform)
    groups = [
        _rules("guard", 100, home, ()),
        _rules("flows", 200, home, flows),
        _domains("names", 300, AddressSet("HOME_NET", home.networks), allowed_domains(platform, region)),
        _rules("rest", 400, home, ()),
    ]
    return tuple(g for g in groups if g.text or g.domains)


def _rules(name: str, priority: int, home: AddressSet, rules: tuple[InspectionRule, ...]) -> RuleGroup:
    text = _template(f"{name}.rules.j2").render(
        home=f"${home.name}",
        private=f"${PRIVATE.name}",
        outside=OUTSIDE,
        rules=rules,
        port={p.name: p.value for p in Port},
    )
    named = [home, PRIVATE]
    named += [held for rule in rules for held in (rule.source, rule.destination) if held]
    sets = tuple(held for held in dict.fromkeys(named) if f"${held.name}" in text)
    return RuleGroup(name, "rules", text, (), _capacity(len(rule_lines(text))), priority, sets)


def _domains(name: str, priority: int, home: AddressSet, domains: tuple[str, ...]) -> RuleGroup:
    """One rule a name, one for the protocol itself (a list of TLS names alone)."""
    return RuleGroup(name, "domains", "", domains, _capacity(len(domains) + 1), priority, (home,))


def _capacity(rules: int) -> int:
    return (rules // GROWTH + 1) * GROWTH


def rule_lines(text: str) -> tuple[str, ...]:
    """Return the rules of a group's text without comments."""
    return tuple(line for line in text.splitlines() if line.strip() and not line.startswith("#"))


def suricata_variables(groups: Iterable[RuleGroup]) -> dict[str, str]:
    """Return the address sets of groups as Suricata's own configuration writes them.

    Raises:
        ValueError: two groups mean different addresses by one name.
    """
    found: dict[str, tuple[IPv4Network, ...]] = {}
    for held in (s for group in groups for s in group.sets):
        if found.setdefault(held.name, held.networks) != held.networks:
            msg = f"address set {held.name} has two meanings: give one of them another name"
            raise ValueError(msg)
    return {name: "[" + ",".join(str(n) for n in networks) + "]" for name, networks in found.items()}


@lru_cache(maxsize=16)
def _template(name: str) -> jinja2.Template:
    environment = jinja2.Environment(  # noqa: S701 - rules of a firewall, no markup
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)
