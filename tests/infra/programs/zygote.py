"""Starts the programs and providers of many short runs by fork, from a process that has imported all they need.

`zygote.py SOCKET` waits for clients; `zygote_client.py SOCKET KIND ARGUMENTS...` is the command that an engine runs
in place of the launcher or a provider: it hands over its environment and its files, and ends as the forked child does.
"""

import array
import contextlib
import importlib
import json
import os
import signal
import socket
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

PRELOADED = ("pulumi_aws", "onedallmail.engine.launcher", "tests.infra.programs.recording_provider")
KINDS = {"program": "onedallmail.engine.launcher", "provider": "tests.infra.programs.recording_provider"}


def preload() -> None:
    """Import what every child needs."""
    for name in PRELOADED:
        importlib.import_module(name)
    aws: Any = importlib.import_module("pulumi_aws")
    _ = aws.sqs.Queue, aws.sns.Topic  # loaded lazily


def receive(client: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Return the request and the client's standard output and error."""
    size = array.array("i")
    data, ancillary, _, _ = client.recvmsg(1 << 20, socket.CMSG_LEN(2 * size.itemsize))
    files = array.array("i", ancillary[0][2])
    while not data.endswith(b"\n"):
        data += client.recv(1 << 20)
    request: dict[str, Any] = json.loads(data)
    return request, list(files)


def child(request: dict[str, Any], files: list[int]) -> None:
    """Be the program or the provider; never returns."""
    status = 1
    try:
        for source, target in zip(files, (1, 2), strict=True):
            os.dup2(source, target)
        os.environ.clear()
        os.environ.update(request["environment"])
        sys.argv = [request["kind"], *request["arguments"]]
        importlib.import_module(KINDS[request["kind"]]).main()
        status = 0
    except SystemExit as end:
        status = int(end.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def attend(client: socket.socket, pid: int) -> None:
    """Tell the client how the child ended; end the child when the client is gone."""

    ended = threading.Event()

    def follow() -> None:
        if not client.recv(1) and not ended.is_set():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    threading.Thread(target=follow, daemon=True).start()
    _, status = os.waitpid(pid, 0)
    ended.set()
    with contextlib.suppress(OSError):
        client.sendall(bytes([os.waitstatus_to_exitcode(status) & 0xFF]))
        client.shutdown(socket.SHUT_RDWR)
    client.close()


def main() -> None:
    """Serve until standard input ends."""
    preload()
    path = Path(sys.argv[1])
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    while True:
        client, _ = server.accept()
        request, files = receive(client)
        pid = os.fork()
        if pid == 0:
            child(request, files)
        for file in files:
            os.close(file)
        threading.Thread(target=attend, args=(client, pid), daemon=True).start()


if __name__ == "__main__":
    main()
