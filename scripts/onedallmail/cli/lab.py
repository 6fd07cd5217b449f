"""`onedallmail lab`: bring the lab up, look at it, enter a node, take it down."""

import json
import subprocess
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

app = typer.Typer(help="The lab: the whole platform on this machine.", no_args_is_help=True)
_out = Console(highlight=False)

Stack = Annotated[str, typer.Option("--stack", "-s", help="Name of the stack.")]


@app.command("up")
def up_command(
    stack: Stack = "lab",
    setup_seconds: Annotated[float, typer.Option(hidden=True)] = 0.0,
) -> None:
    """Bring the lab up, verify it and build its evidence. Run it again to repair."""
    from onedallmail.bringup.job import up  # noqa: PLC0415 - loads Pulumi and Ansible, which other commands do not need

    up(stack, _out, setup_s=setup_seconds)


@app.command("down")
def down_command(stack: Stack = "lab") -> None:
    """Remove the lab of this checkout; caches and evidence stay."""
    from onedallmail.bringup.job import down  # noqa: PLC0415 - as above

    down(stack, _out)


@app.command("status")
def status_command(
    stack: Stack = "lab", as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False
) -> None:
    """Show the nodes, and AWS as they meet it, and whether they run. Exit code 3 when one does not."""
    from onedallmail.lab.aws import control as aws  # noqa: PLC0415 - as above
    from onedallmail.lab.aws.names import ADDRESS, NODE  # noqa: PLC0415 - as above
    from onedallmail.lab.lab import load  # noqa: PLC0415 - as above

    nodes, endpoints = load(stack).nodes, aws.running(stack) is not None
    if as_json:
        rows = [
            {"name": n.name, "kind": n.kind, "region": n.region, "address": n.address, "running": n.running}
            for n in nodes
        ]
        rows.append({"name": NODE, "kind": "endpoints", "region": "", "address": ADDRESS, "running": endpoints})
        typer.echo(json.dumps(rows, indent=1))
    else:
        table = Table(title=f"Lab of stack {stack}", title_justify="left")
        for column in ("Node", "Kind", "Region", "Management", "State"):
            table.add_column(column)
        for n in nodes:
            state = "[green]running[/green]" if n.running else "[red]stopped[/red]"
            table.add_row(n.name, n.kind, n.region or "-", n.address, state)
        state = "[green]running[/green]" if endpoints else "[red]stopped[/red]"
        table.add_row(NODE, "endpoints", "-", ADDRESS, state)
        _out.print(table)
    if not (endpoints and all(n.running for n in nodes)):
        raise typer.Exit(3)


@app.command("shell", context_settings={"ignore_unknown_options": True})
def shell_command(
    node: Annotated[str, typer.Argument(help="Name of the node, such as a1 or peer.")],
    command: Annotated[list[str] | None, typer.Argument(help="Command to run instead of a shell.")] = None,
    stack: Stack = "lab",
) -> None:
    """Open a shell on a node, or run a command there; the exit code is the command's."""
    from onedallmail.lab.lab import load  # noqa: PLC0415 - as above

    lab = load(stack)
    lab.node(node)
    done = subprocess.run(["ssh", "-F", str(lab.ssh_config_path), node, *(command or [])], check=False)
    raise typer.Exit(done.returncode)
