"""The first map is written once and whole, whoever begins it, and whoever dies in the middle."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from onedallmail.placement.map import from_json, initial
from onedallmail.placement.seeding import seed
from onedallmail.placement.settings import Settings, parse_settings
from onedallmail.placement.store import GROUPS, PREFIX, SEEDING, EtcdError, Transaction, group_key

from .placements import MemoryStore, Service, raw_settings, settings, stand_in_postmap

MANY = 250


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def many(tmp_path: Path) -> Settings:
    return settings(tmp_path, groups=MANY)


def dies_after(store: MemoryStore, transactions: int) -> None:
    """Let the service that writes lose etcd after so many transactions."""
    commit, done = store.commit, 0

    def counted(transaction: Transaction) -> bool:
        nonlocal done
        if done == transactions:
            store.commit = commit  # type: ignore[method-assign] # the next service has it
            msg = "etcd gives no answer"
            raise EtcdError(msg)
        done += 1
        return commit(transaction)

    store.commit = counted  # type: ignore[method-assign] # as above


def is_whole(store: MemoryStore, wanted: Settings) -> bool:
    values = {n: store.values[group_key(n)] for n in range(wanted.groups) if group_key(n) in store.values}
    found = {number: from_json(number, value) for number, value in values.items()}
    return found == initial(wanted.groups, wanted.regions) and SEEDING not in store.values


def test_more_groups_than_a_transaction_takes_are_written(store: MemoryStore, many: Settings) -> None:
    sizes = []
    commit = store.commit

    def measured(transaction: Transaction) -> bool:
        sizes.append(max(len(transaction.puts), len(transaction.compares)))
        return commit(transaction)

    store.commit = measured  # type: ignore[method-assign] # to look at each
    seed(store, store.read(PREFIX), many)
    assert is_whole(store, many)
    assert max(sizes) <= 101


@pytest.mark.parametrize("transactions", range(5))
def test_another_service_goes_on_where_one_died(store: MemoryStore, many: Settings, transactions: int) -> None:
    dies_after(store, transactions)
    with pytest.raises(EtcdError):
        seed(store, store.read(PREFIX), many)
    assert not is_whole(store, many)
    seed(store, store.read(PREFIX), many)
    assert is_whole(store, many)


@pytest.mark.parametrize("transactions", range(1, 5))
def test_a_service_that_read_an_older_state_writes_nothing_twice(
    store: MemoryStore, many: Settings, transactions: int
) -> None:
    """Two begin at once; what one wrote meanwhile stays as it is, moved groups too."""
    old = store.read(PREFIX)
    dies_after(store, transactions)
    with pytest.raises(EtcdError):
        seed(store, old, many)
    older = store.read(PREFIX)
    seed(store, older, many)
    store.put_group(7, "b2", "a2", 2)
    for snapshot in (old, older):
        seed(store, snapshot, many)
    assert from_json(7, store.values[group_key(7)]).epoch == 2
    assert SEEDING not in store.values
    assert store.created == 1


def test_the_first_map_keeps_weights_and_pins(tmp_path: Path, store: MemoryStore) -> None:
    raw = raw_settings(tmp_path, groups=64)
    raw["servers"]["a1"]["weight"] = 3
    pins = [
        {"name": "west", "groups": [3, 9, 11], "home": "eu-west-1", "regions": []},
        {"name": "both", "groups": [4], "home": None, "regions": ["eu-central-1", "eu-west-1"]},
    ]
    wanted = parse_settings({**raw, "pins": pins})
    seed(store, store.read(PREFIX), wanted)
    found = {n: from_json(n, store.values[group_key(n)]) for n in range(64)}
    assert {wanted.regions[found[n].home] for n in (3, 9, 11)} == {"eu-west-1"}
    count = Counter(placement.home for placement in found.values())
    assert count["a1"] == pytest.approx(3 * count["a2"], abs=3)
    assert SEEDING not in store.values


def test_a_first_map_that_an_older_service_began_is_finished(store: MemoryStore, many: Settings) -> None:
    store.put(SEEDING, json.dumps({"groups": MANY, "servers": many.regions}), 0)
    seed(store, store.read(PREFIX), many)
    assert is_whole(store, many)


def test_an_unfinished_map_is_used_by_nobody(
    tmp_path: Path, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in_postmap(tmp_path, monkeypatch)
    service = Service(tmp_path / "a1", store)
    dies_after(store, 1)
    assert not service.turn() or service.turn()
    assert service.serves
    assert SEEDING not in store.values


def test_an_unfinished_map_beside_a_known_one_is_an_error(
    tmp_path: Path, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in_postmap(tmp_path, monkeypatch)
    service = Service(tmp_path / "a1", store)
    assert service.turn()
    store.put(SEEDING, "{}", 0)
    assert not service.turn()
    assert "restore etcd's data" in service.status["error"]


@pytest.mark.parametrize(
    "value", ["no JSON", "{}", "[]", '{"groups": 8, "servers": 3}', '{"groups": 8, "servers": {}, "pins": [{}]}']
)
def test_a_key_that_nobody_can_go_on_with_is_an_error(
    tmp_path: Path, store: MemoryStore, monkeypatch: pytest.MonkeyPatch, value: Any
) -> None:
    stand_in_postmap(tmp_path, monkeypatch)
    store.put(SEEDING, value, 0)
    service = Service(tmp_path / "a1", store)
    assert not service.turn()
    assert f"delete it and all keys under {GROUPS}" in service.status["error"]
