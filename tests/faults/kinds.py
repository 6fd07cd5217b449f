"""The faults that a campaign can inject: what each does, where it may strike, and how it ends.

A fault is drawn from a random source, so that a seed repeats it. Ending it is safe to repeat.
"""

import random
import subprocess
import time
from collections.abc import Sequence

from onedallmail.lab import lab as machines
from onedallmail.lab import naming
from onedallmail.paths import lab_id
from tests.faults.clock import clock_jumped
from tests.faults.fault import Fault
from tests.faults.members import directory_leader, quorum_leader
from tests.faults.storage import copies_full, copy_damaged, mail_disk_full, queue_disk_full, server_stalled
from tests.lab import ALL, MAIL, STACK, WITNESS, run_on, server

PROCESSES = (
    "postfix",
    "dovecot",
    "rspamd",
    "onedallmail-home-tunnel",
    "onedallmail-placement",
    "onedallmail-copies",
    "onedallmail-ingest",
    "onedallmail-mailboxes",
    "etcd",
    "patroni",
)
"""Units of a mail server of which any process may die."""
AGENT = "onedallmail-placement"


def draw(chance: random.Random, down: frozenset[str] = frozenset()) -> Fault:
    """Return a fault that is possible while the servers `down` are down; a second region is never lost with a first."""
    kinds = [*LIGHT] if down else [*LIGHT, *HEAVY]
    return chance.choice(kinds)(chance, [name for name in MAIL if name not in down])


def process_killed(chance: random.Random, living: Sequence[str]) -> Fault:
    """A process of some service gets SIGKILL; systemd or its own master brings it back."""
    name, unit = chance.choice(living), chance.choice(PROCESSES)
    place = f"/sys/fs/cgroup/system.slice/{unit}.service"
    nth = f"awk -v r={chance.random()} '{{ p[NR] = $1 }} END {{ print p[int(r * NR) + 1] }}'"
    kill = f"kill -9 $(find {place} -name cgroup.procs -exec cat {{}} + | sort -n | {nth})"
    return Fault(f"a process of {unit} on {name} killed", lambda: run_on(name, kill), lambda: None)


def agent_paused(chance: random.Random, living: Sequence[str]) -> Fault:
    """The agent that holds the lease is stopped, so the kernel's fence must close by itself."""
    name = chance.choice(living)
    return Fault(
        f"the placement agent of {name} stopped",
        lambda: run_on(name, f"systemctl kill --signal=STOP {AGENT}.service"),
        lambda: run_on(name, f"systemctl kill --signal=CONT {AGENT}.service"),
    )


def link_cut(chance: random.Random, living: Sequence[str]) -> Fault:  # noqa: ARG001 - drawn like the others
    """Two servers no longer hear each other, or one of them does not hear the other."""
    one, two = chance.sample(ALL, 2)
    ways = [(one, two)] if chance.random() < 0.5 else [(one, two), (two, one)]
    text = "; ".join(f"packets from {a} to {b} dropped" for a, b in ways)
    return Fault(text, lambda: cut(ways), mend)


def server_unplugged(chance: random.Random, living: Sequence[str]) -> Fault:
    """A server loses every link to its fellows, and none to the internet."""
    name = chance.choice(living)
    ways = [pair for other in ALL if other != name for pair in ((name, other), (other, name))]
    return Fault(f"{name} cut off from all fellow servers", lambda: cut(ways), mend)


def server_killed(chance: random.Random, living: Sequence[str]) -> Fault:
    """A loss of power."""
    name = chance.choice(living)
    return _killed(f"{name} killed", [name])


def region_lost(chance: random.Random, living: Sequence[str]) -> Fault:  # noqa: ARG001 - drawn like the others
    """Every server of a mail region dies at once."""
    region = chance.choice(sorted({server(name).region for name in MAIL}))
    return _killed(f"region {region} lost", [name for name in ALL if server(name).region == region])


def everything_killed(chance: random.Random, living: Sequence[str]) -> Fault:  # noqa: ARG001 - drawn like the others
    """The power fails everywhere; all servers boot at about the same time."""
    return _killed("all servers killed", list(ALL))


def killed_while_it_boots(chance: random.Random, living: Sequence[str]) -> Fault:
    """A server dies, and again before it has come back to work."""
    name, after_s = chance.choice(living), chance.uniform(0, 6)
    killed = _killed(f"{name} killed, and again {after_s:.1f} s after it let the operator in", [name])

    def twice() -> None:
        killed.inject()
        time.sleep(2)
        killed.end()
        time.sleep(after_s)
        killed.inject()

    return Fault(killed.text, twice, killed.end, killed.down)


def quorum_beheaded(chance: random.Random, living: Sequence[str]) -> Fault:  # noqa: ARG001 - drawn like the others
    """The leader of etcd dies."""
    return Fault(
        "the leader of etcd killed", lambda: _kill_unit(quorum_leader([*living, *WITNESS]), "etcd"), lambda: None
    )


def directory_beheaded(chance: random.Random, living: Sequence[str]) -> Fault:  # noqa: ARG001 - drawn like the others
    """The leader of PostgreSQL dies."""
    return Fault("the leader of PostgreSQL killed", lambda: _kill_unit(directory_leader(), "patroni"), lambda: None)


def _kill_unit(name: str, unit: str) -> None:
    assert name, f"no leader to kill with {unit}"
    run_on(name, f"systemctl kill --signal=KILL {unit}.service")


def _killed(text: str, names: list[str]) -> Fault:
    def kill() -> None:
        lab = machines.load(STACK)
        for name in names:
            lab.kill(name)

    def boot() -> None:
        lab = machines.load(STACK)
        for name in names:
            if not lab.node(name).running:
                lab.start(name)

    return Fault(text, kill, boot, frozenset(names))


TABLE = "table inet fault"
GONE = f"{TABLE}\ndelete {TABLE}\n"
"""Works whether the table is there or not; `destroy` needs nftables 1.0.7."""


def cut(ways: list[tuple[str, str]]) -> None:
    """Drop packets from the first of each pair to the second, on their way between the servers."""
    rules = "\n".join(f"ip saddr {server(a).private_ip} ip daddr {server(b).private_ip} drop" for a, b in ways)
    chain = f"chain forward {{ type filter hook forward priority -20;\n{rules}\n}}"
    for router in _routers():
        _nft(router, f"{GONE}{TABLE} {{\n{chain}\n}}\n")


def mend() -> None:
    """Let all packets through again."""
    for router in _routers():
        _nft(router, GONE)


def _routers() -> list[str]:
    return [naming.namespace(lab_id(), naming.router(region)) for region in sorted({server(n).region for n in ALL})]


def _nft(space: str, text: str) -> None:
    subprocess.run(["ip", "netns", "exec", space, "nft", "-f", "-"], input=text, text=True, check=True)


LIGHT = (
    process_killed,
    process_killed,
    agent_paused,
    link_cut,
    quorum_beheaded,
    copies_full,
    mail_disk_full,
    queue_disk_full,
    copy_damaged,
    server_stalled,
    clock_jumped,
)
"""May strike while a server is down or boots."""
HEAVY = (
    server_killed,
    server_killed,
    region_lost,
    directory_beheaded,
    server_unplugged,
    killed_while_it_boots,
    everything_killed,
)
