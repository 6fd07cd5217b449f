"""Facts of AWS by region, read from facts.yaml at the first question."""

from functools import cache
from pathlib import Path
from typing import Any

import yaml


@cache
def _facts() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "facts.yaml").read_text())
    return content


def balancer_zone(kind: str, region: str) -> str:
    """Return the hosted zone of the names of a region's load balancers (gateway ones have no names)."""
    zone: str = _facts()["balancer_zones"]["network" if kind == "net" else "application"][region]
    return zone


def balancer_log_account(region: str) -> str | None:
    """Return the account that delivers access logs of load balancers in a region, None where there is none."""
    account: str | None = _facts()["balancer_log_accounts"].get(region)
    return account
