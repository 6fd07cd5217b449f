"""What the copy before 250 adds to the acceptance of a message, against the same server without it. Judges no time.

From the end of the data to the answer, one message at a time, in turns with and without the copy. Measured as well: the
link, as the time in which a TCP connection to a server of another region is there, which is once to and fro; and the
disk, as the time in which a file and its folder are flushed, which a copy needs at both ends.
"""

import shlex
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from rich.console import Console
from rich.table import Table

from onedallmail.platform.ports import Port
from tests.bench.kept import FULL, keep
from tests.bench.load import MESSAGE_BYTES, Door
from tests.lab import BOB, MAIL, PEER, account_on, connect, eventually, public_ip, require_lab, run_on, server, trust
from tests.mail.messages import message

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

ROUNDS, EACH = (20, 100) if FULL else (4, 30)
UNCOUNTED = 5
PAUSE_S = 0.05
GOAL_MS = 5.0
WHOLE = "/root/main.cf.bench"
WITHOUT = f"cp -a /etc/postfix/main.cf {WHOLE} && postconf -e copy_milter= && postfix reload"
WITH = f"[ ! -f {WHOLE} ] || {{ mv {WHOLE} /etc/postfix/main.cf && postfix reload; }}"


FLUSH = """
import os, statistics, sys, time
times = []
for number in range(int(sys.argv[1])):
    begun = time.perf_counter()
    with open("bench.tmp", "wb") as file:
        file.write(bytes(4096))
        file.flush()
        os.fdatasync(file.fileno())
    os.rename("bench.tmp", "bench")
    folder = os.open(".", os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)
    times.append(1000 * (time.perf_counter() - begun))
os.unlink("bench")
print(statistics.median(times))
"""


@contextmanager
def without_copies(name: str) -> Iterator[None]:
    """Let a server accept without a copy while the block runs."""
    try:
        assert run_on(name, WITHOUT).code == 0
        yield
    finally:
        assert run_on(name, WITH).code == 0


def accepted_ms(name: str, count: int) -> list[float]:
    """Return the milliseconds from the end of the data to the 250, of each message on one connection."""
    door, to = Door(PEER, public_ip(name), server(name).fqdn, trust()), account_on(name)
    times = []
    with door.smtp() as client:
        for number in range(count + UNCOUNTED):
            sample = message("Latency", "y" * 70 + "\n", to=to)
            raw = sample.raw + (b"y" * 70 + b"\r\n") * ((MESSAGE_BYTES - len(sample.raw)) // 72)
            client.mail(BOB)
            client.rcpt(to)
            assert client.docmd("DATA")[0] == 354
            begun = time.perf_counter()
            client.send(raw + b".\r\n")
            code, text = client.getreply()
            if number >= UNCOUNTED:
                times.append(1000 * (time.perf_counter() - begun))
            assert code == 250, text
            time.sleep(PAUSE_S)
    return times


def link_ms(name: str, count: int) -> float:
    """Return the median time of a connection to the servers of other regions that keep the copies."""
    others = [n for n in MAIL if server(n).region != server(name).region]
    times = []
    for number in range(count):
        begun = time.perf_counter()
        connect(name, str(server(others[number % len(others)]).private_ip), Port.COPIES).close()
        times.append(1000 * (time.perf_counter() - begun))
    return statistics.median(times)


def flush_ms(name: str, count: int) -> float:
    """Return the median time in which a file of 4 kB, its name and its folder are on a server's disk."""
    folder = "/var/lib/onedallmail/copies"
    return float(run_on(name, f"cd {folder} && python3 -c {shlex.quote(FLUSH)} {count}").stdout)


def test_what_the_copy_adds_at_the_median() -> None:
    """Print medians with and without the copy, the link, and what is left of the difference."""
    require_lab()
    name = MAIL[0]
    eventually("the queue is empty", lambda: "empty" in run_on(name, "postqueue -p").stdout, 60)
    link, times = link_ms(name, 30), {"with": list[float](), "without": list[float]()}
    flushes = []
    for _ in range(ROUNDS):
        flushes.append(flush_ms(name, 20))
        times["with"] += accepted_ms(name, EACH)
        with without_copies(name):
            times["without"] += accepted_ms(name, EACH)
    medians = {kind: statistics.median(found) for kind, found in times.items()}
    added = medians["with"] - medians["without"]
    p95 = {kind: statistics.quantiles(found, n=20)[-1] for kind, found in times.items()}
    flush = statistics.median(flushes)
    figures = {
        "link_ms": link,
        "flush_ms": flush,
        "medians_ms": medians,
        "p95_ms": p95,
        "added_ms": added,
        "goal_ms_above_link": GOAL_MS,
    }
    keep("copy-latency", {**figures, "messages": len(times["with"])})
    table = Table("ms to the 250", "median", "p95", title=f"The copy before 250, {len(times['with'])} messages each")
    for kind, median in medians.items():
        table.add_row(f"{kind} the copy", f"{median:.1f}", f"{p95[kind]:.1f}")
    table.add_row("added", f"{added:.1f}", "")
    table.add_row("of which the disk needs", f"{flush:.1f}", "")
    table.add_row(f"above the link of {link:.2f} (goal {GOAL_MS:.0f})", f"{added - link:.1f}", "")
    Console(width=100).print(table)
    assert min(medians.values()) > 0
