"""Mailboxes in the directory: listed, added, changed and removed at its leader.

Every function checks its input before it asks a server; errors are DirectoryError.
"""

from typing import Any

from onedallmail.stackfile import load_platform

from . import kept
from .address import Address, own_address
from .errors import ConflictError, UnknownError
from .password import generate, hashed
from .session import change, homes, read
from .validate import DEFAULT_QUOTA, checked_group, checked_password, display_name, quota_bytes

_LIST = """
SELECT coalesce(jsonb_agg(to_jsonb(m) ORDER BY m.address), '[]') FROM (
  SELECT address, display_name AS name, placement_group AS "group", quota_bytes, enabled, created_at AS created
  FROM directory.mailboxes) AS m"""

_ADD = """
WITH home AS (DELETE FROM directory.elsewhere
  WHERE address = (:input ->> 'local_part') || '@' || (:input ->> 'domain') AND NOT (:input -> 'moving')::boolean),
away AS (INSERT INTO directory.elsewhere (local_part, domain)
  SELECT :input ->> 'local_part', s.domain FROM directory.splits AS s
  WHERE s.domain = :input ->> 'domain' AND s.unknown = 'elsewhere' AND (:input -> 'moving')::boolean
  ON CONFLICT DO NOTHING)
INSERT INTO directory.mailboxes (local_part, domain, display_name, placement_group, quota_bytes, password_hash)
SELECT * FROM jsonb_to_record(:input)
  AS v(local_part text, domain text, name text, "group" integer, quota_bytes bigint, password_hash text)
RETURNING to_jsonb(address)"""

_UPDATE = """
WITH done AS (UPDATE directory.mailboxes SET {assignment} WHERE address = :input ->> 'address' RETURNING address)
SELECT to_jsonb(count(*)) FROM done"""

_REMOVE = """
WITH used AS (SELECT DISTINCT address FROM directory.aliases WHERE destination = :input ->> 'address'
  AND NOT EXISTS (SELECT FROM directory.elsewhere AS e WHERE e.address = :input ->> 'address')),
done AS (DELETE FROM directory.mailboxes
  WHERE address = :input ->> 'address' AND NOT EXISTS (SELECT FROM used) RETURNING address)
SELECT jsonb_build_object('removed', (SELECT count(*) FROM done),
  'aliases', (SELECT coalesce(jsonb_agg(address ORDER BY address), '[]') FROM used))"""


def mailboxes(stack: str) -> list[dict[str, Any]]:
    """Return each mailbox: address, name, group, home (None if unknown), quota_bytes, enabled, created."""
    answer = read(stack, _LIST)
    where = answer.homes or (homes(stack) if answer.value else None) or {}
    return [{**row, "home": where.get(row["group"])} for row in answer.value]


def mailbox(stack: str, address: str) -> dict[str, Any]:
    """Return one mailbox as `mailboxes` does.

    Raises:
        UnknownError: there is none of that address.
    """
    wanted = str(checked(stack, address))
    for row in mailboxes(stack):
        if row["address"] == wanted:
            return row
    raise _unknown(wanted)


def checked(stack: str, address: str) -> Address:
    """Return an address of the stack's domains in its one spelling."""
    return own_address(address, load_platform(stack).domains)


def add(
    stack: str,
    address: str,
    password: str | None,
    *,
    name: str = "",
    quota: str = DEFAULT_QUOTA,
    group: int | None = None,
    moving: bool = False,
) -> str:
    """Add a mailbox and return its password; without one, make one (which the lab keeps).

    An address that lived elsewhere (split delivery) is one of ours from then on, in the same step; with `moving` its
    mail still goes there until `elsewhere.come_home`, so that the mailbox can be filled before.

    Raises:
        ConflictError: the address is in use, or its domain has not been added.
    """
    who = checked(stack, address)
    row = {
        "local_part": who.local,
        "domain": who.domain,
        "name": display_name(name),
        "group": checked_group(group, who, load_platform(stack).config.placement_groups),
        "quota_bytes": quota_bytes(quota),
        "moving": moving,
    }
    chosen = new_password(who) if password is None else checked_password(password, who)
    try:
        change(stack, _ADD, row | {"password_hash": hashed(chosen)})
    except ConflictError as error:
        raise _conflict(who, error) from error
    if password is None:
        kept.keep(stack, str(who), chosen)
    return chosen


def set_password(stack: str, address: str, password: str | None) -> str:
    """Replace a mailbox's password and return it; without one, make one (which the lab keeps).

    Raises:
        UnknownError: there is no such mailbox.
    """
    who = checked(stack, address)
    chosen = new_password(who) if password is None else checked_password(password, who)
    _update(stack, who, "password_hash", hashed(chosen))
    if password is None or kept.kept(stack, str(who)) is not None:
        kept.keep(stack, str(who), chosen)
    return chosen


def enable(stack: str, address: str) -> None:
    """Let a mailbox log in and send again."""
    _update(stack, checked(stack, address), "enabled", True)


def disable(stack: str, address: str) -> None:
    """Refuse a mailbox's logins and submissions; it still receives."""
    _update(stack, checked(stack, address), "enabled", False)


def remove(stack: str, address: str) -> None:
    """Remove a mailbox from the directory; its stored mail stays on its servers.

    Raises:
        ConflictError: aliases still lead to it.
        UnknownError: there is no such mailbox.
    """
    who = str(checked(stack, address))
    found = change(stack, _REMOVE, {"address": who}).value
    if found["removed"]:
        kept.forget(stack, who)
        return
    if found["aliases"]:
        first = found["aliases"][0]
        msg = (
            f"{who} is where {', '.join(found['aliases'])} lead(s): "
            f"`onedallmail alias remove {first} {who}` first, so that no alias loses its mail"
        )
        raise ConflictError(msg)
    raise _unknown(who)


def new_password(who: Address) -> str:
    """Return a generated password that the rules accept."""
    while True:
        password = generate()
        if who.local not in password:
            return checked_password(password, who)


_ASSIGNMENTS = {
    "password_hash": "password_hash = :input ->> 'value'",
    "enabled": "enabled = (:input ->> 'value')::boolean",
}


def _update(stack: str, who: Address, field: str, value: object) -> None:
    statement = _UPDATE.format(assignment=_ASSIGNMENTS[field])
    if not change(stack, statement, {"address": str(who), "value": value}).value:
        raise _unknown(str(who))


def _unknown(address: str) -> UnknownError:
    return UnknownError(f"there is no mailbox {address}: `onedallmail user list` shows those there are")


def _conflict(who: Address, error: ConflictError) -> ConflictError:
    text = str(error)
    if "mailboxes_address_key" in text:
        text = f"mailbox {who} exists already; nothing was changed: `onedallmail user show {who}` shows it"
    elif text.endswith("is an alias"):
        text = (
            f"{who} is an alias; nothing was changed: `onedallmail alias remove {who}` first, or take another address"
        )
    elif "mailboxes_domain_fkey" in text:
        text = f"domain {who.domain} is not in the directory: `onedallmail domain add {who.domain}` first"
    elif "mailboxes_placement_group_fkey" in text:
        text = f"the directory has not all placement groups of the stack file ({text}): run `onedallmail stack up`"
    return ConflictError(text)
