"""The engine against a pulumi command, where one is on PATH: both run the same random sequences of programs.

The seeds are in the names of the tests; ONEDALLMAIL_SEED adds one more. Programs have no explicit provider: the command
attaches one process for all providers of a package, which is then of one region (the golden records
have such programs).
"""

import shutil
from pathlib import Path

import pytest

from onedallmail.engine.run import ENGINE_VARIABLE

from .replay import Replay, by_identity
from .specs import Specs
from .test_engine_random import SEEDS, STEPS

pytestmark = pytest.mark.timeout(300)


@pytest.mark.skipif(shutil.which("pulumi") is None, reason="no pulumi command on PATH to compare with")
@pytest.mark.parametrize("seed", SEEDS)
def test_the_engine_does_what_the_pulumi_command_does(
    seed: int, zygote: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    specs, sides = Specs(seed, providers=False), {}
    for engine in ("embedded", "command"):
        folder = tmp_path / engine
        folder.mkdir()
        sides[engine] = Replay(folder, zygote, f"d{seed}")
    for step in range(STEPS):
        spec = specs.change() if step else specs.spec
        outcome = {}
        for engine, replay in sides.items():
            monkeypatch.setenv(ENGINE_VARIABLE, engine)
            monkeypatch.setenv("SPEC", str(replay.spec))
            ok = replay.run("up", spec).ok
            outcome[engine] = (ok, by_identity(replay.resources()), sorted(replay.calls()))
        assert outcome["embedded"] == outcome["command"], f"seed {seed}, step {step}"
