"""A plain mail server to compare with: Postfix and Dovecot as the same image installs them, in a node of its own.

Changed from the packages' defaults: a certificate, the domain, four users of the system. Mail goes to mbox files,
passwords are checked by PAM, nothing is filtered, signed, handed over or replicated.
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from onedallmail import paths
from onedallmail.lab import links, naming, nodes
from onedallmail.lab.command import run
from onedallmail.lab.inside import exec_in
from onedallmail.lab.nodes import NodePlace, NodeSpec
from tests.lab import STACK, eventually

NODE = "bench"
HOST = "plain.bench.example"
USERS = tuple(f"user{n}" for n in range(1, 5))
PASSWORD = "correct-horse-battery"  # noqa: S105 - of a node without links that lives for a minute
_CONFIGURE = f"""
set -eu
systemctl stop rspamd valkey-server unbound chrony etcd patroni knot opendkim opendmarc 2>/dev/null || true
for user in {" ".join(USERS)}; do
    useradd --create-home "$user"
    echo "$user:{PASSWORD}" | chpasswd
done
cd /etc/ssl
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN={HOST} \\
    -keyout plain.key -out plain.crt 2>/dev/null
postconf -e myhostname={HOST} 'mydestination=$myhostname, bench.example, localhost' inet_protocols=ipv4 \\
    maillog_file= alias_maps= alias_database= smtpd_client_connection_count_limit=0 smtpd_tls_security_level=may \\
    smtpd_tls_chain_files=/etc/ssl/plain.key,/etc/ssl/plain.crt
sed -i 's#/etc/dovecot/private/dovecot[.]#/etc/ssl/plain.#; s#/etc/ssl/plain.pem#/etc/ssl/plain.crt#' \\
    /etc/dovecot/conf.d/10-ssl.conf
systemctl restart postfix dovecot
"""


@contextmanager
def plain_server() -> Iterator[None]:
    """Run the plain server while the block runs, in a network namespace that leads nowhere."""
    lab_id = paths.lab_id()
    place, space = NodePlace(STACK, lab_id, NODE), naming.namespace(lab_id, NODE)
    image = json.loads((paths.state_dir(STACK) / "lab" / "lab.json").read_text())["image"]
    _remove(place, space)
    try:
        run(["ip", "netns", "add", space])
        run(["ip", "-n", space, "link", "set", "lo", "up"])
        nodes.start(place, NodeSpec(NODE, Path(image)))
        eventually("the plain server has booted", _booted, 60)
        done = exec_in(STACK, NODE, ["sh", "-c", _CONFIGURE])
        assert done.returncode == 0, f"the plain server could not be configured: {done.stderr[-1000:]}"
        eventually("the plain server listens", _listens, 30)
        yield
    finally:
        _remove(place, space)


def _booted() -> bool:
    state = exec_in(STACK, NODE, ["systemctl", "is-system-running"]).stdout.strip()
    return state in ("running", "degraded")


def _listens() -> bool:
    ports = exec_in(STACK, NODE, ["ss", "-H", "-t", "-l", "-n"]).stdout
    return all(f":{port} " in ports for port in (25, 993))


def _remove(place: NodePlace, space: str) -> None:
    nodes.kill(place)
    if space in links.existing(place.lab_id):
        links.remove_namespace(space)
    shutil.rmtree(place.home, ignore_errors=True)
