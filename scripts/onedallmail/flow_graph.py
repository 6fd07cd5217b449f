"""Draws a platform's intent graph as SVG, from templates/flows."""

import jinja2

from onedallmail.paths import ROOT
from onedallmail.platform.flow_drawing import LOOP, NODE_WIDTH, drawing
from onedallmail.platform.model import Platform

TEMPLATES = ROOT / "templates" / "flows"


def flow_graph(platform: Platform) -> str:
    """Return the drawing as an SVG document; it follows the reader's light or dark scheme."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("graph.svg.j2").render(
        d=drawing(platform), stack=platform.stack, flows=len(platform.flows), bend=LOOP, node_width=NODE_WIDTH
    )
