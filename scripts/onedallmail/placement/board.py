"""The map while a plan is made: who holds what, how far each server is from its target, and what a change would better.

Servers and groups are numbers in the order of their names, so that nothing depends on the order of the input.
"""

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from onedallmail.placement.fleet import Fleet, Rule

HOME, STANDBY = 0, 1
ROLES = (HOME, STANDBY)
PAIRS = 0.001
"""How much it counts that the groups of one server have their standbys on many, beside the load of each."""
FIRST = 4
"""How many of the least loaded servers of each region are looked at for a place."""
Pair = tuple[int, int]


class Board:
    """Homes and standbys of groups on the serving servers of a fleet; groups that have no place yet are not on it."""

    def __init__(
        self, fleet: Fleet, loads: Sequence[int], targets: tuple[Mapping[str, float], Mapping[str, float]]
    ) -> None:
        """Begin with no group placed."""
        hosts = fleet.serving
        self.names = [host.name for host in hosts]
        self.number = {name: number for number, name in enumerate(self.names)}
        self.region = [host.region for host in hosts]
        self.weight = [host.weight for host in hosts]
        self.loads = loads
        level = sum(loads) / sum(self.weight)
        self.mean = sum(loads) / len(loads)
        self.share = [weight * level for weight in self.weight]
        """What a server would hold if nothing but weights counted: imbalance is measured in it."""
        self.at: dict[int, Pair] = {}
        self.held: tuple[list[set[int]], list[set[int]]] = ([set() for _ in hosts], [set() for _ in hosts])
        self.load = ([0] * len(hosts), [0] * len(hosts))
        self._target = tuple([kind[name] for name in self.names] for kind in targets)
        self._between: defaultdict[Pair, int] = defaultdict(int)
        self._rules, self._free = fleet.rules(), fleet.free
        self._order: list[dict[str, list[tuple[float, int]]]] = []
        """By role and region: the servers by height. Made when it is first asked for, and kept from then on."""

    def rule(self, group: int) -> Rule:
        """Return where a group may be."""
        return self._rules.get(group, self._free)

    def excess(self, role: int, server: int) -> float:
        """Return how much more a server holds in a role than it should."""
        return self.load[role][server] - self._target[role][server]

    def height(self, role: int, server: int) -> float:
        """Return the same for each unit of its weight."""
        return self.excess(role, server) / self.weight[server]

    def put(self, group: int, pair: Pair | None) -> None:
        """Place a group, or take it off the board."""
        size, old = self.loads[group], self.at.pop(group, None)
        for place, sign in ((old, -1), (pair, 1)):
            if place is None:
                continue
            self._between[place] += sign * size
            for role in ROLES:
                self._shift(role, place[role], sign * size)
        for role in ROLES:
            if old is not None:
                self.held[role][old[role]].discard(group)
            if pair is not None:
                self.held[role][pair[role]].add(group)
        if pair is not None:
            self.at[group] = pair

    def _shift(self, role: int, server: int, size: int) -> None:
        if not self._order:
            self.load[role][server] += size
            return
        order = self._order[role][self.region[server]]
        del order[bisect_left(order, (self.height(role, server), server))]
        self.load[role][server] += size
        insort(order, (self.height(role, server), server))

    def allowed(self, group: int, pair: Pair) -> bool:
        """Return whether a group may be there."""
        home, standby = self.region[pair[HOME]], self.region[pair[STANDBY]]
        rule = self.rule(group)
        return home != standby and home in rule.homes and home in rule.regions and standby in rule.regions

    def within(self, group: int, pair: Pair, tolerance: float) -> bool:
        """Return whether no server would be out of tolerance by the change that is not further out now."""
        size, old = self.loads[group], self.at[group]
        for role in ROLES:
            if old[role] != pair[role]:
                for server, change in ((old[role], -size), (pair[role], size)):
                    now = self.excess(role, server)
                    if abs(now + change) > max(tolerance * self.share[server], abs(now)):
                        return False
        return True

    def gain(self, group: int, pair: Pair) -> float:
        """Return by how much the map gets better if the group goes there (sum of excess^2/weight falls)."""
        size, old = self.loads[group], self.at.get(group)
        change = 0.0
        for role in ROLES:
            new = pair[role]
            if old is None or old[role] != new:
                change += size * (2 * self.excess(role, new) + size) / self.weight[new]
                if old is not None:
                    change += size * (size - 2 * self.excess(role, old[role])) / self.weight[old[role]]
        if old != pair:
            change += PAIRS * size * (2 * self._between[pair] + size) / self.weight[pair[HOME]]
            if old is not None:
                change += PAIRS * size * (size - 2 * self._between[old]) / self.weight[old[HOME]]
        return -change

    def lowest(self, role: int, regions: frozenset[str]) -> Iterator[int]:
        """Yield the few servers of each region that need most in a role."""
        if not self._order:
            self._order = [self._ordered(role) for role in ROLES]
        for region in sorted(regions):
            for _, server in self._order[role][region][:FIRST]:
                yield server

    def _ordered(self, role: int) -> dict[str, list[tuple[float, int]]]:
        order: dict[str, list[tuple[float, int]]] = {}
        for server in self.by_height(role):
            order.setdefault(self.region[server], []).append((self.height(role, server), server))
        return order

    def by_height(self, role: int) -> list[int]:
        """Return all servers, those that need most in a role first."""
        return sorted(range(len(self.names)), key=lambda server: (self.height(role, server), server))

    def imbalance(self) -> float:
        """Return the largest distance of a server from its target, as a part of its share by weight."""
        return max(
            abs(self.excess(role, server)) / self.share[server] for role in ROLES for server in range(len(self.names))
        )
