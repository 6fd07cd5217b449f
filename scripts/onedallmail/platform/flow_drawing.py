"""Where everything stands in the drawing of the intent graph: pure geometry, in pixels.

Parties are columns, grouped by whom they belong to; each row holds a few flows of one pair of parties and one identity,
so that no label can lie on another.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from .flows import Flow, Identity, Party
from .model import Platform

ZONES_OF_TRUST: tuple[tuple[str, tuple[Party, ...]], ...] = (
    ("outside", (Party.INTERNET,)),
    ("edge, run by AWS", (Party.EDGE, Party.WEB)),
    ("our servers", (Party.MAIL, Party.VOTER, Party.PLATFORM, Party.WITNESS)),
    ("inner services, run by AWS", (Party.ENDPOINT, Party.HSM)),
    ("operators", (Party.MANAGEMENT,)),
)
WHO = {
    Party.INTERNET: "anybody",
    Party.EDGE: "mail balancers",
    Party.WEB: "web balancers",
    Party.MAIL: "mail servers",
    Party.VOTER: "servers that vote",
    Party.PLATFORM: "every server",
    Party.WITNESS: "witnesses",
    Party.ENDPOINT: "AWS APIs",
    Party.HSM: "key service",
    Party.MANAGEMENT: "Ansible",
}
COLOURS = {identity: f"i{number}" for number, identity in enumerate(Identity)}

COLUMN, GAP, MARGIN, TOP, ROW = 132, 18, 24, 96, 46
NODE_WIDTH, NODE_HEIGHT = 116, 42
LETTER = 6.7
"""Width of a letter of a label, on the wide side."""
PORTS_A_ROW = 4
"""As many ports as one label has room for."""
LOOP = 26
LEGEND_ROW = 22


@dataclass(frozen=True)
class Node:
    """A party: a box at the top, and a line down from its middle."""

    party: Party
    who: str
    x: float
    """Middle."""


@dataclass(frozen=True)
class Zone:
    """A group of parties."""

    title: str
    x: float
    width: float


@dataclass(frozen=True)
class Arrow:
    """The flows of one pair and one identity."""

    label: str
    title: str
    """Purposes, shown when pointed at."""
    colour: str
    start: float
    end: float
    y: float
    label_x: float
    anchor: str
    own: bool
    """Whether both ends are the same party."""


@dataclass(frozen=True)
class Drawing:
    """Everything that the template draws."""

    width: float
    height: float
    zones: tuple[Zone, ...]
    nodes: tuple[Node, ...]
    arrows: tuple[Arrow, ...]
    legend: tuple[tuple[str, str, float, float], ...]
    """Colour, text, x and y of each identity."""
    rows_end: float


def drawing(platform: Platform) -> Drawing:
    """Return the drawing of a platform's intent graph."""
    used = {p for f in platform.flows for p in (f.source, f.destination)}
    zones, nodes, x = [], [], float(MARGIN)
    for title, parties in ZONES_OF_TRUST:
        held = [p for p in parties if p in used]
        if not held:
            continue
        width = max(COLUMN * len(held), LETTER * len(title) + 20)
        zones.append(Zone(title, x, width))
        step = width / len(held)
        nodes += [Node(p, WHO[p], x + step * (n + 0.5)) for n, p in enumerate(held)]
        x += width + GAP
    width = x - GAP + MARGIN
    arrows = tuple(_arrows(platform.flows, {n.party: n.x for n in nodes}, width))
    rows_end = TOP + NODE_HEIGHT + 20 + ROW * len(arrows)
    identities = [i for i in Identity if any(f.identity is i for f in platform.flows)]
    legend = tuple(
        (
            COLOURS[identity],
            identity.value,
            MARGIN + (n % 2) * (width - 2 * MARGIN) / 2,
            rows_end + 30 + n // 2 * LEGEND_ROW,
        )
        for n, identity in enumerate(identities)
    )
    height = rows_end + 40 + (len(identities) + 1) // 2 * LEGEND_ROW
    return Drawing(width, height, tuple(zones), tuple(nodes), arrows, legend, rows_end)


def _arrows(flows: Iterable[Flow], at: dict[Party, float], width: float) -> Iterable[Arrow]:
    rows: dict[tuple[Party, Party, Identity], list[Flow]] = {}
    for flow in flows:
        rows.setdefault((flow.source, flow.destination, flow.identity), []).append(flow)
    labelled = [(key, held) for key, flows in rows.items() for held in _batches(flows)]
    for number, ((source, target, identity), held) in enumerate(labelled):
        label = ", ".join(dict.fromkeys(f"{f.port.service} {f.protocol}/{f.port.value}" for f in held))
        start, end = at[source], at[target]
        own = source is target
        left = min(start, end) + (LOOP + 8 if own else 8)
        fits = left + LETTER * len(label) <= width - MARGIN
        right = (start - 8) if own else max(start, end) - 8
        yield Arrow(
            label=label,
            title="; ".join(f"{f.name}: {f.purpose}" for f in held),
            colour=COLOURS[identity],
            start=start,
            end=end,
            y=TOP + NODE_HEIGHT + 20 + ROW * (number + 0.7),
            label_x=left if fits else right,
            anchor="start" if fits else "end",
            own=own,
        )


def _batches(flows: list[Flow]) -> list[list[Flow]]:
    return [flows[n : n + PORTS_A_ROW] for n in range(0, len(flows), PORTS_A_ROW)]
