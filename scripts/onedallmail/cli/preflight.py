"""`onedallmail preflight`: what has to be granted from outside before the platform can work.

Exit codes: 0 all servers may, 1 nothing could be asked, 3 a server is blocked or it is not established.
"""

import dataclasses
import json
import shlex
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from onedallmail.inventory import inventory
from onedallmail.outputs import read_outputs
from onedallmail.preflight.port25 import PROBE, SMTP, Finding, Verdict, judge, parse, request_text
from onedallmail.ssh import ssh_command

FINDINGS = 3
TIMEOUT_S = 90
COLOURS = {Verdict.OPEN: "green", Verdict.BLOCKED: "red", Verdict.NOT_ESTABLISHED: "yellow"}

app = typer.Typer(help="What has to be granted from outside before mail can flow.", no_args_is_help=True)
out, err = Console(highlight=False), Console(stderr=True, highlight=False)


@app.callback()
def _group() -> None:
    """Keep `port25` a command of its own, so that others can join it."""


def _ask(name: str, host: dict[str, Any], targets: list[tuple[str, int]]) -> Finding:
    remote = f"python3 -c {shlex.quote(PROBE)} {shlex.quote(json.dumps(targets))}"
    try:
        done = subprocess.run(
            [*ssh_command(host), remote], capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
        if done.returncode:
            return Finding(name, Verdict.NOT_ESTABLISHED, f"not reached: {done.stderr.strip()[-200:]}", ())
        return judge(name, parse(done.stdout))
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        return Finding(name, Verdict.NOT_ESTABLISHED, str(error), ())


@app.command("port25")
def port25(
    exchanger: Annotated[list[str], typer.Option("--to", help="Mail exchanger outside that may be called; repeat it.")],
    control: Annotated[str, typer.Option(help="HOST:PORT outside that answers, to tell a block from an outage.")],
    stack: Annotated[str, typer.Option("--stack", "-s", help="Name of the stack.")] = "lab",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Tell whether each mail server may call port 25 outside, and what to ask AWS for where it may not."""
    host, sign, port = control.rpartition(":")
    if not sign or not port.isdecimal() or int(port) == SMTP:
        err.print(f"[red]error:[/] --control {control}: write HOST:PORT with another port than 25")
        raise typer.Exit(1)
    targets = [(name, SMTP) for name in exchanger] + [(host, int(port))]
    hosts = inventory(stack)
    variables = hosts["_meta"]["hostvars"]
    names = hosts["mail"]["hosts"]
    with ThreadPoolExecutor(max_workers=len(names)) as pool:
        findings = list(pool.map(lambda name: _ask(name, variables[name], targets), names))
    if as_json:
        out.print_json(json.dumps([dataclasses.asdict(f) for f in findings]))
    else:
        table = Table("Server", "Region", "Port 25 outside", "Why")
        for found in findings:
            region = variables[found.server]["onedallmail_server"]["region"]
            table.add_row(found.server, region, f"[{COLOURS[found.verdict]}]{found.verdict}[/]", found.reason)
        out.print(table)
    if any(f.verdict is Verdict.BLOCKED for f in findings):
        outputs = read_outputs(stack)
        err.print(request_text(outputs["accountId"], outputs["egressAddresses"]), soft_wrap=True, markup=False)
    if any(f.verdict is not Verdict.OPEN for f in findings):
        raise typer.Exit(FINDINGS)
