"""Port 25 outside: what a server's connections mean, and what AWS is asked for."""

import json
import socket
import subprocess
import sys
import threading

import pytest

from onedallmail.preflight.port25 import PROBE, Attempt, Verdict, judge, parse, request_text


def attempt(port: int, result: str, said: str = "") -> Attempt:
    return Attempt("mx.partner.example", port, result, said, 1.0)


@pytest.mark.parametrize(
    ("attempts", "verdict"),
    [
        ([attempt(25, "open", "220 hello"), attempt(443, "timeout")], Verdict.OPEN),
        ([attempt(25, "refused"), attempt(443, "open")], Verdict.OPEN),
        ([attempt(25, "timeout"), attempt(443, "open")], Verdict.BLOCKED),
        ([attempt(25, "timeout"), attempt(443, "timeout")], Verdict.NOT_ESTABLISHED),
        ([attempt(25, "failed", "no such name"), attempt(443, "open")], Verdict.NOT_ESTABLISHED),
        ([attempt(443, "open")], Verdict.NOT_ESTABLISHED),
    ],
)
def test_only_silence_on_port_25_alone_is_a_block(attempts: list[Attempt], verdict: Verdict) -> None:
    assert judge("a1", attempts).verdict is verdict


def test_the_probe_tells_open_from_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        threading.Thread(target=server.accept, daemon=True).start()
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            targets = json.dumps([["127.0.0.1", port], ["127.0.0.1", closed.getsockname()[1]]])
            done = subprocess.run([sys.executable, "-c", PROBE, targets], capture_output=True, text=True, check=True)
    assert [a.result for a in parse(done.stdout)] == ["open", "refused"]


def test_an_answer_that_is_not_the_probes_is_refused() -> None:
    with pytest.raises(ValueError, match="no answer of its own"):
        parse("Warning: Permanently added\n")


def test_the_request_has_each_address_with_its_reverse_name() -> None:
    text = request_text("111122223333", {"eu-central-1": {"198.51.100.7": "out-a.eu-central-1.example.com"}})
    assert "198.51.100.7  out-a.eu-central-1.example.com" in text
    assert "111122223333" in text
