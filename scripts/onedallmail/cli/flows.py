"""`onedallmail flows`: the intent graph, and the proof that it is all that passes.

Exit codes: 0 the proof holds, 1 error, 3 it does not hold.
"""

from pathlib import Path
from typing import Annotated

import typer

from onedallmail.flow_graph import flow_graph
from onedallmail.platform.reachability import Proof, prove
from onedallmail.stackfile import load_platform

from . import answer
from .flow_report import FINDINGS, as_document, show

app = typer.Typer(help="Who may speak to whom: the intent graph and its proof.", no_args_is_help=True)


@app.command("list")
def list_(stack: answer.Stack = "lab", as_json: answer.AsJson = False) -> None:
    """List every allowed flow: parties, port, identity, purpose."""
    with answer.plain_errors():
        flows = load_platform(stack).flows
    if as_json:
        answer.print_json(
            [
                {
                    "name": f.name,
                    "source": f.source,
                    "destination": f.destination,
                    "protocol": f.protocol,
                    "port": f.port.value,
                    "identity": f.identity,
                    "purpose": f.purpose,
                }
                for f in flows
            ]
        )
        return
    rows = [(f.source, f.destination, f"{f.protocol}/{f.port.value}", f.identity, f.purpose) for f in flows]
    answer.print_table(("from", "to", "port", "identity", "purpose"), rows)


@app.command("prove")
def prove_(
    stack: answer.Stack = "lab",
    as_json: answer.AsJson = False,
    svg: Annotated[Path | None, typer.Option("--svg", help="Draw the intent graph into this file.")] = None,
) -> None:
    """Show each allowed path with its rules, and that nothing else passes."""
    with answer.plain_errors():
        platform = load_platform(stack)
        proof: Proof = prove(platform)
    if svg is not None:
        svg.write_text(flow_graph(platform))
    if as_json:
        answer.print_json(as_document(proof))
    else:
        show(proof)
        if svg is not None:
            answer.say(f"drawing: {svg}")
    if not proof.holds:
        raise typer.Exit(FINDINGS)
