"""`onedallmail keys`: key pairs that a stack is given."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from onedallmail.paths import state_dir
from onedallmail.platform.stack import PROJECT
from onedallmail.stackfile import load_stack
from onedallmail.stacksecrets import dkim_config

app = typer.Typer(help="Keys that a stack is given.", no_args_is_help=True)
out = Console(highlight=False)


@app.callback()
def _group() -> None:
    """Keep `dkim` a command of its own, so that others can join it."""


@app.command("dkim")
def dkim(
    stack: Annotated[str, typer.Option("--stack", "-s", help="Name of the stack.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Make the DKIM keys of the stack's domains, where they are absent, and tell how a pulumi command takes them.

    A lab and a rehearsal (`--offline`) take them by themselves.
    """
    public, private = dkim_config(stack, load_stack(stack).domains)
    folder = state_dir(stack) / "secrets"
    files = {
        f"{PROJECT}:dkimPublicKeys": folder / "dkim-public.json",
        f"{PROJECT}:dkimPrivateKeys": folder / "dkim-private.json",
    }
    for key, path in files.items():
        _write(path, (public | private)[key])
    lines = [
        f"pulumi config set --stack {stack} {'--secret' if 'Private' in key else '--plaintext'} {key} < {path}"
        for key, path in files.items()
    ]
    if as_json:
        out.print_json(json.dumps({"files": {k: str(p) for k, p in files.items()}, "commands": lines}))
        return
    out.print("The keys are made. Give them to the stack, then remove the files:")
    out.print("\n".join(lines), soft_wrap=True, markup=False)


def _write(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)
