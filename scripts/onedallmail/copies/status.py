"""Status files of the services, for monitoring and tests: replaced by rename, worth nothing after a crash."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

INGEST = "ingest.json"
STATUS = "status.json"
VERSION = 1


def write(directory: Path, name: str, facts: Mapping[str, Any], at: str) -> None:
    """Replace a status file; raises OSError."""
    draft = directory / f".{name}.{os.getpid()}"
    draft.write_text(json.dumps({"version": VERSION, "at": at, **facts}, indent=1) + "\n")
    draft.chmod(0o644)
    draft.rename(directory / name)


def read(directory: Path, name: str) -> dict[str, Any] | None:
    """Return what a status file says, None when there is none."""
    try:
        found: dict[str, Any] = json.loads((directory / name).read_text())
    except (OSError, ValueError):
        return None
    return found
