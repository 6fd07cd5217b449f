"""`keys dkim`: keys for every domain, private to their owner, and never on the screen."""

import json
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from onedallmail.cli import app
from onedallmail.cli import keys as cli_keys
from onedallmail.keys import dkim as key_pairs


def test_keys_of_every_domain_are_made_once_and_the_private_ones_are_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in (cli_keys, key_pairs):
        monkeypatch.setattr(place, "state_dir", lambda stack: tmp_path / stack)
    first = CliRunner().invoke(app, ["keys", "dkim", "--stack", "example", "--json"])
    assert first.exit_code == 0, first.output
    assert "PRIVATE KEY" not in first.output
    files = {key.partition(":")[2]: Path(path) for key, path in json.loads(first.output)["files"].items()}
    assert set(json.loads(files["dkimPublicKeys"].read_text())) == {"example.com", "example.org"}
    assert "PRIVATE KEY" in files["dkimPrivateKeys"].read_text()
    assert stat.S_IMODE(files["dkimPrivateKeys"].stat().st_mode) == 0o600
    before = files["dkimPrivateKeys"].read_text()
    CliRunner().invoke(app, ["keys", "dkim", "--stack", "example"])
    assert files["dkimPrivateKeys"].read_text() == before
