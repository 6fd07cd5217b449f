"""How the reachability proof is shown: tables for people, a document for programs."""

from collections import Counter
from typing import Any

from onedallmail.platform.layers import Filter
from onedallmail.platform.questions import Refusal
from onedallmail.platform.reachability import Proof
from onedallmail.platform.trial import FlowProof, Path

from . import answer

FINDINGS = 3
SHOWN = 20
"""Findings of a kind that are printed; JSON has all."""


def show(proof: Proof) -> None:
    """Print the proof: paths with their rules, what must never pass, then the sum."""
    answer.print_table(
        ("flow", "pairs", "example", "rules on its way"),
        [row for flow in proof.flows for row in _flow_rows(flow)],
        title=f"Allowed paths of stack {proof.stack}",
    )
    answer.print_table(
        ("must never pass", "tried", "result", "stopped by"),
        [_refusal_row(refusal) for refusal in proof.refusals],
        title="Refused paths",
    )
    if proof.public:
        answer.print_table(
            ("from", "to", "ports", "paths"), _grouped(proof.public), title="Public at both ends: allowed by two flows"
        )
    _show_findings(proof)
    refused = sum(proof.refused.values())
    counts = ", ".join(f"{block}: {count:,}" for block, count in proof.refused.items() if count)
    answer.say(f"{proof.actors} actors, all ports: {proof.passing:,} combinations pass, {refused:,} do not ({counts})")
    verdict = "holds: every flow works, nothing else passes" if proof.holds else "does NOT hold"
    answer.say(f"proof of stack {proof.stack} {verdict}")


def _flow_rows(proof: FlowProof) -> list[tuple[str, str, str, str]]:
    if proof.note:
        return [(proof.flow.name, "-", proof.note, "")]
    rows = [
        (proof.flow.name if first else "", str(proof.pairs) if first else "", _example(path), _rules(path.filters))
        for first, path in zip((True, *([False] * len(proof.paths))), proof.paths, strict=False)
    ]
    rows += [(proof.flow.name, str(proof.pairs), "BLOCKED", text) for text in proof.blocked[:SHOWN]]
    return rows or [(proof.flow.name, "0", "NOBODY to try it with", "")]


def _example(path: Path) -> str:
    return f"{path.source} to {path.target} ({path.relation})"


def _rules(filters: tuple[Filter, ...]) -> str:
    return "\n".join(str(f) for f in filters)


def _refusal_row(refusal: Refusal) -> tuple[str, str, str, str]:
    if not refusal.tried:
        return (refusal.name, "-", "not in this stack", "")
    result = "refused" if refusal.holds else "PASSES: " + "; ".join(refusal.passing[:SHOWN])
    by = ", ".join(refusal.stopped_by)
    return (refusal.name, f"{refusal.tried:,}", result, f"{by}; at least {refusal.depth} at once")


def _grouped(paths: tuple[Path, ...]) -> list[tuple[str, str, str, str]]:
    """Count paths by kind of sender and receiver: the last words of names are regions and numbers."""
    counts = Counter((p.source.split(" ")[0], p.target.split(" ")[0], f"{p.transport} {p.ports}") for p in paths)
    return [(*key, str(count)) for key, count in sorted(counts.items())]


def _show_findings(proof: Proof) -> None:
    for title, found in (("UNDECLARED paths", proof.undeclared), ("RULES WIDER than their flows", proof.excess)):
        if found:
            answer.print_table((title,), [(str(item),) for item in found[:SHOWN]])
            if len(found) > SHOWN:
                answer.say(f"... and {len(found) - SHOWN} more: see --json")


def as_document(proof: Proof) -> dict[str, Any]:
    """Return the proof for programs."""
    return {
        "stack": proof.stack,
        "holds": proof.holds,
        "actors": proof.actors,
        "passing": proof.passing,
        "refused": {str(block): count for block, count in proof.refused.items()},
        "flows": [
            {
                "name": f.flow.name,
                "holds": f.holds,
                "pairs": f.pairs,
                "blocked": list(f.blocked),
                "note": f.note,
                "paths": [_path(p) for p in f.paths],
            }
            for f in proof.flows
        ],
        "refusals": [
            {
                "name": r.name,
                "holds": r.holds,
                "tried": r.tried,
                "passing": list(r.passing),
                "stopped_by": [str(b) for b in r.stopped_by],
                "depth": r.depth,
            }
            for r in proof.refusals
        ],
        "undeclared": [_path(p) for p in proof.undeclared],
        "public": [_path(p) for p in proof.public],
        "excess": [str(e) for e in proof.excess],
    }


def _path(path: Path) -> dict[str, Any]:
    return {
        "from": path.source,
        "to": path.target,
        "protocol": str(path.transport),
        "ports": str(path.ports),
        "relation": path.relation,
        "rules": [str(f) for f in path.filters],
    }
