"""An estimate as people and programs read it."""

import dataclasses
import json

from rich.console import Console
from rich.table import Table

from .estimate import Estimate
from .prices import load_prices

HEAD = ("Component", "Charge", "Kind", "Resources", "USD a month")


def show_estimate(found: Estimate, console: Console, *, as_json: bool) -> None:
    """Print an estimate: a line a charge, subtotals by component, the sum, and what it does not know."""
    prices = load_prices()
    if as_json:
        document = dataclasses.asdict(found) | {"monthly_usd": found.monthly_usd, "prices_as_of": str(prices.as_of)}
        console.print_json(json.dumps(document))
        return
    table = Table(*HEAD, show_edge=False, pad_edge=False)
    for column in table.columns[3:]:
        column.justify = "right"
    for component in sorted({line.component for line in found.lines}):
        own = [line for line in found.lines if line.component == component]
        for line in own:
            table.add_row(component, line.what, line.kind, str(line.resources), f"{line.monthly_usd:,.2f}")
        table.add_row("", f"[bold]{component}[/]", "", "", f"[bold]{sum(x.monthly_usd for x in own):,.2f}[/]")
        table.add_section()
    console.print(table)
    fixed = sum(line.monthly_usd for line in found.lines if line.kind == "fixed")
    console.print(
        f"[bold]{found.monthly_usd:,.2f} USD a month[/]: {fixed:,.2f} while it exists, "
        f"{found.monthly_usd - fixed:,.2f} by the assumed use. "
        f"List prices of eu-central-1 of {prices.as_of}, without tax.",
        highlight=False,
    )
    if found.unpriced:
        console.print(f"[yellow]no price in the table, missing from the sum:[/] {', '.join(found.unpriced)}")
