"""Mail domains in the directory: only those of the stack file, which also gives them DNS records and keys."""

from typing import Any

from onedallmail.stackfile import load_platform

from .address import domain_name
from .errors import InputError
from .session import change, read

_LIST = """
SELECT coalesce(jsonb_agg(to_jsonb(d) ORDER BY d.domain), '[]') FROM (
  SELECT name AS domain, created_at AS created,
    (SELECT count(*) FROM directory.mailboxes AS m WHERE m.domain = name) AS mailboxes,
    (SELECT count(DISTINCT local_part) FROM directory.aliases AS a WHERE a.domain = name) AS aliases
  FROM directory.domains) AS d"""

_ADD = """
WITH done AS (INSERT INTO directory.domains (name) VALUES (:input ->> 'domain') ON CONFLICT DO NOTHING RETURNING name)
SELECT to_jsonb(count(*)) FROM done"""


def domains(stack: str) -> list[dict[str, Any]]:
    """Return each domain: domain, created, and how many mailboxes and aliases it has."""
    found: list[dict[str, Any]] = read(stack, _LIST).value
    return found


def add_domain(stack: str, domain: str) -> bool:
    """Add a domain of the stack; return whether it was missing.

    Raises:
        InputError: the stack file does not list it.
    """
    name, known = domain_name(domain), load_platform(stack).domains
    if name not in known:
        msg = (
            f"{name} is no domain of stack {stack} ({', '.join(known)}): add it to onedallmail:domains of "
            f"Pulumi.{stack}.yaml and bring the stack up, so that it has its records and keys, then add it here"
        )
        raise InputError(msg)
    return bool(change(stack, _ADD, {"domain": name}).value)
