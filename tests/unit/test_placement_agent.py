"""The placement service: it seeds the map once, its files follow the map, and they stay when the map is gone."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from onedallmail.placement import files
from onedallmail.placement.agent import main
from onedallmail.placement.map import initial
from onedallmail.placement.settings import SettingsError, parse_settings
from onedallmail.placement.store import GROUPS, alive_key, group_key

from .placements import MemoryStore, Service, raw_settings, settings, stand_in_postmap


@pytest.fixture(autouse=True)
def postmap(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    return stand_in_postmap(tmp_path_factory.mktemp("bin"), monkeypatch)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def service(tmp_path: Path, store: MemoryStore) -> Service:
    """A service on a1 whose map was read once."""
    service = Service(tmp_path / "a1", store)
    assert service.turn()
    return service


def test_an_absent_map_is_seeded_once(tmp_path: Path, store: MemoryStore) -> None:
    services = [Service(tmp_path / name, store, name) for name in ("a1", "b1")]
    assert all(service.turn() for service in services)
    assert store.created == 1
    assert files.read_groups(services[0].directory) == initial(8, settings(tmp_path).regions)
    texts = {(service.directory / "groups.json").read_text() for service in services}
    assert len(texts) == 1


def test_files_have_the_formats_that_postfix_and_dovecot_read(service: Service) -> None:
    assert service.line("transport", 0) == "0\tlmtp:unix:private/lmtp"
    assert service.line("transport", 2) == "2\tsmtp:[b1.internal]:10025"
    assert service.line("proxy-imap", 0) == "0:::::::proxy=y host=a1.internal hostip=127.0.0.1 port=11993"
    assert service.line("proxy-sieve", 0) == "0:::::::proxy=y host=a1.internal hostip=127.0.0.1 port=15190"
    assert service.line("proxy-imap", 2) == "2:::::::proxy=y host=b1.internal hostip=127.0.0.3 port=10993"
    assert service.line("proxy-sieve", 2) == "2:::::::proxy=y host=b1.internal hostip=127.0.0.3 port=14190"
    assert [service.line("home", number) for number in (0, 2)] == ["0:::::::", "2:::::::userdb_tempfail=y"]
    assert [service.line("standby", number) for number in (0, 2)] == ["0:::::::userdb_tempfail=y", "2:::::::"]
    groups = json.loads((service.directory / "groups.json").read_text())["groups"]
    assert groups["0"].keys() == {"home", "standby", "epoch"}
    assert {p.stat().st_mode & 0o777 for p in service.directory.iterdir()} == {0o644}
    assert not list(service.directory.glob(".*"))


def test_the_status_says_what_is_held_and_served(service: Service) -> None:
    found = service.status
    assert (found["server"], found["groups"], found["error"]) == ("a1", 8, None)
    assert found["checked_at"].endswith("+00:00")
    assert (found["served"], found["standby"], found["unprepared"], found["failovers"]) == (2, 2, [], [])
    assert found["lease"]["ttl_s"] == 8
    assert found["fence"] == {"open_for_s": 7.0, "error": None}


def test_the_status_is_kept_fresh_while_the_map_is_not_looked_at(service: Service, store: MemoryStore) -> None:
    """A look may wait for etcd's endpoints in turn; who asks about lease and fence meanwhile gets what holds now."""
    path, before = service.directory / "status.json", service.status
    inode = path.stat().st_ino
    store.clock.now += 3
    service.agent.tell()
    assert path.stat().st_ino != inode, "replaced by rename, so a reader never sees half of it"
    assert service.status["fence"]["open_for_s"] == before["fence"]["open_for_s"] - 3
    store.clock.now += 6
    service.agent.tell()
    assert (service.status["lease"], service.status["fence"]["open_for_s"]) == (None, 0.0)
    same = ("revision", "groups", "checked_at", "served", "standby", "failovers", "error")
    assert [service.status[name] for name in same] == [before[name] for name in same]
    assert not list(service.directory.glob(".*"))


def test_nothing_is_told_before_the_first_look(tmp_path: Path, store: MemoryStore) -> None:
    service = Service(tmp_path / "a1", store)
    service.agent.tell()
    assert not (service.directory / "status.json").exists()


def test_living_servers_are_told_with_their_regions(service: Service, store: MemoryStore) -> None:
    store.arrive("b2")
    service.agent.step()
    found = json.loads((service.directory / "alive.json").read_text())
    assert (found["version"], found["servers"]) == (1, {"a1": "eu-central-1", "b2": "eu-west-1"})
    assert found["at"].endswith("+00:00")
    for _ in range(5):
        store.clock.now += 2
        service.turn()
    assert json.loads((service.directory / "alive.json").read_text())["servers"] == {"a1": "eu-central-1"}


def test_a_new_passwd_file_is_of_another_second(service: Service, store: MemoryStore) -> None:
    """Dovecot would go on with the old one: two groups that change places leave its size as it was."""
    seconds = [int((service.directory / "home").stat().st_mtime)]
    for epoch, home, other in ((2, "b1", "a1"), (3, "a1", "b1")):
        store.put_group(0, home, other, epoch)
        service.turn()
        seconds.append(int((service.directory / "home").stat().st_mtime))
    assert len(set(seconds)) == 3


def test_a_moved_group_is_followed(service: Service, store: MemoryStore) -> None:
    store.put_group(0, "b1", "a1", 2)
    service.turn()
    for name in ("transport", "transport.lmdb"):
        assert service.line(name, 0) == "0\tsmtp:[b1.internal]:10025"
    assert service.line("proxy-sieve", 0).startswith("0:::::::proxy=y host=b1.internal")
    assert 0 not in service.serves
    assert service.status["revision"] == store.changes[group_key(0)]


def test_waiting_mail_is_tried_again_after_a_move(service: Service, store: MemoryStore) -> None:
    flush = service.directory / "flush"
    store.clock.now += 1
    service.agent._flusher.turn()
    store.clock.now += 60
    assert service.agent._flusher.turn() is None
    flush.unlink()
    service.turn()
    assert service.agent._flusher.turn() is None
    assert not flush.exists()
    store.put_group(2, "b2", "a1", 2)
    service.turn()
    assert service.agent._flusher.turn() == 1.5
    assert flush.exists()
    store.clock.now += 1.5
    assert service.agent._flusher.turn() == 4.5


def test_an_unchanged_map_rewrites_what_is_told_of_the_moment_only(service: Service) -> None:
    def inodes() -> dict[str, int]:
        moments = ("status.json", "alive.json")
        return {p.name: p.stat().st_ino for p in service.directory.iterdir() if p.name not in moments}

    before = inodes()
    service.turn()
    assert inodes() == before


def test_a_lost_table_is_made_again(service: Service) -> None:
    (service.directory / "transport.lmdb").unlink()
    service.turn()
    assert (service.directory / "transport.lmdb").exists()


@pytest.mark.parametrize("restarted", [False, True])
def test_the_last_files_stay_without_etcd(service: Service, store: MemoryStore, restarted: bool) -> None:
    names = ("transport", "home", "standby", "proxy-imap", "groups.json", "alive.json")
    before, last = [(service.directory / name).read_text() for name in names], service.status
    store.gone = True
    assert not (Service(service.directory, store) if restarted else service).turn()
    assert [(service.directory / name).read_text() for name in names] == before
    now = service.status
    assert now["error"] == "etcd gives no answer"
    assert [now[name] for name in ("revision", "groups", "checked_at")] == [
        last[name] for name in ("revision", "groups", "checked_at")
    ]


def test_a_map_that_vanished_is_not_seeded_again_by_a_server_that_knew_one(
    service: Service, store: MemoryStore
) -> None:
    """A second first map would send mail to servers that are no longer home."""
    for key in [key for key in store.values if key.startswith(GROUPS)]:
        store.delete(key)
    later = Service(service.directory, store)
    assert not later.turn()
    assert store.created == 1
    assert "restore etcd's data" in later.status["error"]
    assert not later.is_open


@pytest.mark.parametrize(
    "text", ["", '{"home":"z9","standby":"b1","epoch":2}', '{"home":"a1","standby":"a2","epoch":2}']
)
def test_a_wrong_group_keeps_its_place_and_the_others_move(service: Service, store: MemoryStore, text: str) -> None:
    store.put(group_key(0), text, 0)
    store.put_group(4, "b2", "a1", 2)
    service.turn()
    assert service.line("transport", 0) == "0\tlmtp:unix:private/lmtp"
    assert service.line("transport", 4) == "4\tsmtp:[b2.internal]:10025"
    assert service.serves == {0}
    assert "placement group 0" in service.status["error"]


def test_keys_that_are_no_group_are_reported(service: Service, store: MemoryStore) -> None:
    store.put_group(8, "a1", "b1", 1)
    service.turn()
    assert f"{GROUPS}8, which is no group" in service.status["error"]


def test_a_failing_postmap_leaves_the_old_table(service: Service, store: MemoryStore, postmap: Path) -> None:
    before = (service.directory / "transport").read_text()
    postmap.write_text("#!/bin/sh\necho 'fatal: no space' >&2\nexit 1\n")
    store.put_group(0, "b1", "a1", 2)
    assert not service.turn()
    for name in ("transport", "transport.lmdb"):
        assert (service.directory / name).read_text() == before
    assert "fatal: no space" in service.status["error"]


def test_a_key_of_an_unknown_server_harms_nothing(service: Service, store: MemoryStore) -> None:
    store.put(alive_key("z9"), "no JSON", 0)
    assert service.turn()
    assert json.loads((service.directory / "alive.json").read_text())["servers"]["z9"] == ""


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"server": "z9"}, "'z9' is not among"),
        ({"groups": 0}, "groups is 0"),
        ({"groups": 65537}, "choose 1 to 65536"),
        ({"lease": {"ttl_s": 2, "request_timeout_s": 1.5, "patience_s": 60}}, "choose 4 or more"),
        ({"fence": {"ports": [], "file": "/x"}}, "ports is empty"),
    ],
)
def test_a_wrong_configuration_is_refused(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(SettingsError, match=reason):
        parse_settings(raw_settings(tmp_path, **changes))


@pytest.mark.parametrize(("text", "code"), [(None, 0), ("{}", 1), ("no JSON", 1)])
def test_the_check_of_a_configuration_says_whether_it_is_right(tmp_path: Path, text: str | None, code: int) -> None:
    path = tmp_path / "placement.json"
    path.write_text(text if text is not None else json.dumps(raw_settings(tmp_path)))
    assert main(["--check", os.fspath(path)]) == code
