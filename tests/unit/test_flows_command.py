"""`onedallmail flows`: exit codes, JSON, and a drawing in which nothing lies on anything else."""

import json
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from onedallmail.cli import app
from onedallmail.cli import flows as command
from onedallmail.flow_graph import flow_graph
from onedallmail.paths import ROOT
from onedallmail.platform.flow_drawing import LETTER, NODE_WIDTH, drawing
from onedallmail.platform.layers import Fabric, build_fabric
from onedallmail.platform.model import Platform
from onedallmail.platform.reachability import Proof, prove_fabric

from .fabrics import EXAMPLES, example, small_on_aws, widened

SVG = "{http://www.w3.org/2000/svg}"


def run(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["flows", *words], env={"COLUMNS": "400"})
    return result.exit_code, result.output


@pytest.mark.parametrize("stack", EXAMPLES)
def test_prove_shows_every_flow_with_its_rules_and_every_refusal_by_name(stack: str) -> None:
    code, text = run("prove", "--stack", stack)
    assert code == 0
    for flow in example(stack).flows:
        assert flow.name in text
    assert "host firewall a1 out: tcp 5432 (platform-postgres-platform-tcp)" in text
    assert "internet to PostgreSQL" in text
    assert f"proof of stack {stack} holds" in text


def test_prove_as_json_has_paths_refusals_and_counts() -> None:
    code, text = run("prove", "--stack", "example", "--json")
    found = json.loads(text)
    assert code == 0
    assert found["holds"] is True
    assert all(flow["paths"] or flow["note"] for flow in found["flows"])
    assert {r["name"] for r in found["refusals"]} >= {"internet to PostgreSQL", "user network to key service (HSM)"}
    assert found["undeclared"] == found["excess"] == []
    assert sum(found["refused"].values()) > 10_000_000


def test_a_proof_that_fails_ends_with_three_and_says_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    def with_a_wider_rule(platform: Platform) -> Proof:
        first, *others = build_fabric(platform).filters
        return prove_fabric(Fabric(platform, (next(w for w in widened(first) if w != first), *others)))

    monkeypatch.setattr(command, "prove", with_a_wider_rule)
    code, text = run("prove", "--stack", "lab")
    assert code == 3
    assert "RULES WIDER than their flows" in text
    assert "does NOT hold" in text


def test_a_flow_that_is_blocked_ends_with_three_and_names_what_blocks_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_the_first_rule(platform: Platform) -> Proof:
        return prove_fabric(Fabric(platform, build_fabric(platform).filters[1:]))

    monkeypatch.setattr(command, "prove", without_the_first_rule)
    code, text = run("prove", "--stack", "lab")
    assert code == 3
    assert "BLOCKED" in text
    assert "the receiver's host firewall" in text


def test_an_unknown_stack_is_an_error_of_one_line() -> None:
    code, text = run("prove", "--stack", "nowhere")
    assert code == 1
    assert "there is no stack 'nowhere'" in text


def test_list_shows_the_intent_graph() -> None:
    code, text = run("list", "--stack", "lab", "--json")
    assert code == 0
    assert [f["name"] for f in json.loads(text)] == [f.name for f in example("lab").flows]
    assert "validating resolution from the root" in run("list")[1]


@pytest.mark.parametrize("stack", EXAMPLES)
def test_the_drawing_names_every_party_and_the_port_of_every_flow(stack: str, tmp_path: Path) -> None:
    code, _ = run("prove", "--stack", stack, "--svg", str(tmp_path / "flows.svg"))
    assert code == 0
    root = ElementTree.fromstring((tmp_path / "flows.svg").read_text())  # noqa: S314 - our own file
    text = " ".join(t.text or "" for t in root.iter(f"{SVG}text"))
    titles = " ".join(t.text or "" for t in root.iter(f"{SVG}title"))
    for flow in example(stack).flows:
        assert str(flow.source) in text
        assert f"{flow.port.service} {flow.protocol}/{flow.port.value}" in text
        assert flow.name in titles
    assert "prefers-color-scheme: dark" in (tmp_path / "flows.svg").read_text()


@pytest.mark.parametrize("platform", [example("lab"), example("example"), small_on_aws(cloudHsm=False, web=False)])
def test_no_label_lies_on_another_or_outside_the_drawing(platform: Platform) -> None:
    plan = drawing(platform)
    boxes = []
    for arrow in plan.arrows:
        width = LETTER * len(arrow.label)
        left = arrow.label_x - (width if arrow.anchor == "end" else 0)
        assert left >= 0
        assert left + width <= plan.width
        boxes.append((left, left + width, arrow.y - 20, arrow.y + 10))
    for one, two in combinations(boxes, 2):
        assert one[1] <= two[0] or two[1] <= one[0] or one[3] <= two[2] or two[3] <= one[2]
    middles = [node.x for node in plan.nodes]
    assert all(abs(one - two) >= NODE_WIDTH for one, two in combinations(middles, 2))


def test_the_drawing_in_the_documents_is_that_of_the_example() -> None:
    written = (ROOT / "docs" / "flows.svg").read_text()
    anew = "onedallmail flows prove --stack example --svg docs/flows.svg"
    assert written == flow_graph(example("example")), f"write it anew: {anew}"


def test_purposes_are_escaped() -> None:
    platform = example("lab")
    odd = replace(platform.flows[0], purpose="<script>&")
    assert "<script>" not in flow_graph(replace(platform, flows=(odd, *platform.flows[1:])))
