"""Pulumi.yaml is read as the pulumi command reads it."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from onedallmail.engine.errors import EngineError
from onedallmail.engine.project import load_project
from onedallmail.paths import ROOT


def written(folder: Path, **rule: Any) -> Path:
    """Write a project with one declaration."""
    project = {"name": "sample", "runtime": "python", "config": {"sample:field": rule}}
    (folder / "Pulumi.yaml").write_text(yaml.safe_dump(project))
    return folder


def test_the_checkouts_own_project_is_one_that_the_command_takes() -> None:
    assert "onedallmail:regions" in load_project(ROOT).schema


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ({"type": "array"}, "say what it holds"),
        ({"type": "string", "secret": True, "default": ""}, "can't have a default"),
    ],
)
def test_a_declaration_that_the_command_refuses_is_refused(tmp_path: Path, rule: dict[str, Any], told: str) -> None:
    with pytest.raises(EngineError, match=told):
        load_project(written(tmp_path, **rule))


def test_a_declaration_that_says_all_is_taken(tmp_path: Path) -> None:
    folder = written(tmp_path, type="array", items={"type": "object"}, default=[])
    assert load_project(folder).schema["sample:field"]["default"] == []
