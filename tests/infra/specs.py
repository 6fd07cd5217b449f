"""Random programs for programs/golden, and random changes of them, from a seed."""

import copy
import random
from typing import Any

Spec = dict[str, Any]
STEPS_OF_CHANGE = 4


class Specs:
    """A sequence of programs: each is the one before with a few changes."""

    def __init__(self, seed: int, size: int = 6, *, providers: bool = True) -> None:
        """Begin with a program of `size` resources; with `providers` it may have an explicit one of another region."""
        self._random, self._count = random.Random(seed), 0  # noqa: S311 - a test's dice
        self.spec: Spec = {
            "comps": ["c1", "c2"],
            "res": [],
            "prov": providers and self._random.random() < 0.5,
            "boom": False,
        }
        for _ in range(size):
            self.spec["res"].append(self._new(self.spec))

    def _name(self) -> str:
        self._count += 1
        return f"r{self._count}"

    def _chance(self, probability: float) -> bool:
        return self._random.random() < probability

    def _new(self, spec: Spec) -> dict[str, Any]:
        names = [r["n"] for r in spec["res"]]
        return {
            "n": self._name(),
            "t": self._random.choice("qt"),
            "v": 0,
            "nv": 0,
            "deps": self._random.sample(names, min(len(names), self._random.randint(0, 2))),
            "dep2": self._random.sample(names, 1) if names and self._chance(0.2) else [],
            "parent": self._random.choice([None, *spec["comps"]]),
            "namefrom": self._random.choice(names) if names and self._chance(0.3) else None,
            "secret": self._chance(0.2),
            "ign": self._chance(0.1),
            "roc": self._chance(0.1),
            "dbr": True if self._chance(0.3) else None,
            "retain": self._chance(0.1),
            "prov": "p" if spec["prov"] and self._chance(0.3) else None,
            "aliases": [],
        }

    def change(self) -> Spec:
        """Return the next program."""
        spec = copy.deepcopy(self.spec)
        for item in spec["res"]:
            item["aliases"] = []
        for _ in range(self._random.randint(1, STEPS_OF_CHANGE)):
            self._change_once(spec)
        spec["boom"] = self._chance(0.15)
        self.spec = spec
        return spec

    def _change_once(self, spec: Spec) -> None:
        item = self._random.choice(spec["res"]) if spec["res"] else None
        kinds = ["new"] if item is None else ["new", "tags", "name", "remove", "rename", "independent", "secret"]
        kind = self._random.choices(kinds, [25, 20, 15, 15, 8, 7, 10][: len(kinds)])[0]
        if item is None or kind == "new":
            spec["res"].append(self._new(spec))
        elif kind == "tags":
            item["v"] += 1
        elif kind == "name":
            item["nv"] += 1
        elif kind == "remove":
            spec["res"].remove(item)
        elif kind == "rename":
            self._rename(spec, item)
        elif kind == "independent":
            item["deps"] = []
        else:
            item["secret"] = not item["secret"]

    def _rename(self, spec: Spec, item: dict[str, Any]) -> None:
        old, new = item["n"], self._name()
        item["n"], item["aliases"] = new, [{"name": old}]
        for other in spec["res"]:
            other["namefrom"] = new if other["namefrom"] == old else other["namefrom"]
            for field in ("deps", "dep2"):
                other[field] = [new if name == old else name for name in other[field]]
