"""The ssh command line of a server, from its variables in the inventory; the same in the lab and in AWS."""

import shlex
from collections.abc import Mapping
from typing import Any


def ssh_command(host: Mapping[str, Any]) -> tuple[str, ...]:
    """Return ssh with its options and the server's address, ready for a command to follow."""
    options = shlex.split(host.get("ansible_ssh_common_args", ""))
    address = host.get("ansible_host") or host["onedallmail_server"]["instance_id"]
    account = host.get("ansible_user", "admin")
    return ("ssh", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR", *options, f"{account}@{address}")
