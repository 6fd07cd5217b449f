"""Closes public ports of a server that can't do its work: new connections are refused, so that others are tried.

It opens by itself when the service that closed it says nothing more for a minute: a dead watchman must not keep a
server out of use.
"""

import subprocess
from collections.abc import Collection

TABLE = "inet onedallmail_gate"
HOLDS_S = 60
_RULES = f"""destroy table {TABLE}
table {TABLE} {{
    set closed {{ type inet_service; flags timeout; }}
    chain input {{
        type filter hook input priority -5; policy accept;
        iifname != "lo" ct state new tcp dport @closed counter reject with tcp reset
    }}
}}
"""


class GateError(OSError):
    """The kernel refused a change of the gate."""


def install() -> None:
    """Put the gate in place, open. Raises GateError."""
    _nft(_RULES)


def close(ports: Collection[int]) -> None:
    """Let exactly these ports be closed for the next minute. Raises GateError."""
    lines = [f"flush set {TABLE} closed"]
    if ports:
        lines.append(f"add element {TABLE} closed {{ {', '.join(f'{p} timeout {HOLDS_S}s' for p in sorted(ports))} }}")
    _nft("\n".join(lines) + "\n")


def _nft(text: str) -> None:
    done = subprocess.run(
        ["/usr/sbin/nft", "-f", "-"], input=text, text=True, capture_output=True, timeout=10, check=False
    )
    if done.returncode != 0:
        msg = f"nft refused a change of table {TABLE}: {done.stderr.strip()}"
        raise GateError(msg)
