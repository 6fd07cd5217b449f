"""Where the placement groups live now, and how each mail server fares: read over SSH from the servers' own files."""

import json
import subprocess
from collections import defaultdict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from onedallmail.ssh import ssh_command

FOLDER = "/var/lib/onedallmail/placement"
FILES = ("groups.json", "alive.json", "status.json")
COMMAND = f"cd {FOLDER} && for file in {' '.join(FILES)}; do cat $file || exit 9; printf '\\036'; done"
TIMEOUT_S = 30


class HomesUnreadableError(RuntimeError):
    """No mail server told its placement map; the message says why."""


@dataclass(frozen=True)
class Told:
    """What one mail server's files say."""

    groups: Mapping[str, Any]
    alive: Mapping[str, Any]
    status: Mapping[str, Any]


Answers = Mapping[str, Told | str]
"""By server: what it told, or why it did not."""


def ask(inventory: Mapping[str, Any]) -> Answers:
    """Ask every mail server of an inventory at once."""
    hosts = {name: ssh_command(inventory["_meta"]["hostvars"][name]) for name in inventory["mail"]["hosts"]}
    with ThreadPoolExecutor(max_workers=len(hosts)) as pool:
        return dict(zip(hosts, pool.map(_ask, hosts.values()), strict=True))


def summary(answers: Answers) -> dict[str, Any]:
    """Return the newest map that was told, its groups by home and standby, the servers, and the last failovers.

    Raises HomesUnreadableError when no server told one.
    """
    told = {name: answer for name, answer in answers.items() if isinstance(answer, Told)}
    if not told:
        reasons = "; ".join(f"{name}: {answer}" for name, answer in answers.items())
        msg = f"no mail server told its placement map ({reasons}): is the platform up, and role placement applied?"
        raise HomesUnreadableError(msg)
    newest = max(told, key=lambda name: (told[name].groups["revision"], str(told[name].alive["at"])))
    groups, alive = told[newest].groups["groups"], told[newest].alive["servers"]
    failovers = [{"to": name, **record} for name in told for record in told[name].status.get("failovers", [])]
    return {
        "revision": told[newest].groups["revision"],
        "told_by": newest,
        "groups": groups,
        "pairs": _pairs(groups),
        "servers": {name: _server(name, answers[name], groups, alive) for name in answers},
        "failovers": sorted(failovers, key=lambda record: str(record["at"])),
    }


def _pairs(groups: Mapping[str, Any]) -> list[dict[str, Any]]:
    numbers: dict[tuple[str, str], list[int]] = defaultdict(list)
    for number, group in groups.items():
        numbers[group["home"], group["standby"]].append(int(number))
    return [
        {
            "home": home,
            "standby": standby,
            "groups": sorted(found),
            "epochs": sorted({groups[str(number)]["epoch"] for number in found}),
        }
        for (home, standby), found in sorted(numbers.items())
    ]


def _server(name: str, answer: Told | str, groups: Mapping[str, Any], alive: Mapping[str, Any]) -> dict[str, Any]:
    status = answer.status if isinstance(answer, Told) else {}
    if status and name not in alive:
        # What it wrote last is of another time.
        status = {"error": f"it has no lease; it wrote last at {status.get('checked_at')}"}
    lease, fence = status.get("lease") or {}, status.get("fence") or {}
    return {
        "alive": name in alive,
        "home_of": sum(group["home"] == name for group in groups.values()),
        "standby_of": sum(group["standby"] == name for group in groups.values()),
        "joins": sum(group.get("joining") == name for group in groups.values()),
        "serves": status.get("served"),
        "lease_since": lease.get("since"),
        "fence_open": fence.get("open_for_s", 0) > 0 if fence else None,
        "trouble": status.get("error") or fence.get("error") if status else str(answer),
    }


def _ask(ssh: tuple[str, ...]) -> Told | str:
    try:
        done = subprocess.run([*ssh, COMMAND], capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()
        return last[-1] if last else f"ssh ended with {done.returncode}"
    try:
        return Told(*(json.loads(text) for text in done.stdout.split("\036")[: len(FILES)]))
    except (ValueError, TypeError) as error:
        return f"its files can't be read ({error})"
