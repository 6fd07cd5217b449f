"""The lab's provider with faults: names in a file next to the stack's state fail, hang, break or are not found."""

import json
import os
import time
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import any_pb2
from google.rpc import status_pb2
from pulumi.runtime.proto import provider_pb2 as proto

from onedallmail.cloud.provider import Provider, serve, state_dir_argument
from onedallmail.engine.values import from_struct, to_struct

FAULTS = "faults.json"
HANG_S = 120


class FaultyProvider(Provider):
    """Does everything but what the fault file names: {"fail": [...], "hang": [...], ...}.

    When it creates: `fail`, `hang`, `die` (the process ends) and `half` (made, but not healthy).
    When it reads: `gone` (not found) and `drifted` (with other tags).
    """

    def __init__(self, state_dir: Path) -> None:
        """Read the faults."""
        super().__init__(state_dir)
        self._faults: dict[str, list[str]] = json.loads((state_dir / FAULTS).read_text())

    def _has(self, fault: str, request: Any) -> bool:
        return request.name in self._faults.get(fault, [])

    def Create(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Have a fault, else create."""
        if request.preview:
            return super().Create(request, context)
        if self._has("fail", request):
            context.abort(grpc.StatusCode.PERMISSION_DENIED, f"no right to create {request.name}")
        if self._has("hang", request):
            time.sleep(HANG_S)
        if self._has("die", request):
            os._exit(9)
        made = super().Create(request, context)
        if self._has("half", request):
            detail = any_pb2.Any()
            detail.Pack(proto.ErrorResourceInitFailed(id=made.id, properties=made.properties, reasons=["not healthy"]))
            status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message="not healthy", details=[detail])
            context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
            context.abort(grpc.StatusCode.UNKNOWN, "not healthy")
        return made

    def Read(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Find it gone or changed, else read."""
        if self._has("gone", request):
            return proto.ReadResponse(id="")
        answer = super().Read(request, context)
        if self._has("drifted", request):
            changed = {"tags": {"version": "changed by hand"}}
            inputs, outputs = from_struct(answer.inputs) | changed, from_struct(answer.properties) | changed
            return proto.ReadResponse(id=answer.id, inputs=to_struct(inputs), properties=to_struct(outputs))
        return answer


if __name__ == "__main__":
    serve(FaultyProvider(state_dir_argument()))
