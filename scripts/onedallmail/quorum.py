"""Reads etcd's keys from the controller: etcdctl on a voter over SSH, with that server's own identity."""

import json
import subprocess
from base64 import b64decode

from onedallmail.inventory import inventory
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


class QuorumError(Exception):
    """No voter gave an answer that a majority stands behind; the message says what each said and what still works."""


def read_keys(stack: str, prefix: str) -> dict[str, bytes]:
    """Return the value of each key under a prefix, as a majority of the voters agrees on.

    Raises:
        QuorumError: no voter could answer.
        OutputsError: the stack has not been provisioned.
    """
    document = inventory(stack)
    hosts = document["_meta"]["hostvars"]
    said = []
    for name in document["etcd"]["hosts"]:
        argv = [*ssh_command(hosts[name]), f"{ETCDCTL} get --prefix {prefix} --write-out=json"]
        try:
            done = subprocess.run(argv, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
        except subprocess.TimeoutExpired:
            said.append(f"{name}: no answer within {TIMEOUT_S} s")
            continue
        if done.returncode == 0:
            pairs = json.loads(done.stdout).get("kvs", [])
            return {b64decode(p["key"]).decode(): b64decode(p.get("value", "")) for p in pairs}
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        said.append(f"{name}: {lines[-1] if lines else f'status {done.returncode}'}")
    msg = f"the quorum gives no answer ({'; '.join(said)}); {STILL_WORKS}. Start the servers that are down"
    raise QuorumError(msg)
