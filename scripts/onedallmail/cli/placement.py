"""`onedallmail placement`: where mailboxes live, who is alive, the last failovers, plans and moves.

Exit codes: 0 told, 1 no server told its map.
"""

from typing import Any

import typer

from .answer import AsJson, Stack, err, print_json, print_table, say
from .placement_move import drain_command, move_command, rebalance_command, undrain_command
from .placement_plan import plan_command

app = typer.Typer(help="Homes of the mailboxes.", no_args_is_help=True)
app.command("plan")(plan_command)
app.command("move")(move_command)
app.command("drain")(drain_command)
app.command("undrain")(undrain_command)
app.command("rebalance")(rebalance_command)


@app.command("show")
def show_command(stack: Stack = "lab", as_json: AsJson = False) -> None:
    """Show the groups by home and standby, the mail servers, and the last failovers."""
    from onedallmail.homes import HomesUnreadableError, ask, summary  # noqa: PLC0415 - quick start of the command line
    from onedallmail.inventory import inventory  # noqa: PLC0415 - as above

    try:
        found = summary(ask(inventory(stack)))
    except HomesUnreadableError as error:
        err.print("[red]error:[/red]", end=" ")
        err.print(str(error), soft_wrap=True, markup=False)
        raise typer.Exit(1) from error
    if as_json:
        print_json(found)
        return
    say(
        f"{len(found['groups'])} groups at revision {found['revision']}, as {found['told_by']} knows them; times in UTC"
    )
    print_table(("Home", "Standby", "Groups", "Epoch"), [_pair(pair) for pair in found["pairs"]])
    columns = ("Server", "Alive", "Home of", "Standby of", "Joins", "Serves", "Fence", "Lease since", "Trouble")
    print_table(columns, [_server(name, server) for name, server in found["servers"].items()])
    if found["failovers"]:
        print_table(("At", "From", "To", "Groups", "Seconds"), [_failover(f) for f in found["failovers"]])


def _pair(pair: dict[str, Any]) -> tuple[str, ...]:
    epochs = pair["epochs"]
    grown = str(epochs[0]) if len(epochs) == 1 else f"{epochs[0]} to {epochs[-1]}"
    return pair["home"], pair["standby"], str(len(pair["groups"])), grown


def _server(name: str, server: dict[str, Any]) -> tuple[str, ...]:
    return (
        name,
        "yes" if server["alive"] else "no",
        str(server["home_of"]),
        str(server["standby_of"]),
        str(server["joins"]),
        "-" if server["serves"] is None else str(server["serves"]),
        {True: "open", False: "closed", None: "-"}[server["fence_open"]],
        (server["lease_since"] or "-")[5:16].replace("T", " ") or "-",
        server["trouble"] or "-",
    )


def _failover(record: dict[str, Any]) -> tuple[str, ...]:
    seconds = "under way" if record["seconds"] is None else f"{record['seconds']:.1f}"
    return (
        str(record["at"])[5:19].replace("T", " "),
        record["from_server"],
        record["to"],
        str(record["groups"]),
        seconds,
    )
