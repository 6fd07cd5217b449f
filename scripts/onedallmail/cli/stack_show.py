"""What `onedallmail stack` shows: each step, the policies that were violated, and the outputs."""

import json
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from onedallmail.engine.events import Event, Op, Violation, name_of

SIGNS = {
    Op.CREATE: "[green]+[/]",
    Op.UPDATE: "[yellow]~[/]",
    Op.REPLACE: "[magenta]±[/]",
    Op.DELETE: "[red]-[/]",
    Op.READ: "[cyan]>[/]",
    Op.REFRESH: "[cyan]~[/]",
    Op.DELETE_REPLACED: "[red]-[/]",
    Op.REMOVE_PENDING: "[red]-[/]",
}
COLOURS = {"warning": "yellow", "error": "red"}

console, errors = Console(emoji=False), Console(stderr=True, emoji=False)  # ARNs hold ":secret:"


def show_event(event: Event) -> None:
    """Tell of a step, as soon as it is made, on standard error."""
    if event.op is Op.SAME or event.internal:
        return
    if event.op:
        text = f"{SIGNS[event.op]} {escape(event.type)} [bold]{escape(event.name)}[/] [dim]{escape(event.text)}[/]"
    else:
        where = f"{event.name}: " if event.urn else ""
        colour = COLOURS.get(event.severity, "dim")
        text = f"[{colour}]{event.severity}:[/] {escape(where + event.text)}"
    errors.print(text, highlight=False, soft_wrap=True)


def violations_table(violations: tuple[Violation, ...]) -> None:
    """Print which policies were violated, by what; nothing when none was."""
    if not violations:
        return
    table = Table("policy", "level", "resource", "message", show_edge=False, pad_edge=False)
    for found in sorted(violations, key=lambda v: (v.level, v.policy, v.urn)):
        table.add_row(found.policy, found.level, escape(name_of(found.urn)), escape(found.message))
    console.print(table)


def outputs_table(outputs: Mapping[str, Any]) -> None:
    """Print a stack's outputs; nothing when it has none."""
    if not outputs:
        return
    table = Table("output", "value", show_edge=False, pad_edge=False)
    for name, value in sorted(outputs.items()):
        table.add_row(name, escape(value if isinstance(value, str) else json.dumps(value)))
    console.print(table)
