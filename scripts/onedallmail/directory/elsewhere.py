"""Split delivery: domains that are shared with another mail system, and addresses whose mailboxes are there.

There is one other system at a time. Postfix reads all this from each server's replica: a change holds within half a
minute.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from onedallmail.stackfile import load_platform

from .address import Address, domain_name, own_address
from .errors import ConflictError, InputError, UnknownError
from .session import change, read

WAY_KNOWN_S = 35
"""So long a queue may use the way that it looked up before: Postfix keeps its last look-up for 30 s."""


class Unknown(StrEnum):
    """What becomes of an address of a shared domain that nobody named."""

    REFUSE = "refuse"
    """It is refused while its sender is connected."""
    ELSEWHERE = "elsewhere"
    """The other system decides; it may send bounces to forged senders."""


@dataclass(frozen=True)
class OtherSystem:
    """The system that domains are shared with: `networks` as CIDR, `keys` as SHA-256 of public keys (`AB:CD:...`)."""

    host: str
    networks: tuple[str, ...]
    keys: tuple[str, ...] = ()


_LIST = """
SELECT coalesce(jsonb_agg(to_jsonb(s) ORDER BY s.domain), '[]') FROM (
  SELECT s.domain, s.unknown, o.host, o.networks, o.keys, s.created_at AS created,
    (SELECT coalesce(jsonb_agg(e.address ORDER BY e.address), '[]') FROM directory.elsewhere AS e
     WHERE e.domain = s.domain) AS elsewhere,
    (SELECT coalesce(jsonb_agg(e.address ORDER BY e.address), '[]') FROM directory.elsewhere AS e
     JOIN directory.mailboxes AS m ON m.address = e.address WHERE e.domain = s.domain) AS moving
  FROM directory.splits AS s CROSS JOIN directory.other_system AS o) AS s"""

_SPLIT = """
WITH others AS (SELECT domain FROM directory.splits WHERE domain <> :input ->> 'domain'),
same AS (SELECT FROM directory.other_system WHERE host = :input ->> 'host'),
free AS (SELECT WHERE EXISTS (SELECT FROM same) OR NOT EXISTS (SELECT FROM others)),
system AS (
  INSERT INTO directory.other_system (host, networks, keys)
  SELECT :input ->> 'host',
    ARRAY(SELECT n::cidr FROM jsonb_array_elements_text(:input -> 'networks') AS n),
    ARRAY(SELECT k FROM jsonb_array_elements_text(:input -> 'keys') AS k)
  FROM free
  ON CONFLICT (the_one) DO UPDATE SET host = excluded.host, networks = excluded.networks, keys = excluded.keys
  RETURNING the_one),
done AS (
  INSERT INTO directory.splits (domain, unknown, other_system)
  SELECT :input ->> 'domain', coalesce(:input ->> 'unknown', 'refuse'), the_one FROM system
  ON CONFLICT (domain) DO UPDATE SET unknown = coalesce(:input ->> 'unknown', splits.unknown) RETURNING domain)
SELECT jsonb_build_object('done', (SELECT count(*) FROM done),
  'others', (SELECT coalesce(jsonb_agg(domain ORDER BY domain), '[]') FROM others))"""

_POLICY = """
WITH done AS (UPDATE directory.splits SET unknown = :input ->> 'unknown' WHERE domain = :input ->> 'domain' RETURNING 1)
SELECT to_jsonb(count(*)) FROM done"""

_OFF = """
WITH living AS (SELECT address FROM directory.elsewhere WHERE domain = :input ->> 'domain'),
done AS (DELETE FROM directory.splits
  WHERE domain = :input ->> 'domain' AND NOT EXISTS (SELECT FROM living) RETURNING domain)
SELECT jsonb_build_object('done', (SELECT count(*) FROM done),
  'elsewhere', (SELECT coalesce(jsonb_agg(address ORDER BY address), '[]') FROM living));
DELETE FROM directory.other_system WHERE NOT EXISTS (SELECT FROM directory.splits)"""

_KNOWN = """
SELECT jsonb_build_object(
  'shared', (SELECT coalesce(jsonb_agg(domain), '[]') FROM directory.splits),
  'mailboxes', (SELECT coalesce(jsonb_agg(address ORDER BY address), '[]') FROM directory.mailboxes
    WHERE :input -> 'addresses' ? address),
  'aliases', (SELECT coalesce(jsonb_agg(DISTINCT address ORDER BY address), '[]') FROM directory.aliases
    WHERE :input -> 'addresses' ? address))"""

_ADD = """
WITH done AS (
  INSERT INTO directory.elsewhere (local_part, domain)
  SELECT v.local_part, v.domain FROM jsonb_to_recordset(:input -> 'rows') AS v(local_part text, domain text)
  ON CONFLICT DO NOTHING RETURNING address)
SELECT coalesce(jsonb_agg(address ORDER BY address), '[]') FROM done"""

_HOME = """
WITH used AS (
  SELECT DISTINCT a.destination FROM directory.aliases AS a WHERE :input -> 'addresses' ? a.destination
    AND NOT (:input -> 'only_ours')::boolean
    AND NOT EXISTS (SELECT FROM directory.mailboxes AS m WHERE m.address = a.destination)),
done AS (
  DELETE FROM directory.elsewhere AS e
  WHERE :input -> 'addresses' ? address AND NOT EXISTS (SELECT FROM used)
    AND (NOT (:input -> 'only_ours')::boolean
      OR EXISTS (SELECT FROM directory.mailboxes AS m WHERE m.address = e.address))
  RETURNING address)
SELECT jsonb_build_object('done', (SELECT coalesce(jsonb_agg(address ORDER BY address), '[]') FROM done),
  'used', (SELECT coalesce(jsonb_agg(destination ORDER BY destination), '[]') FROM used),
  'ours', (SELECT coalesce(jsonb_agg(m.address ORDER BY m.address), '[]') FROM done
    JOIN directory.mailboxes AS m ON m.address = done.address))"""


def splits(stack: str) -> list[dict[str, Any]]:
    """Return each shared domain: domain, unknown, host, networks, keys, created, elsewhere, moving.

    `elsewhere` has its addresses on the other system; `moving` those of them that have a mailbox here already.
    """
    found: list[dict[str, Any]] = read(stack, _LIST).value
    return found


def split(stack: str, domain: str, other: OtherSystem, unknown: Unknown | None) -> None:
    """Share a domain with another system, or change how; without a policy the present one stays (refuse at first).

    Raises:
        InputError: the domain is not the stack's.
        ConflictError: it is not in the directory, or domains are shared with a system of another name.
    """
    name = _own(stack, domain)
    document = {"domain": name, "host": other.host, "networks": other.networks, "keys": other.keys, "unknown": unknown}
    try:
        found = change(stack, _SPLIT, document).value
    except ConflictError as error:
        if "splits_domain_fkey" in str(error):
            msg = f"domain {name} is not in the directory: `onedallmail domain add {name}` first"
            raise ConflictError(msg) from error
        raise
    if not found["done"]:
        shared = ", ".join(found["others"])
        msg = (
            f"{shared} {'is' if len(found['others']) == 1 else 'are'} shared with a system of another name, and there "
            f"can be one at a time: end that first (`onedallmail domain split {found['others'][0]} --off`)"
        )
        raise ConflictError(msg)


def set_policy(stack: str, domain: str, unknown: Unknown) -> None:
    """Change what becomes of a shared domain's unknown addresses; raises UnknownError where it is not shared."""
    name = _own(stack, domain)
    if not change(stack, _POLICY, {"domain": name, "unknown": unknown}).value:
        raise _not_shared(name)


def unsplit(stack: str, domain: str) -> None:
    """End the sharing of a domain.

    Raises:
        UnknownError: it is not shared.
        ConflictError: addresses of it still live elsewhere.
    """
    name = _own(stack, domain)
    found = change(stack, _OFF, {"domain": name}).value
    if found["elsewhere"]:
        first = found["elsewhere"][0]
        msg = (
            f"{len(found['elsewhere'])} addresses of {name} still live elsewhere, such as {first}: "
            f"nothing was changed; add their mailboxes (`onedallmail user add {first}`), or name those that end "
            f"(`onedallmail user elsewhere --off {first}`)"
        )
        raise ConflictError(msg)
    if not found["done"]:
        raise _not_shared(name)


def live_elsewhere(stack: str, addresses: Sequence[str], *, keep_mailboxes: bool = False) -> list[str]:
    """Note that addresses live on the other system; return those that were new. All or none of them.

    With `keep_mailboxes` an address may have a mailbox here, which gets no mail from then on and stays as it is.

    Raises:
        InputError: an address is wrong, or its domain is not the stack's.
        ConflictError: its domain is not shared, or the address is a mailbox or an alias.
    """
    wanted = _addresses(stack, addresses)
    known = read(stack, _KNOWN, {"addresses": sorted(map(str, wanted))}).value
    apart = sorted({who.domain for who in wanted} - set(known["shared"]))
    if apart:
        raise _not_shared(apart[0])
    if known["aliases"]:
        first = known["aliases"][0]
        msg = f"{_listed(known['aliases'])}: an alias already; nothing was changed: `onedallmail alias remove {first}`"
        raise ConflictError(msg)
    if known["mailboxes"] and not keep_mailboxes:
        first = known["mailboxes"][0]
        msg = (
            f"{_listed(known['mailboxes'])}: a mailbox here already; nothing was changed: "
            f"`onedallmail user delete {first}` first, or --keep-mailbox, with which it stays and "
            "new mail goes to the other system"
        )
        raise ConflictError(msg)
    rows = [{"local_part": who.local, "domain": who.domain} for who in wanted]
    added: list[str] = change(stack, _ADD, {"rows": rows}).value
    return added


def come_home(stack: str, addresses: Sequence[str], *, only_ours: bool = False) -> tuple[list[str], list[str]]:
    """Note that addresses no longer live on the other system, in one step; return those that did, and those with a
    mailbox here among them: the others are unknown from then on, or stay there with `only_ours`.

    Raises:
        ConflictError: aliases lead to one that has no mailbox here.
    """
    wanted = sorted(map(str, _addresses(stack, addresses)))
    found = change(stack, _HOME, {"addresses": wanted, "only_ours": only_ours}).value
    if found["used"]:
        msg = (
            f"{_listed(found['used'])}: aliases lead there, and no mailbox is here; nothing was changed: "
            "`onedallmail user add` it, or `onedallmail alias remove` those aliases (`onedallmail alias list`)"
        )
        raise ConflictError(msg)
    return found["done"], found["ours"]


def _own(stack: str, domain: str) -> str:
    name, known = domain_name(domain), load_platform(stack).domains
    if name not in known:
        msg = f"{name} is no domain of stack {stack}: it has {', '.join(known)}"
        raise InputError(msg)
    return name


def _addresses(stack: str, addresses: Iterable[str]) -> list[Address]:
    own = load_platform(stack).domains
    return list(dict.fromkeys(own_address(text, own) for text in addresses))


def _listed(addresses: list[str]) -> str:
    more = f" and {len(addresses) - 3} more" if len(addresses) > 3 else ""  # noqa: PLR2004 - a line holds that many
    return ", ".join(addresses[:3]) + more


def _not_shared(domain: str) -> UnknownError:
    name_it = f"`onedallmail domain split {domain} --to HOST`"
    return UnknownError(f"{domain} is not shared with another system: {name_it} names that system first")
