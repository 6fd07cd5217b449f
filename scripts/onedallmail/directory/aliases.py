"""Aliases in the directory: each leads to mailboxes, other aliases or addresses elsewhere, and never in a circle."""

from collections.abc import Iterable, Mapping
from typing import Any

from onedallmail.stackfile import load_platform

from .address import any_address, own_address
from .errors import ConflictError, InputError, UnknownError
from .session import change, read

_LIST = """
SELECT coalesce(jsonb_agg(to_jsonb(a) ORDER BY a.address), '[]') FROM (
  SELECT address, jsonb_agg(destination ORDER BY destination) AS destinations, min(created_at) AS created
  FROM directory.aliases GROUP BY address) AS a"""

_KNOWN = """
SELECT jsonb_build_object('aliases', (SELECT coalesce(jsonb_object_agg(address, destinations), '{}') FROM (
    SELECT address, jsonb_agg(destination) AS destinations FROM directory.aliases GROUP BY address) AS a),
  'domains', (SELECT coalesce(jsonb_agg(name), '[]') FROM directory.domains),
  'elsewhere', (SELECT coalesce(jsonb_agg(address), '[]') FROM directory.elsewhere),
  'anybody', (SELECT coalesce(jsonb_agg(domain), '[]') FROM directory.splits WHERE unknown = 'elsewhere'),
  'mailboxes', (SELECT coalesce(jsonb_agg(address), '[]') FROM directory.mailboxes))"""

_ADD = """
WITH done AS (
  INSERT INTO directory.aliases (local_part, domain, destination)
  SELECT :input ->> 'local_part', :input ->> 'domain', d FROM jsonb_array_elements_text(:input -> 'destinations') AS d
  ON CONFLICT DO NOTHING RETURNING destination)
SELECT coalesce(jsonb_agg(destination ORDER BY destination), '[]') FROM done"""

_REMOVE = """
WITH going AS (
  SELECT destination FROM directory.aliases WHERE address = :input ->> 'address'
    AND (:input -> 'destinations' = '[]' OR :input -> 'destinations' ? destination)),
staying AS (
  SELECT FROM directory.aliases WHERE address = :input ->> 'address' AND destination NOT IN (SELECT * FROM going)),
used AS (
  SELECT address FROM directory.aliases WHERE destination = :input ->> 'address' AND NOT EXISTS (SELECT FROM staying)),
done AS (
  DELETE FROM directory.aliases WHERE address = :input ->> 'address'
    AND destination IN (SELECT * FROM going) AND NOT EXISTS (SELECT FROM used) RETURNING destination)
SELECT jsonb_build_object(
  'removed', (SELECT coalesce(jsonb_agg(destination ORDER BY destination), '[]') FROM done),
  'aliases', (SELECT coalesce(jsonb_agg(address ORDER BY address), '[]') FROM used))"""


def aliases(stack: str) -> list[dict[str, Any]]:
    """Return each alias: address, destinations, created."""
    found: list[dict[str, Any]] = read(stack, _LIST).value
    return found


def add_alias(stack: str, source: str, destinations: Iterable[str]) -> list[str]:
    """Let an address lead to one or more others; return those that were new.

    Raises:
        InputError: an address is wrong, or a destination in the stack's domains does not exist.
        ConflictError: the source is a mailbox, or mail would go in a circle.
    """
    own = load_platform(stack).domains
    who, wanted = own_address(source, own), sorted({str(any_address(d)) for d in destinations})
    known = read(stack, _KNOWN).value
    edges: dict[str, list[str]] = known["aliases"]
    if who.domain not in known["domains"]:
        msg = f"domain {who.domain} is not in the directory: `onedallmail domain add {who.domain}` first"
        raise ConflictError(msg)
    if str(who) in known["mailboxes"]:
        msg = f"{who} is a mailbox, and an address has one meaning: take another address for the alias"
        raise ConflictError(msg)
    if str(who) in known["elsewhere"]:
        msg = f"{who} lives elsewhere, and an address has one meaning: `onedallmail user elsewhere --off {who}` first"
        raise ConflictError(msg)
    reachable = {*known["mailboxes"], *known["elsewhere"], *edges, str(who)}
    certain = {*known["domains"]} - {*known["anybody"]}
    missing = [d for d in wanted if d.rpartition("@")[2] in certain and d not in reachable]
    if missing:
        msg = (
            f"alias {who}: no mailbox or alias here is named {', '.join(missing)}: `onedallmail user add` first "
            "(or `onedallmail user elsewhere`, if it lives on the system that the domain is shared with)"
        )
        raise InputError(msg)
    circle = circle_through(edges, str(who), wanted)
    if circle:
        msg = f"alias {who}: mail would go in a circle ({' -> '.join(circle)}): leave {circle[1]} out"
        raise ConflictError(msg)
    document = {"local_part": who.local, "domain": who.domain, "destinations": wanted}
    added: list[str] = change(stack, _ADD, document).value
    return added


def remove_alias(stack: str, source: str, destinations: Iterable[str] = ()) -> list[str]:
    """Remove some destinations of an alias, or all of them; return those removed.

    Raises:
        ConflictError: nothing would be left of it while other aliases lead to it.
        UnknownError: there is nothing to remove.
    """
    who = own_address(source, load_platform(stack).domains)
    wanted = sorted({str(any_address(d)) for d in destinations})
    found = change(stack, _REMOVE, {"address": str(who), "destinations": wanted}).value
    removed: list[str] = found["removed"]
    if not removed and found["aliases"]:
        msg = (
            f"{', '.join(found['aliases'])} still lead(s) to {who}: "
            f"`onedallmail alias remove {found['aliases'][0]} {who}` first, so that no alias loses its mail"
        )
        raise ConflictError(msg)
    if not removed:
        where = f" that leads to {' or '.join(wanted)}" if wanted else ""
        msg = f"there is no alias {who}{where}: `onedallmail alias list` shows those there are"
        raise UnknownError(msg)
    return removed


def circle_through(edges: Mapping[str, Iterable[str]], source: str, wanted: Iterable[str]) -> list[str]:
    """Return the circle that new edges from `source` would close, from source to source; empty if none."""
    stack, seen = [[source, step] for step in wanted], set[str]()
    while stack:
        path = stack.pop()
        if path[-1] == source:
            return path
        if path[-1] not in seen:
            seen.add(path[-1])
            stack += [[*path, step] for step in edges.get(path[-1], ())]
    return []
