"""Where a checkout keeps its state and where slow results are cached.

Nothing here creates a file; callers do, with the modes they need.
"""

import hashlib
import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The checkout: the folder that holds Pulumi.yaml."""


def state_dir(stack: str) -> Path:
    """Return the folder of one stack's state (secrets included; callers create it with mode 0700)."""
    return ROOT / ".onedallmail" / stack


def cache_dir() -> Path:
    """Return the folder of results that are keyed by their content and shared by checkouts."""
    configured = os.environ.get("ONEDALLMAIL_CACHE")
    return Path(configured) if configured else Path.home() / ".cache" / "onedallmail"


def lab_id() -> str:
    """Return six hex digits that name this checkout's lab, so that two checkouts never collide."""
    return hashlib.sha256(str(ROOT).encode()).hexdigest()[:6]
