"""The lab's demonstration accounts: two at home on each mail server, and the aliases that every domain must have.

Idempotent: with everything there it asks once and changes nothing.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from onedallmail.fleets import allowed_groups
from onedallmail.platform.model import Platform
from onedallmail.stackfile import load_platform

from . import kept
from .address import Address
from .errors import DirectoryError
from .password import hashed
from .remote import new_password
from .session import change, homes, read
from .validate import DEFAULT_QUOTA, quota_bytes

PEOPLE = (("alice", "anna"), ("bruno", "berta"), ("carol", "chris"), ("dora", "david"))
"""Accounts of the first mail server, of the second and so on."""
REQUIRED = ("postmaster", "abuse")
"""RFC 5321, section 4.5.1, and RFC 2142."""

_STATE = """
SELECT jsonb_build_object(
  'domains', (SELECT coalesce(jsonb_agg(name), '[]') FROM directory.domains),
  'mailboxes', (SELECT coalesce(jsonb_agg(address), '[]') FROM directory.mailboxes),
  'aliases', (SELECT coalesce(jsonb_agg(jsonb_build_array(address, destination)), '[]') FROM directory.aliases))"""

_APPLY = """
INSERT INTO directory.domains (name) SELECT jsonb_array_elements_text(:input -> 'domains') ON CONFLICT DO NOTHING;
INSERT INTO directory.mailboxes (local_part, domain, display_name, placement_group, quota_bytes, password_hash)
SELECT * FROM jsonb_to_recordset(:input -> 'mailboxes')
  AS v(local_part text, domain text, name text, "group" integer, quota_bytes bigint, password_hash text)
ON CONFLICT DO NOTHING;
UPDATE directory.mailboxes AS m SET password_hash = v.password_hash
FROM jsonb_to_recordset(:input -> 'passwords') AS v(address text, password_hash text) WHERE m.address = v.address;
INSERT INTO directory.aliases (local_part, domain, destination)
SELECT * FROM jsonb_to_recordset(:input -> 'aliases') AS v(local_part text, domain text, destination text)
ON CONFLICT DO NOTHING;
SELECT to_jsonb(true)"""


@dataclass(frozen=True)
class Missing:
    """What the directory lacks; `strangers` are accounts that are there while their password is not kept."""

    domains: tuple[str, ...]
    people: tuple[tuple[Address, str], ...]
    """Address and name of its home server."""
    strangers: tuple[Address, ...]
    aliases: tuple[tuple[Address, str], ...]

    def __bool__(self) -> bool:
        """Tell whether anything is missing."""
        return bool(self.domains or self.people or self.strangers or self.aliases)


def seed_lab(stack: str) -> None:
    """Add what is missing of the demonstration accounts.

    Raises:
        DirectoryError: the directory or the placement map can't be read, or refuses.
    """
    platform = load_platform(stack)
    state = read(stack, _STATE)
    lacking = missing(platform, state.value, lambda address: kept.kept(stack, address) is not None)
    if not lacking:
        return
    groups: Mapping[int, str] = {}
    if lacking.people:
        groups = state.homes or homes(stack) or {}
    chosen = [(who, places(groups, home, allowed_groups(platform, str(who)))) for who, home in lacking.people]
    change(
        stack,
        _APPLY,
        {
            "domains": lacking.domains,
            "mailboxes": [_mailbox(stack, who, found[_rank(who) % len(found)]) for who, found in chosen],
            "passwords": [{"address": str(who), "password_hash": _secret(stack, who)} for who in lacking.strangers],
            "aliases": [{"local_part": a.local, "domain": a.domain, "destination": to} for a, to in lacking.aliases],
        },
    )


def missing(platform: Platform, state: Mapping[str, Any], is_kept: Callable[[str], bool]) -> Missing:
    """Return what `state` (domains, mailboxes, aliases) lacks."""
    people = tuple(
        (Address(local, platform.domain), server.name)
        for server, pair in zip(platform.mail_servers, PEOPLE, strict=False)
        for local in pair
    )
    first, last = str(people[0][0]), str(people[-2][0])
    aliases = [(Address(local, domain), first) for domain in platform.domains for local in REQUIRED]
    aliases += [(Address("sales", platform.domain), to) for to in (first, last)]
    have = {tuple(pair) for pair in state["aliases"]}
    return Missing(
        domains=tuple(d for d in platform.domains if d not in state["domains"]),
        people=tuple(p for p in people if str(p[0]) not in state["mailboxes"]),
        strangers=tuple(who for who, _ in people if str(who) in state["mailboxes"] and not is_kept(str(who))),
        aliases=tuple((a, to) for a, to in aliases if (str(a), to) not in have),
    )


def places(groups: Mapping[int, str], home: str, allowed: Collection[int]) -> list[int]:
    """Return the groups for an account that shall be at home on a server: of that server, or wherever its pin allows.

    Raises:
        DirectoryError: the server has none.
    """
    return [number for number in lowest_groups(groups, home) if number in allowed] or sorted(allowed)


def lowest_groups(groups: Mapping[int, str], home: str) -> list[int]:
    """Return the groups at home on a server, lowest first.

    Raises:
        DirectoryError: it has none.
    """
    found = sorted(number for number, server in groups.items() if server == home)
    if not found:
        msg = (
            f"no placement group is at home on {home}, so its demonstration accounts have no place: "
            "look at /var/lib/onedallmail/placement/ on the mail servers, and run `onedallmail lab up` again"
        )
        raise DirectoryError(msg)
    return found


def _rank(who: Address) -> int:
    return next(pair.index(who.local) for pair in PEOPLE if who.local in pair)


def _mailbox(stack: str, who: Address, group: int) -> dict[str, Any]:
    return {
        "local_part": who.local,
        "domain": who.domain,
        "name": who.local.capitalize(),
        "group": group,
        "quota_bytes": quota_bytes(DEFAULT_QUOTA),
        "password_hash": _secret(stack, who),
    }


def _secret(stack: str, who: Address) -> str:
    """Return the hash of the kept password, which is made and kept first if there is none."""
    password = kept.kept(stack, str(who))
    if password is None:
        password = new_password(who)
        kept.keep(stack, str(who), password)
    return hashed(password)
