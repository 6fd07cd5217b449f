"""The policy pack as the process that Pulumi's engine starts, and requests to it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import analyzer_pb2 as proto
from pulumi.runtime.proto import analyzer_pb2_grpc

from onedallmail.engine.values import to_struct
from onedallmail.paths import ROOT

PACK = ROOT / "infra" / "policy"
NO_ENGINE = "127.0.0.1:1"
"""The pack asks nothing of the engine, so none has to answer here."""


class PolicyProcess:
    """A running pack."""

    def __init__(self, port: int) -> None:
        self._stub = analyzer_pb2_grpc.AnalyzerStub(grpc.insecure_channel(f"127.0.0.1:{port}"))

    def info(self) -> Any:
        """Return what the pack says of itself."""
        return self._stub.GetAnalyzerInfo(empty_pb2.Empty(), timeout=30)

    def configure(self, levels: Mapping[str, Any]) -> None:
        """Give policies other levels than their own."""
        config = {name: proto.PolicyConfig(enforcementLevel=level) for name, level in levels.items()}
        self._stub.Configure(proto.ConfigureAnalyzerRequest(policyConfig=config), timeout=30)

    def resource(self, token: str, inputs: Mapping[str, Any], name: str = "thing") -> dict[str, Any]:
        """Return the diagnostics of a resource that is about to be made, by policy."""
        request = proto.AnalyzeRequest(type=token, urn=urn(token, name), name=name, properties=to_struct(inputs))
        return {d.policyName: d for d in self._stub.Analyze(request, timeout=30).diagnostics}

    def stack(self, *resources: proto.AnalyzerResource) -> dict[str, Any]:
        """Return the diagnostics of a whole stack, by policy (the last one of each)."""
        request = proto.AnalyzeStackRequest(resources=resources)
        return {d.policyName: d for d in self._stub.AnalyzeStack(request, timeout=60).diagnostics}


def urn(token: str, name: str) -> str:
    """Return the URN of a resource of the stack."""
    return f"urn:pulumi:lab::onedallmail::{token}::{name}"


def made(
    token: str, name: str, outputs: Mapping[str, Any], refers: Mapping[str, str] | None = None
) -> proto.AnalyzerResource:
    """Return a resource that was made; `refers` maps a property to the URN that its value comes from."""
    dependencies = {k: proto.AnalyzerPropertyDependencies(urns=[v]) for k, v in (refers or {}).items()}
    return proto.AnalyzerResource(
        type=token,
        urn=urn(token, name),
        name=name,
        properties=to_struct(outputs),
        propertyDependencies=dependencies,
    )


@contextmanager
def policy_process(config: Mapping[str, str], *, preview: bool = False) -> Iterator[PolicyProcess]:
    """Run the pack for the stack `lab` with a flat configuration while the block runs."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "scripts"),
        "PULUMI_PROJECT": "onedallmail",
        "PULUMI_STACK": "lab",
        "PULUMI_DRY_RUN": str(preview).lower(),
        "PULUMI_CONFIG": json.dumps(dict(config)),
    }
    command = [sys.executable, "-u", "-m", "pulumi.policy", NO_ENGINE, str(PACK)]
    with subprocess.Popen(command, cwd=PACK, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield PolicyProcess(int(process.stdout.readline()))
        finally:
            process.kill()
