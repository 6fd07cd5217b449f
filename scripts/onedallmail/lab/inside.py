"""Doing things inside the lab: in a node's network namespace, or in the node itself."""

import ctypes
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from .. import paths
from . import naming
from .errors import LabError
from .nodes import NodePlace, init

_CLONE_NEWNET = 0x40000000
_OWN = Path("/proc/thread-self/ns/net")


@contextmanager
def inside(node: str) -> Iterator[None]:
    """Let the calling thread's new sockets belong to a node's network namespace, and always come back.

    Raises:
        LabError: there is no such namespace.
    """
    path = Path("/run/netns") / naming.namespace(paths.lab_id(), node)
    if not path.exists():
        msg = f"the lab has no network namespace for {node} ({path} is missing): run ./scripts/up"
        raise LabError(msg)
    with _OWN.open() as own, path.open() as there:
        _enter(there.fileno())
        try:
            yield
        finally:
            _enter(own.fileno())


def _enter(descriptor: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        msg = f"setns failed: {os.strerror(number)}; the lab needs root"
        raise LabError(msg)


def exec_in(
    stack: str, node: str, argv: Sequence[str], *, stdin: str | None = None, timeout_s: float = 120
) -> "subprocess.CompletedProcess[str]":
    """Run a program of the node inside the node; the caller judges its status.

    Raises:
        LabError: the node does not run.
    """
    process = init(NodePlace(stack, paths.lab_id(), node))
    if process is None:
        msg = f"node {node} does not run: ./scripts/up starts it"
        raise LabError(msg)
    command = ["nsenter", "--target", str(process.pid), "--all", "--root", "--wd", *argv]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=timeout_s, check=False)
