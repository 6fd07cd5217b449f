"""Names for resources that take short ones: load balancers have 32 characters, accelerators 64.

Sources: API references of Elastic Load Balancing (CreateLoadBalancer: letters, digits, hyphens) and of Global
Accelerator (CreateAccelerator).
"""

import hashlib
import re

from .naming import resource_name

BALANCER_LENGTH = 32
ACCELERATOR_LENGTH = 64
DIGEST_LENGTH = 6


def short_name(stack: str, *parts: str, length: int = BALANCER_LENGTH) -> str:
    """Return the resource's usual name, cut to `length` characters; a digest keeps cut names apart."""
    whole = resource_name(stack, *parts)
    plain = re.sub(r"[^A-Za-z0-9]+", "-", whole).strip("-")
    if len(plain) <= length:
        return plain
    digest = hashlib.sha256(whole.encode()).hexdigest()[:DIGEST_LENGTH]
    return f"{plain[: length - DIGEST_LENGTH - 1].rstrip('-')}-{digest}"
