"""Reads and changes etcd's keys from the controller: etcdctl on a voter over SSH, with that server's own identity."""

import json
import subprocess
from base64 import b64decode

from onedallmail.inventory import inventory
from onedallmail.placement.store import Compare, Snapshot, Target, Transaction
from onedallmail.ssh import ssh_command

TIMEOUT_S = 20
ETCDCTL = (
    "sudo -n etcdctl --endpoints=https://127.0.0.1:2379 --cacert=/etc/onedallmail/tls/ca.crt"
    " --cert=/etc/onedallmail/tls/server.crt --key=/etc/onedallmail/tls/server.key --command-timeout=5s"
)
STILL_WORKS = (
    "accepting mail, log-ins and delivery go on from each server's last map; no mailbox moves and nothing is taken over"
    " until most voters are back"
)
_COMPARED = {Target.CHANGED: "mod", Target.CREATED: "create"}


class QuorumError(Exception):
    """No voter gave an answer that a majority stands behind; the message says what each said and what still works."""


def read_keys(stack: str, prefix: str) -> dict[str, bytes]:
    """Return the value of each key under a prefix, as a majority of the voters agrees on.

    Raises:
        QuorumError: no voter could answer.
        OutputsError: the stack has not been provisioned.
    """
    return read_snapshot(stack, prefix).values


def read_snapshot(stack: str, prefix: str) -> Snapshot:
    """Return the same with revisions and leases; raises as `read_keys` does."""
    answer = json.loads(_etcdctl(stack, f"get --prefix {prefix} --write-out=json"))
    pairs = {b64decode(pair["key"]).decode(): pair for pair in answer.get("kvs", [])}
    return Snapshot(
        values={key: b64decode(pair.get("value", "")) for key, pair in pairs.items()},
        revision=int(answer["header"]["revision"]),
        changes={key: int(pair["mod_revision"]) for key, pair in pairs.items()},
        leases={key: int(pair.get("lease", 0)) for key, pair in pairs.items()},
    )


def commit(stack: str, transaction: Transaction) -> bool:
    """Carry out a transaction; return whether its conditions held.

    Raises:
        QuorumError: no voter could answer; it may have happened all the same.
        OutputsError: the stack has not been provisioned.
    """
    return _etcdctl(stack, "txn", script(transaction)).lstrip().startswith("SUCCESS")


def script(transaction: Transaction) -> str:
    """Return a transaction as `etcdctl txn` reads it: conditions, what follows, what follows otherwise (nothing)."""
    conditions = [_condition(compare) for compare in transaction.compares]
    puts = [f"put {key} {json.dumps(value)}" for key, value in transaction.puts.items()]
    deletes = [f"del {key}" for key in transaction.deletes]
    return "\n".join([*conditions, "", *puts, *deletes, "", "", ""])


def _condition(compare: Compare) -> str:
    if compare.prefix or compare.target not in _COMPARED:
        msg = f"etcdctl can't be asked about {compare}"
        raise ValueError(msg)
    return f'{_COMPARED[compare.target]}("{compare.key}") = "{compare.value}"'


def _etcdctl(stack: str, arguments: str, text: str = "") -> str:
    """Return what etcdctl says on the first voter that has an answer."""
    document = inventory(stack)
    hosts = document["_meta"]["hostvars"]
    said = []
    for name in document["etcd"]["hosts"]:
        argv = [*ssh_command(hosts[name]), f"{ETCDCTL} {arguments}"]
        try:
            done = subprocess.run(argv, input=text, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
        except subprocess.TimeoutExpired:
            said.append(f"{name}: no answer within {TIMEOUT_S} s")
            continue
        if done.returncode == 0:
            return done.stdout
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        said.append(f"{name}: {lines[-1] if lines else f'status {done.returncode}'}")
    msg = f"the quorum gives no answer ({'; '.join(said)}); {STILL_WORKS}. Start the servers that are down"
    raise QuorumError(msg)
