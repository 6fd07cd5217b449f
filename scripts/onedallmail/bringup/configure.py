"""Phase configure: ansible-playbook over every server, then the lab's demonstration accounts."""

from pathlib import Path

from onedallmail.directory.seed import seed_lab

from .ansible import play
from .phases import Step


def configure(stack: str, step: Step, log: Path) -> str:
    """Apply the site playbook and make the accounts; return how much changed."""
    hosts = play(stack, "site.yml", step, log.with_name("ansible.log"))
    step("demonstration accounts")
    seed_lab(stack)
    return f"changed={sum(h.changed for h in hosts)} on {len(hosts)} hosts"
