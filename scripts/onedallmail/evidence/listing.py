"""The catalogue as a Markdown table, for docs/controls.md.

A test compares the page with this, so the page cannot fall behind the data files.
"""

from onedallmail.evidence.controls import Catalogue

BEGIN = "<!-- controls: begin; written by `onedallmail evidence controls --markdown` -->"
END = "<!-- controls: end -->"


def markdown(catalogue: Catalogue) -> str:
    """Return one table a framework, in the order of the catalogue."""
    parts = []
    for key, title in catalogue.frameworks.items():
        rows = ["| control | title | expects | days |", "|---|---|---|---|"]
        for control in catalogue.of(key):
            expects = ", ".join(sorted(control.expects)) or "not applicable"
            rows.append(f"| `{control.id}` | {control.title} | {expects} | {control.freshness_days} |")
        parts.append(f"### {title}\n\n" + "\n".join(rows))
    return "\n\n".join(parts) + "\n"
