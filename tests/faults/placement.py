"""The placement map as the fault tests see and mend it: through the servers' files, and by compare-and-swap in etcd."""

import json
from typing import Any

from tests.hosts.facts import ETCDCTL
from tests.lab import MAIL, eventually, run_on

FOLDER = "/var/lib/onedallmail/placement"
GROUPS = "/onedallmail/placement/groups/"
SERVICE = "onedallmail-placement.service"

Groups = dict[str, dict[str, Any]]


def groups(asked: str) -> Groups:
    """Return the map as a server's file has it."""
    found: Groups = json.loads(run_on(asked, f"cat {FOLDER}/groups.json").stdout)["groups"]
    return found


def status(asked: str) -> dict[str, Any]:
    """Return a server's status.json."""
    found: dict[str, Any] = json.loads(run_on(asked, f"cat {FOLDER}/status.json").stdout)
    return found


def served(asked: str) -> set[str]:
    """Return the groups that the file `home` of a server lets in."""
    lines = run_on(asked, f"cat {FOLDER}/home").stdout.splitlines()
    return {number for number, _, fields in (line.partition(":") for line in lines) if fields == "::::::"}


def open_ports(asked: str) -> str:
    """Return the elements of the kernel's set of open ports; empty when the fence is closed."""
    output = run_on(asked, "nft list set inet onedallmail_fence alive")
    assert output.code == 0, output
    return output.stdout.partition("elements = {")[2].partition("}")[0].strip()


def signal_service(asked: str, name: str) -> None:
    """Send a signal to the placement service of a server."""
    output = run_on(asked, f"systemctl kill --kill-whom=main --signal={name} {SERVICE}")
    assert output.code == 0, output


def give_back(wanted: Groups, within_s: float) -> None:
    """Give every group the home and standby that it had, and wait until they are served there."""
    for _ in range(3):
        now = groups(MAIL[0])
        moved = [n for n in wanted if any(now[n][name] != wanted[n][name] for name in ("home", "standby"))]
        if not moved:
            break
        for number in moved:
            _move(number, wanted[number] | {"epoch": now[number]["epoch"] + 1})
        eventually("the servers know of it", lambda old=now: groups(MAIL[0]) != old, 10)  # type: ignore[misc] # bound now
    by_home = {name: {n for n, group in wanted.items() if group["home"] == name} for name in MAIL}
    eventually("groups are served where they were", lambda: all(served(n) == by_home[n] for n in MAIL), within_s)


def _move(number: str, group: dict[str, Any]) -> None:
    key = f"{GROUPS}{number}"
    read = run_on(MAIL[0], f"{ETCDCTL} get {key} --write-out=json")
    revision = json.loads(read.stdout)["kvs"][0]["mod_revision"]
    value = json.dumps(group, separators=(",", ":"))
    transaction = f'mod("{key}") = "{revision}"\n\nput {key} {json.dumps(value)}\n\n\n'
    output = run_on(MAIL[0], f"{ETCDCTL} txn <<'END'\n{transaction}\nEND")
    assert output.code == 0, output
    assert "SUCCESS" in output.stdout, output
