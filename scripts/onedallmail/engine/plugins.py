"""Processes of the lab's AWS provider: started, identified, configured and ended by the engine.

No other provider is ever started: real clouds are the work of the pulumi command.
"""

import json
import os
import subprocess
import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2 as proto
from pulumi.runtime.proto import provider_pb2_grpc

from . import child
from .client import Client
from .errors import EngineError, ResourceError
from .values import reveal, to_struct

PACKAGE = "aws"
BUILTIN = "pulumi"
"""Package of what the engine answers itself: references to other stacks."""

LAB_MARK = "onedallmail.lab"
"""Build metadata in the version of the lab's provider; a provider without it is not ours and is refused."""

CHANNEL_OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.enable_http_proxy", 0),
]
LOST_S = 1.0
META_INPUTS = ("version", "pluginDownloadURL", "__internal")


def python_path() -> dict[str, str]:
    """Return the environment in which a child finds this package, installed or not."""
    here = str(Path(__file__).resolve().parents[2])
    old = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": here + (os.pathsep + old if old else "")}


def refuse_foreign(package: str) -> None:
    """Raise ResourceError for every package but the lab's and the engine's own."""
    if package not in (PACKAGE, BUILTIN):
        msg = (
            f"provider '{package}' is refused: the embedded engine drives the lab's '{PACKAGE}' provider only; "
            f"use a pulumi command for stacks that need '{package}'"
        )
        raise ResourceError(msg)


class Plugins:
    """Provider clients by reference (`urn::id`), each with a process of its own."""

    def __init__(self, command: list[str], log: Path) -> None:
        """Remember how to start the provider; its standard error is appended to `log`."""
        self._command, self._log = command, log
        self._lock = threading.Lock()
        self._clients: dict[str, Client] = {}
        self._processes: list[subprocess.Popen[str]] = []
        # Children die with the thread that started them (see child.py), so one thread starts them all.
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="plugin-starter")
        self._spare: Future[Any] | None = None

    def warm(self) -> None:
        """Start the process that the first reference will use, without waiting for it."""
        self._spare = self._starter.submit(self._start)

    def client(self, ref: str, package: str, inputs: Mapping[str, Any]) -> Client:
        """Return the configured client of a provider resource, starting it on first use."""
        refuse_foreign(package)
        with self._lock:
            if ref not in self._clients:
                started, self._spare = self._spare or self._starter.submit(self._start), None
                stub = started.result()
                configure(stub, ref, inputs)
                self._clients[ref] = Client(stub)
            return self._clients[ref]

    def _start(self) -> Any:
        self._log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                child.command(*self._command), stdout=subprocess.PIPE, stderr=log, env=python_path(), text=True
            )
        self._processes.append(process)
        assert process.stdout is not None  # noqa: S101 - a pipe was asked for; for mypy
        port = process.stdout.readline().strip()
        if not port.isdigit():
            msg = f"the lab's AWS provider did not start (it wrote '{port}' for its port): see {self._log}"
            raise EngineError(msg)
        stub = provider_pb2_grpc.ResourceProviderStub(
            grpc.insecure_channel(f"127.0.0.1:{port}", options=CHANNEL_OPTIONS)
        )
        identify(stub)
        return stub

    def lost(self, error: grpc.RpcError) -> bool:
        """Tell whether a call failed because a provider process is no more, so that its outcome is unknown."""
        return error.code() == grpc.StatusCode.UNAVAILABLE and any(ended(p) for p in self._processes)

    def describe(self, error: grpc.RpcError) -> str:
        """Return what a failed call means to people."""
        if self.lost(error):
            return (
                f"the lab's AWS provider died while it worked on this (its log: {self._log}): whether it was done is "
                "unknown, so the operation stays listed as pending"
            )
        return f"{error.code().name}: {error.details()}"

    def close(self) -> None:
        """End every process."""
        self._starter.shutdown(wait=True)
        for process in self._processes:
            process.kill()
            process.wait()
            if process.stdout:
                process.stdout.close()


def ended(process: "subprocess.Popen[str]") -> bool:
    """Tell whether a process whose connection broke has ended (it may take a moment to)."""
    try:
        process.wait(LOST_S)
    except subprocess.TimeoutExpired:
        return False
    return True


def identify(stub: Any) -> None:
    """Refuse a provider that does not say that it is the lab's."""
    version = stub.GetPluginInfo(empty_pb2.Empty()).version
    if LAB_MARK not in version:
        msg = f"provider '{PACKAGE}' of version {version} is refused: it is not the lab's, which says +{LAB_MARK}"
        raise EngineError(msg)


def configure(stub: Any, ref: str, inputs: Mapping[str, Any]) -> None:
    """Hand its configuration to a fresh provider process."""
    plain = {k: v for k, v in reveal(dict(inputs)).items() if k not in META_INPUTS}
    variables = {f"{PACKAGE}:config:{k}": v if isinstance(v, str) else json.dumps(v) for k, v in plain.items()}
    stub.Handshake(proto.ProviderHandshakeRequest(engine_address="", invoke_with_preview=True))
    stub.Configure(
        proto.ConfigureRequest(
            variables=variables,
            args=to_struct(plain),
            acceptSecrets=True,
            acceptResources=True,
            sends_old_inputs=True,
            sends_old_inputs_to_delete=True,
            urn=ref.rpartition("::")[0],
        )
    )
