"""Names of the lab's namespaces and interfaces: one rule, so that a leftover is known by its name.

Every namespace is `odm-<lab id>-<node>`; two checkouts have two lab ids.
"""

from .errors import LabError

OPS = "ops"
INET = "inet"
CLIENT = "client"
MAX_INTERFACE = 15
"""IFNAMSIZ less the terminating zero (linux/if.h)."""
_POINTS = (("north", "n"), ("south", "s"), ("east", "e"), ("west", "w"), ("central", "c"))


def prefix(lab_id: str) -> str:
    """Return what the names of all namespaces of one lab begin with."""
    return f"odm-{lab_id}-"


def namespace(lab_id: str, node: str) -> str:
    """Return the name of a node's, router's or helper's network namespace."""
    return prefix(lab_id) + node


def region_short(region: str) -> str:
    """Return a short form of a region's name: eu-central-1 becomes euc1, ap-southeast-2 apse2."""
    area, *points, number = region.split("-")
    text = "".join(points)
    for long, short in _POINTS:
        text = text.replace(long, short)
    return f"{area}{text}{number}"


def router(region: str) -> str:
    """Return the name of a region's router."""
    return f"r-{region_short(region)}"


def interface(kind: str, name: str) -> str:
    """Return `<kind>-<name>`: i instance, p peering, o outside, m management, r router. Raises LabError if too long."""
    result = f"{kind}-{name}"
    if len(result) > MAX_INTERFACE:
        message = (
            f"The name {name!r} is too long for the lab: give it at most {MAX_INTERFACE - len(kind) - 1} characters."
        )
        raise LabError(message)
    return result
