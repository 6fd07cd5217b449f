"""What a new instance does at its first boot: the agent of Session Manager, the operators' keys, nothing else."""

import json

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from onedallmail.paths import ROOT
from onedallmail.platform.stack import StackConfig

ADMINISTRATOR = "admin"
"""The account of Debian's cloud images."""

INSTALLER = "/usr/local/sbin/install-session-manager"


def user_data(config: StackConfig, region: str) -> str:
    """Return the cloud-init configuration of a region's servers.

    Source: cloud-init's cloud-config format, of which JSON is a subset.
    """
    # A shell script is no HTML, and its values were matched against patterns by the model.
    templates = Environment(  # noqa: S701
        loader=FileSystemLoader(ROOT / "templates" / "servers"), undefined=StrictUndefined, trim_blocks=True
    )
    script = templates.get_template("session-manager.sh.j2").render(
        region=region, version=config.session_agent.version, sha256=config.session_agent.sha256 or ""
    )
    document = {
        "ssh_pwauth": False,
        "disable_root": True,
        "ssh_genkeytypes": ["ed25519"],
        "users": [
            {
                "name": ADMINISTRATOR,
                "sudo": "ALL=(ALL) NOPASSWD:ALL",
                "shell": "/bin/bash",
                "lock_passwd": True,
                "ssh_authorized_keys": list(config.operator_keys),
            }
        ],
        "write_files": [{"path": INSTALLER, "permissions": "0700", "content": script}],
        "runcmd": [[INSTALLER]],
    }
    return "#cloud-config\n" + json.dumps(document, indent=1) + "\n"
