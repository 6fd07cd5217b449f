"""The MTA-STS policy: which exchangers senders may trust, as the web serves it and as DNS announces it (RFC 8461)."""

import hashlib

from .model import Platform
from .options import PolicyMode

MAX_AGE_S = 14 * 86400
"""How long senders hold to a policy that they can't fetch anew; RFC 8461 (section 3.2) expects weeks."""
ID_LENGTH = 32
"""RFC 8461, section 3.1: up to 32 letters and digits."""


def policy_text(platform: Platform, exchangers: tuple[str, ...]) -> str:
    """Return the policy that every domain of the platform has: they share the exchangers (RFC 8461, section 3.2)."""
    mode = platform.config.mta_sts_mode
    names = () if mode is PolicyMode.NONE else exchangers
    fields = (("version", "STSv1"), ("mode", mode), *(("mx", name) for name in names), ("max_age", MAX_AGE_S))
    return "".join(f"{key}: {value}\n" for key, value in fields)


def policy_id(text: str) -> str:
    """Return the id of a policy: it differs whenever the policy does, which is when senders must fetch it anew."""
    return hashlib.sha256(text.encode()).hexdigest()[:ID_LENGTH]
