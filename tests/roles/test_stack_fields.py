"""What the stack file says of placement and copies reaches the services, in files that they take."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from onedallmail import inventory
from onedallmail.fleets import pins_of
from onedallmail.paths import ROOT
from onedallmail.placement.settings import load_settings
from onedallmail.platform.model import Platform, build_platform
from onedallmail.platform.stack import parse_stack

from . import site
from .rendering import Outcome, render_all


def stated() -> Platform:
    """Return the lab's platform with a weight, a pin of each kind, and the other policy of copies."""
    config: dict[str, Any] = yaml.safe_load((ROOT / "Pulumi.lab.yaml").read_text())["config"]
    settings = {key.removeprefix("onedallmail:"): value for key, value in config.items() if key.startswith("onedall")}
    settings["regions"][0]["servers"][0]["weight"] = 2.5
    settings["copies"] = {"withoutSecondPlace": "accept"}
    settings["pins"] = [
        {"domain": "acme.example", "regions": ["eu-west-1"]},
        {"address": "board@acme.example", "regions": ["eu-central-1", "eu-west-1"], "groups": 2},
    ]
    return build_platform(parse_stack("lab", settings))


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    folder = tmp_path_factory.mktemp("stated")
    with pytest.MonkeyPatch.context() as patch:
        for module in (site, inventory):
            patch.setattr(module, "load_platform", lambda _: stated())
        return render_all(folder, site.write_site(folder, patch), "a1")


def file(outcome: Outcome, role: str, source: str) -> str:
    return next(f.text for f in outcome.files if (f.role, f.src, f.host) == (role, source, "a1"))


def test_weights_and_pins_reach_the_service_that_writes_the_first_map(rendered: Outcome, tmp_path: Path) -> None:
    path = tmp_path / "placement.json"
    path.write_text(file(rendered, "placement", "placement.json.j2"))
    settings = load_settings(path)
    assert {name: server.weight for name, server in settings.servers.items()} == {"a1": 2.5, "a2": 1, "b1": 1, "b2": 1}
    assert settings.pins == pins_of(stated())
    assert len(settings.pins) == 2


def test_the_policy_of_copies_reaches_the_milter(rendered: Outcome) -> None:
    assert '"without_second_place": "accept"' in file(rendered, "copies", "copies.json.j2")


def test_a_stack_file_that_states_nothing_of_it_has_the_defaults(outcome: Outcome, tmp_path: Path) -> None:
    path = tmp_path / "placement.json"
    path.write_text(file(outcome, "placement", "placement.json.j2"))
    settings = load_settings(path)
    assert (settings.pins, {server.weight for server in settings.servers.values()}) == ((), {1.0})
    assert '"without_second_place": "refuse"' in file(outcome, "copies", "copies.json.j2")
