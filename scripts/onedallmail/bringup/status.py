"""The status page in the terminal: what runs, whom to write to, and where the report is."""

from typing import Any

from rich.console import Console
from rich.table import Table

from onedallmail.directory.remote import mailboxes
from onedallmail.evidence.bundle import evidence_dir
from onedallmail.lab import lab as machines
from onedallmail.outputs import read_outputs

from .phases import load_times


def show(stack: str, console: Console) -> None:
    """Print the servers, the accounts to try, a ready command line and the report's path."""
    outputs, lab = read_outputs(stack), machines.load(stack)
    running = {node.name: node.running for node in lab.nodes}
    console.print(_servers(outputs, running))
    accounts = mailboxes(stack)
    console.print(_accounts(accounts))
    reports = sorted(evidence_dir(stack).glob("bundles/*/report.html"), key=lambda p: p.stat().st_mtime)
    first = accounts[0]["address"] if accounts else f"postmaster@{outputs['domain']}"
    console.print(f"Password   .venv/bin/onedallmail user password {first} --show")
    console.print(
        f"Send mail  .venv/bin/onedallmail lab shell peer -- {' '.join(sample_message(first))}", soft_wrap=True
    )
    console.print("Follow it  .venv/bin/onedallmail mail trace MESSAGE-ID")
    if reports:
        console.print(f"Report     {reports[-1]}", soft_wrap=True)
    total = sum(t.duration_s for t in load_times(evidence_dir(stack).parent))
    console.print(f"Took {total:.0f} s in all. End it with ./scripts/down", style="dim")


def sample_message(recipient: str) -> list[str]:
    """Return the command that sends a message from the other organisation's server, to be run on the node `peer`."""
    return ["swaks", "--server", "127.0.0.1", "--tls", "--from", "bob@partner.example", "--to", recipient]


def _servers(outputs: dict[str, Any], running: dict[str, bool]) -> Table:
    table = Table(title=f"{', '.join(outputs['domains'])} on {len(outputs['servers'])} servers", title_justify="left")
    for column in ("Server", "Region", "Role", "Private", "Public", "State"):
        table.add_column(column)
    for server in outputs["servers"].values():
        state = "[green]running[/green]" if running.get(server["name"]) else "[red]stopped[/red]"
        table.add_row(
            server["name"], server["region"], server["role"], server["privateIp"], server["publicIp"] or "-", state
        )
    return table


def _accounts(accounts: list[dict[str, Any]]) -> Table:
    table = Table(title="Mail accounts to try", title_justify="left")
    for column in ("Address", "Home server", "Group"):
        table.add_column(column)
    for account in accounts:
        table.add_row(account["address"], account["home"], str(account["group"]))
    return table
