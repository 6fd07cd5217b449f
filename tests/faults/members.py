"""Who leads the quorum and the directory, as the lab's servers see it."""

import json
from collections.abc import Sequence

from tests.hosts.facts import ETCDCTL, PATRONI
from tests.lab import ALL, PLATFORM, run_on


def quorum_leader(asked: Sequence[str]) -> str:
    """Return the voter that leads, as the first server that can tell sees it; nothing while there is none."""
    for name in asked:
        output = run_on(name, f"{ETCDCTL} --command-timeout=4s endpoint status --cluster --write-out=json 2>/dev/null")
        if output.stdout.strip().startswith("["):
            return _leader(json.loads(output.stdout))
    return ""


def _leader(members: list[dict[str, dict[str, dict[str, object]]]]) -> str:
    for entry in members:
        status = entry["Status"]
        if status["leader"] and status["leader"] == status["header"]["member_id"]:
            host = str(entry["Endpoint"]).removeprefix("https://").partition(":")[0]
            return next((s.name for s in PLATFORM.servers if str(s.private_ip) == host), "")
    return ""


def directory_leader() -> str:
    """Return the member that leads the directory; nothing while there is none."""
    output = run_on(ALL[0], PATRONI)
    members = json.loads(output.stdout) if output.code == 0 else []
    return next((str(m["Member"]) for m in members if m["Role"] == "Leader"), "")
