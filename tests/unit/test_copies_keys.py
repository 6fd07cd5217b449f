"""Keys from KMS, places, attempts, settings."""

import asyncio
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import EndpointConnectionError
from moto import mock_aws

from onedallmail.copies.attempts import Attempt, Attempts
from onedallmail.copies.keys import KeysAwayError, OpeningKeys
from onedallmail.copies.kms import Kms
from onedallmail.copies.places import AliveKeys, PlacementFiles
from onedallmail.copies.record import WrappedKey
from onedallmail.copies.settings import SettingsError, load_settings
from onedallmail.placement.map import Placement
from tests.unit.copies import ID, WRAPPED, Keys


@dataclass
class Region:
    """A region's endpoint of KMS."""

    name: str
    dead: set[str]
    asked: list[str] = field(default_factory=list)

    def generate_data_key(self, **asked: Any) -> dict[str, bytes]:
        return {"CiphertextBlob": b"wrapped", "Plaintext": self._answer(asked)}

    def decrypt(self, **asked: Any) -> dict[str, bytes]:
        return {"Plaintext": self._answer(asked)}

    def _answer(self, asked: dict[str, Any]) -> bytes:
        assert asked["EncryptionContext"] == {"purpose": "test"}
        assert f":{self.name}:" in asked["KeyId"]
        self.asked.append(asked["KeyId"])
        if self.name in self.dead:
            raise EndpointConnectionError(endpoint_url=self.name)
        return b"k" * 32


ARNS = [f"arn:aws:kms:{region}:1:key/mrk-1" for region in ("eu-a", "eu-b")]


def kms(dead: set[str]) -> tuple[Kms, dict[str, Region]]:
    found = Kms(ARNS, {"purpose": "test"})
    regions = {name: Region(name, dead) for name in ("eu-a", "eu-b")}
    found._clients = dict(regions)
    return found, regions


def test_the_own_region_is_asked_first_and_a_replica_when_it_is_away() -> None:
    dead: set[str] = set()
    found, regions = kms(dead)
    assert found.generate().wrapped == WrappedKey(ARNS[0], b"wrapped")
    dead.add("eu-a")
    assert found.generate().wrapped.arn == ARNS[1]
    assert found.unwrap(WrappedKey(ARNS[0], b"wrapped")) == b"k" * 32
    assert len(regions["eu-a"].asked) == 2, "a region that failed is not asked again at once"
    dead.add("eu-b")
    with pytest.raises(KeysAwayError, match="check its endpoints"):
        found.generate()


def test_real_calls_of_botocore_get_a_key_that_can_be_unwrapped(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with mock_aws():
        client = botocore.session.get_session().create_client("kms", region_name="eu-central-1")
        arn = client.create_key()["KeyMetadata"]["Arn"]
        key = Kms([arn], {"purpose": "test"}).generate()
        assert key.wrapped.arn == arn
        assert len(key.plain) == 32
        assert Kms([arn], {"purpose": "test"}).unwrap(key.wrapped) == key.plain
        with pytest.raises(KeysAwayError):
            Kms([arn], {"purpose": "other"}).unwrap(key.wrapped)


def test_a_key_of_another_platform_is_not_even_asked_for() -> None:
    found, regions = kms(set())
    with pytest.raises(KeysAwayError, match="none of this platform"):
        found.unwrap(WrappedKey("arn:aws:kms:eu-a:1:key/mrk-2", b"x"))
    assert regions["eu-a"].asked == []


def test_a_key_is_unwrapped_once_and_a_failure_is_not_repeated_at_once() -> None:
    async def run() -> None:
        keys = Keys()
        opening = OpeningKeys(keys)
        assert await opening.unwrap(WRAPPED) == await opening.unwrap(WRAPPED)
        assert keys.calls == 1
        keys.away = True
        for _ in range(3):
            with pytest.raises(KeysAwayError):
                await opening.unwrap(WrappedKey(WRAPPED.arn, b"other"))
        assert keys.calls == 2
        assert await opening.unwrap(WRAPPED)

    asyncio.run(run())


def alive_file(directory: Path, age_s: float) -> None:
    at = (datetime.now(UTC) - timedelta(seconds=age_s)).isoformat()
    (directory / "alive.json").write_text(json.dumps({"version": 1, "at": at, "servers": {"a1": "a"}}))


def test_places_come_from_the_placement_services_files_unless_they_are_old(tmp_path: Path) -> None:
    places = PlacementFiles(tmp_path)
    assert places.read().alive is None
    alive_file(tmp_path, 1)
    record = {"home": "a1", "standby": "b1", "epoch": 4}
    (tmp_path / "groups.json").write_text(json.dumps({"groups": {"1": record}}))
    assert places.read().alive == frozenset({"a1"})
    assert places.read().groups == {1: Placement("a1", "b1", 4)}
    (tmp_path / "groups.json").write_text(json.dumps({"groups": {"1": {**record, "joining": "b2"}}}))
    assert places.read().groups[1].standby == "b1", "who joins is not asked"
    (tmp_path / "groups.json").write_text(json.dumps({"groups": {"1": record}, "revision": 2}))
    assert places.read().groups == {1: Placement("a1", "b1", 4)}
    alive_file(tmp_path, 60)
    (tmp_path / "groups.json").write_text("{")
    assert places.read().alive is None
    assert places.read().groups == {1: Placement("a1", "b1", 4)}, "the map of before stays"


@dataclass
class Etcd:
    """A client of etcd."""

    values: dict[str, bytes]
    dead: bool = False

    def read(self, _prefix: str) -> "Etcd":
        if self.dead:
            msg = "no majority"
            raise ConnectionError(msg)
        return self


def test_a_witness_asks_etcd_who_lives() -> None:
    etcd = Etcd({"/onedallmail/placement/alive/a1": b"", "/onedallmail/placement/alive/b1": b""})
    places = AliveKeys(etcd, ConnectionError, kept_s=0)
    assert places.read().alive == frozenset({"a1", "b1"})
    etcd.dead = True
    assert places.read().alive is None


def test_attempts_outlive_the_process_and_go_with_their_copy(tmp_path: Path) -> None:
    name = f"{ID}-4Q-a1"
    attempts = Attempts(tmp_path)
    attempts.add(name, "u@e.org", Attempt(5.0, 1, "4X"))
    attempts.add(name, "u@e.org", Attempt(6.0, 2, ""))
    (tmp_path / f"{ID}-4Z-a1").write_text("{")
    again = Attempts(tmp_path)
    assert again.of(name, "u@e.org") == (Attempt(5.0, 1, "4X"), Attempt(6.0, 2, ""))
    assert again.of(name, "v@e.org") == ()
    again.forget(name)
    assert Attempts(tmp_path).of(name, "u@e.org") == ()


def raw(directory: Path) -> dict[str, Any]:
    return {
        "channel": {
            "server": "a1",
            "port": 1,
            "addresses": {"a1": "127.0.0.1", "w1": "127.0.0.2"},
            "certificate": "x",
            "key": "x",
            "ca": "x",
            "pins": "x",
        },
        "sync_port": 2,
        "regions": {"a1": "a", "w1": "w"},
        "witnesses": ["w1"],
        "kms": {"arns": ARNS, "context": {}},
        "directory": str(directory),
        "placement": "x",
        "etcd": None,
        "database": "x",
        "database_user": "x",
        "reinjection_port": 3,
        "socket": "x",
        "message_bytes": 1,
        "buffered_bytes": 1,
        "min_free_bytes": 1,
        "without_second_place": "refuse",
    }


def test_settings_are_those_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "copies.json"
    file.write_text(json.dumps(raw(tmp_path)))
    found = load_settings(file)
    assert found.delivers
    assert found.mail_regions == {"a1": "a"}
    assert found.sync_channel.port == 2


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"without_second_place": "maybe"}, "maybe"),
        ({"regions": {"a1": "a"}}, "w1: each server needs"),
        ({"kms": {"arns": [], "context": {}}}, r"kms\.arns is empty"),
        ({"witnesses": ["a1"]}, "etcd is missing"),
        ({"strange": 1}, "strange"),
    ],
)
def test_settings_that_can_not_be_are_refused_with_the_reason(
    tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    file = tmp_path / "copies.json"
    file.write_text(json.dumps({**raw(tmp_path), **change}))
    with pytest.raises(SettingsError, match=reason):
        load_settings(file)
