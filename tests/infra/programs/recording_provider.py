"""A provider that makes nothing: `name` and `region` force replacement, all else updates in place, no names of its own.

A file `order.json` below `--state` ({"first": [URN...], "then": [...], "last": [...]}) says which resources wait for
which: a test decides what was done when another one fails.
An id follows from URN and region, so a replacement may have its predecessor's. What it was asked to make, change and
delete is in `provider-calls.jsonl` below `--state`.
"""

import argparse
import hashlib
import json
import threading
import time
from pathlib import Path
from typing import Any

from google.protobuf import empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2_grpc
from pulumi.runtime.proto import provider_pb2 as proto

from onedallmail.cloud.provider import serve
from onedallmail.engine.plugins import LAB_MARK
from onedallmail.engine.values import from_struct, to_struct

FORCE_NEW = ("name", "region")
ORDER, CALLS = "order.json", "provider-calls.jsonl"
WAIT_S, SETTLING_S = 20.0, 0.2


def serial(urn: str, region: str) -> str:
    """Return the number that the provider of the golden records gave a resource."""
    place = hashlib.sha256(f"{urn}{json.dumps(region)}".encode()).hexdigest()
    return "0" + hashlib.sha256(f"{place}{{}}".encode()).hexdigest()[:16]


class RecordingProvider(provider_pb2_grpc.ResourceProviderServicer):
    """Method names are the protocol's."""

    def __init__(self, state_dir: Path) -> None:
        """Read the order."""
        order = state_dir / ORDER
        self._order: dict[str, list[str]] = json.loads(order.read_text()) if order.exists() else {}
        self._settled, self._changed = set[str](), threading.Condition()
        self._calls, self._lock, self._region = state_dir / CALLS, threading.Lock(), "us-east-1"

    def Handshake(self, _request: Any, _: Any) -> Any:  # noqa: N802
        return proto.ProviderHandshakeResponse()

    def GetPluginInfo(self, _request: Any, _: Any) -> Any:  # noqa: N802
        return plugin_pb2.PluginInfo(version=f"1.0.0+{LAB_MARK}")

    def Attach(self, _request: Any, _: Any) -> Any:  # noqa: N802
        return empty_pb2.Empty()

    def Cancel(self, _request: Any, _: Any) -> Any:  # noqa: N802
        return empty_pb2.Empty()

    def CheckConfig(self, request: Any, _: Any) -> Any:  # noqa: N802
        return proto.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, _: Any) -> Any:  # noqa: N802
        same = request.olds == request.news
        return proto.DiffResponse(changes=proto.DiffResponse.DIFF_NONE if same else proto.DiffResponse.DIFF_SOME)

    def Configure(self, request: Any, _: Any) -> Any:  # noqa: N802
        self._region = from_struct(request.args).get("region", self._region)
        return proto.ConfigureResponse(supportsPreview=True)

    def Check(self, request: Any, _: Any) -> Any:  # noqa: N802
        for group, before in (("then", "first"), ("last", "then")):
            if request.urn in self._order.get(group, []):
                self._await(self._order[before])
        return proto.CheckResponse(inputs=to_struct({"region": self._region, **from_struct(request.news)}))

    def Diff(self, request: Any, _: Any) -> Any:  # noqa: N802
        old, new = from_struct(request.old_inputs), from_struct(request.news)
        changed = [k for k in {**old, **new} if old.get(k) != new.get(k) and k not in request.ignoreChanges]
        some = proto.DiffResponse.DIFF_SOME if changed else proto.DiffResponse.DIFF_NONE
        if not changed or request.urn in self._order.get("then", []):
            self._settle(request.urn)
        return proto.DiffResponse(changes=some, diffs=changed, replaces=[k for k in changed if k in FORCE_NEW])

    def Create(self, request: Any, _: Any) -> Any:  # noqa: N802
        inputs = from_struct(request.properties)
        if request.preview:
            return proto.CreateResponse(id="", properties=to_struct(inputs))
        service, kind = request.type.split(":")[1].split("/")
        identifier = f"{kind}-{serial(request.urn, inputs['region'])}"
        self._record("create", request.urn, identifier)
        arn = f"arn:aws:{service}:{inputs['region']}:123456789012:{kind}/{identifier}"
        return proto.CreateResponse(id=identifier, properties=to_struct({**inputs, "arn": arn}))

    def Update(self, request: Any, _: Any) -> Any:  # noqa: N802
        self._record("update", request.urn, request.id)
        return proto.UpdateResponse(properties=to_struct({**from_struct(request.olds), **from_struct(request.news)}))

    def Delete(self, request: Any, _: Any) -> Any:  # noqa: N802
        self._record("delete", request.urn, request.id)
        return empty_pb2.Empty()

    def _await(self, urns: list[str]) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._settled.issuperset(urns), WAIT_S)
        time.sleep(SETTLING_S)  # for the engine to record what it was answered

    def _settle(self, urn: str) -> None:
        with self._changed:
            self._settled.add(urn)
            self._changed.notify_all()

    def _record(self, call: str, urn: str, identifier: str) -> None:
        self._settle(urn)
        with self._lock, self._calls.open("a") as file:
            file.write(json.dumps([call, urn, identifier]) + "\n")


def main(arguments: list[str] | None = None) -> None:
    """Serve below the folder of `--state`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--state", type=Path, required=True)
    serve(RecordingProvider(parser.parse_args(arguments).state))


if __name__ == "__main__":
    main()
