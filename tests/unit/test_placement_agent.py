"""The placement service: it seeds the map once, its files follow the map, and they stay when the map is gone."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from onedallmail.placement import files
from onedallmail.placement.agent import PREFIX, Agent, main
from onedallmail.placement.etcd import EtcdError, Snapshot
from onedallmail.placement.map import initial
from onedallmail.placement.settings import SettingsError, parse_settings

from .placements import raw_settings, settings


class MemoryStore:
    """etcd's promises in memory: revisions, create-if-absent."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.revision = 1
        self.created = 0
        self.gone = False

    def put(self, number: int, text: str) -> None:
        self.revision += 1
        self.values[f"{PREFIX}{number}"] = text.encode()

    def read(self, prefix: str) -> Snapshot:
        if self.gone:
            msg = "etcd gives no answer"
            raise EtcdError(msg)
        return Snapshot({k: v for k, v in self.values.items() if k.startswith(prefix)}, self.revision, self.revision)

    def create(self, prefix: str, values: Mapping[str, str]) -> bool:
        if any(key.startswith(prefix) for key in self.values):
            return False
        self.created += 1
        self.revision += 1
        self.values |= {key: value.encode() for key, value in values.items()}
        return True

    def wait(self, prefix: str, after_revision: int, timeout_s: float) -> bool:
        assert (prefix, after_revision, timeout_s) == (PREFIX, self.revision, 5)
        return False


@pytest.fixture(autouse=True)
def postmap(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that makes SOURCE.lmdb as postmap does; the real one is checked in the lab."""
    program = tmp_path_factory.mktemp("bin") / "postmap"
    program.write_text('#!/bin/sh\nsource="${1#lmdb:}"\nexec cp "$source" "$source.lmdb"\n')
    program.chmod(0o755)
    monkeypatch.setattr(files, "POSTMAP", str(program))
    return program


def status(directory: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((directory / "status.json").read_text())
    return found


def line(directory: Path, name: str, number: int) -> str:
    return (directory / name).read_text().splitlines()[number]


def test_an_absent_map_is_seeded_once(tmp_path: Path) -> None:
    store, directories = MemoryStore(), [tmp_path / "one", tmp_path / "two"]
    for directory in directories:
        directory.mkdir()
        assert Agent(settings(directory), store).step()
    assert store.created == 1
    assert files.read_groups(directories[0]) == initial(8, settings(tmp_path).regions)
    assert (directories[0] / "groups.json").read_text() == (directories[1] / "groups.json").read_text()


def test_files_have_the_formats_that_postfix_and_dovecot_read(tmp_path: Path) -> None:
    Agent(settings(tmp_path), MemoryStore()).step()
    assert line(tmp_path, "transport", 0) == "0\tlmtp:unix:private/lmtp"
    assert line(tmp_path, "transport", 2) == "2\tsmtp:[b1.internal]:10025"
    assert line(tmp_path, "proxy-imap", 0) == "0:::::::"
    assert line(tmp_path, "proxy-imap", 2) == "2:::::::proxy=y host=b1.internal hostip=10.0.0.3 port=10993"
    assert line(tmp_path, "proxy-sieve", 2) == "2:::::::proxy=y host=b1.internal hostip=10.0.0.3 port=14190"
    assert json.loads((tmp_path / "groups.json").read_text())["groups"]["0"].keys() == {"home", "standby", "epoch"}
    found = status(tmp_path)
    assert (found["server"], found["revision"], found["groups"], found["error"]) == ("a1", 2, 8, None)
    assert found["checked_at"].endswith("+00:00")
    assert {p.stat().st_mode & 0o777 for p in tmp_path.iterdir()} == {0o644}
    assert not list(tmp_path.glob(".*"))


def test_a_moved_group_is_followed(tmp_path: Path) -> None:
    store = MemoryStore()
    agent = Agent(settings(tmp_path), store)
    agent.step()
    store.put(0, '{"home":"b1","standby":"a1","epoch":2}')
    agent.step()
    assert line(tmp_path, "transport", 0) == "0\tsmtp:[b1.internal]:10025"
    assert line(tmp_path, "transport.lmdb", 0) == "0\tsmtp:[b1.internal]:10025"
    assert line(tmp_path, "proxy-sieve", 0).startswith("0:::::::proxy=y host=b1.internal")
    assert status(tmp_path)["revision"] == 3


def test_an_unchanged_map_rewrites_the_status_only(tmp_path: Path) -> None:
    agent = Agent(settings(tmp_path), MemoryStore())
    agent.step()
    before = {p.name: p.stat().st_ino for p in tmp_path.iterdir() if p.name != "status.json"}
    agent.step()
    assert {p.name: p.stat().st_ino for p in tmp_path.iterdir() if p.name != "status.json"} == before


def test_a_lost_table_is_made_again(tmp_path: Path) -> None:
    agent = Agent(settings(tmp_path), MemoryStore())
    agent.step()
    (tmp_path / "transport.lmdb").unlink()
    agent.step()
    assert (tmp_path / "transport.lmdb").exists()


@pytest.mark.parametrize("restarted", [False, True])
def test_the_last_files_stay_without_etcd(tmp_path: Path, restarted: bool) -> None:
    store = MemoryStore()
    agent = Agent(settings(tmp_path), store)
    agent.step()
    before, last = (tmp_path / "transport").read_text(), status(tmp_path)
    store.gone = True
    assert not (Agent(settings(tmp_path), store) if restarted else agent).step()
    assert (tmp_path / "transport").read_text() == before
    assert status(tmp_path) == last | {"error": "etcd gives no answer"}


def test_a_map_that_vanished_is_not_seeded_again_by_a_server_that_knew_one(tmp_path: Path) -> None:
    """A second first map would send mail to servers that are no longer home."""
    store = MemoryStore()
    Agent(settings(tmp_path), store).step()
    store.values.clear()
    assert not Agent(settings(tmp_path), store).step()
    assert store.created == 1
    assert "restore etcd's data" in status(tmp_path)["error"]


@pytest.mark.parametrize(
    "text", ["", '{"home":"z9","standby":"b1","epoch":2}', '{"home":"a1","standby":"a2","epoch":2}']
)
def test_a_wrong_group_keeps_its_place_and_the_others_move(tmp_path: Path, text: str) -> None:
    store = MemoryStore()
    agent = Agent(settings(tmp_path), store)
    agent.step()
    store.put(0, text)
    store.put(4, '{"home":"b2","standby":"a1","epoch":2}')
    agent.step()
    assert line(tmp_path, "transport", 0) == "0\tlmtp:unix:private/lmtp"
    assert line(tmp_path, "transport", 4) == "4\tsmtp:[b2.internal]:10025"
    assert "placement group 0" in status(tmp_path)["error"]


def test_keys_that_are_no_group_are_reported(tmp_path: Path) -> None:
    store = MemoryStore()
    agent = Agent(settings(tmp_path), store)
    agent.step()
    store.put(8, '{"home":"a1","standby":"b1","epoch":1}')
    agent.step()
    assert f"{PREFIX}8, which is no group" in status(tmp_path)["error"]


def test_a_failing_postmap_leaves_the_old_table(tmp_path: Path, postmap: Path) -> None:
    store = MemoryStore()
    agent = Agent(settings(tmp_path), store)
    agent.step()
    before = (tmp_path / "transport").read_text()
    postmap.write_text("#!/bin/sh\necho 'fatal: no space' >&2\nexit 1\n")
    store.put(0, '{"home":"b1","standby":"a1","epoch":2}')
    assert not agent.step()
    assert (tmp_path / "transport").read_text() == (tmp_path / "transport.lmdb").read_text() == before
    assert "fatal: no space" in status(tmp_path)["error"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"server": "z9"}, "'z9' is not among"), ({"groups": 0}, "groups is 0"), ({"groups": 65537}, "choose 1 to 65536")],
)
def test_a_wrong_configuration_is_refused(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(SettingsError, match=reason):
        parse_settings(raw_settings(tmp_path, **changes))


@pytest.mark.parametrize(("text", "code"), [(None, 0), ("{}", 1), ("no JSON", 1)])
def test_the_check_of_a_configuration_says_whether_it_is_right(tmp_path: Path, text: str | None, code: int) -> None:
    path = tmp_path / "placement.json"
    path.write_text(text if text is not None else json.dumps(raw_settings(tmp_path)))
    assert main(["--check", os.fspath(path)]) == code
