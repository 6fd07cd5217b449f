"""What benchmarks share: how large a run is, and where its figures are kept."""

import json
import os
from typing import Any

from onedallmail.evidence.bundle import evidence_dir
from tests.lab import STACK

FULL = os.environ.get("ONEDALLMAIL_FULL") == "1"
"""Whether a run may take many minutes; otherwise each benchmark takes at most one."""


def keep(name: str, figures: dict[str, Any]) -> None:
    """Write figures beside the evidence, where the report finds them."""
    path = evidence_dir(STACK) / f"{name}.json"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.write_text(json.dumps(figures, indent=1))
