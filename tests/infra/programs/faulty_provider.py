"""The lab's provider with faults: names in a file next to the stack's state fail, or hang, when they are created."""

import json
import time
from pathlib import Path
from typing import Any

import grpc

from onedallmail.cloud.provider import Provider, serve, state_dir_argument

FAULTS = "faults.json"


class FaultyProvider(Provider):
    """Creates everything but what the fault file names: {"fail": [...], "hang": [...]}."""

    def __init__(self, state_dir: Path) -> None:
        """Read the faults."""
        super().__init__(state_dir)
        self._faults: dict[str, list[str]] = json.loads((state_dir / FAULTS).read_text())

    def Create(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Fail or hang, else create."""
        if not request.preview and request.name in self._faults.get("fail", []):
            context.abort(grpc.StatusCode.PERMISSION_DENIED, f"no right to create {request.name}")
        if not request.preview and request.name in self._faults.get("hang", []):
            time.sleep(120)
        return super().Create(request, context)


if __name__ == "__main__":
    serve(FaultyProvider(state_dir_argument()))
