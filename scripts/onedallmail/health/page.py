"""The overview as a page without scripts and without anything from elsewhere. Pure."""

from html import escape

from onedallmail.health.overview import Overview, ServerView

STYLE = """
:root{color-scheme:light dark;--line:#8884;--bad:#c0262d;--warn:#9a6700;--good:#1a7f37}
@media(prefers-color-scheme:dark){:root{--bad:#ff7b72;--warn:#e3b341;--good:#56d364}}
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem}
table{border-collapse:collapse;width:100%;margin:1rem 0 2rem}
th,td{text-align:left;padding:.4rem .7rem;border-bottom:1px solid var(--line);white-space:nowrap}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
.ok{color:var(--good)}.warning,.unknown{color:var(--warn)}.critical,.silent{color:var(--bad);font-weight:600}
li{margin:.2rem 0}
"""
COLUMNS = ("Server", "Region", "Role", "State", "Lease")
FIGURES = ("Home of", "Standby of", "Queue", "Lag s", "Oldest copy s")


def page(view: Overview, domain: str) -> str:
    """Return the page."""
    head = "".join(f"<th>{c}</th>" for c in COLUMNS) + "".join(f'<th class="n">{c}</th>' for c in FIGURES)
    rows = "".join(_row(server) for server in view.servers)
    problems = "".join(f"<li>{escape(text)}</li>" for text in view.problems) or "<li>none</li>"
    moves = "".join(
        f"<tr><td>{escape(str(f['at']))}</td><td>{escape(str(f['from']))}</td><td>{escape(str(f['to']))}</td>"
        f'<td class="n">{escape(str(f["groups"]))}</td><td class="n">{_seconds(f["seconds"])}</td></tr>'
        for f in reversed(view.failovers)
    )
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="refresh" content="5"><title>{escape(domain)}: status</title><style>{STYLE}</style>
<h1>{escape(domain)}</h1>
<p>{len(view.servers)} servers, {view.groups} placement groups, as etcd knew at {view.at:%F %T} UTC.</p>
<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>
<h2>To look at</h2><ul>{problems}</ul>
<h2>Last take-overs</h2>
<table><thead><tr><th>At</th><th>From</th><th>To</th><th class="n">Groups</th><th class="n">Seconds</th></tr></thead>
<tbody>{moves or '<tr><td colspan="5">none</td></tr>'}</tbody></table>
</html>
"""


def _row(server: ServerView) -> str:
    lease = {True: "held", False: '<span class="critical">none</span>', None: "-"}[server.alive]
    words = (server.name, server.region, server.role)
    figures = (server.homes, server.standbys, server.queued, server.lag_s, server.oldest_copy_s)
    return (
        "<tr>"
        + "".join(f"<td>{escape(word)}</td>" for word in words)
        + f'<td class="{escape(server.level)}">{escape(server.level)}</td><td>{lease}</td>'
        + "".join(f'<td class="n">{_figure(value)}</td>' for value in figures)
        + "</tr>"
    )


def _seconds(value: object) -> str:
    return "under way" if value is None else escape(str(value))


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}" if isinstance(value, float) else str(value)
