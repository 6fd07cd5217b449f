"""How much each server should hold: shares by weight as far as regions and pins let them, whatever the present map is.

Two steps of one method: homes are spread over regions, then standbys on top of them. Each class of groups with the
same allowed regions is poured like water, in turn, until the levels rest (block coordinate descent on the sum of
load^2/weight, which is convex, so the order does not matter). Inside a region shares are by weight.
"""

from collections.abc import Mapping, Sequence

from onedallmail.placement.fleet import Fleet, Rule

ROUNDS = 1000
RESTS = 1e-12
"""Levels rest when a round changes no region by more than this part of all load."""

Spread = dict[str, float]
"""Load of each region."""


def targets(fleet: Fleet, loads: Mapping[Rule, int]) -> tuple[dict[str, float], dict[str, float]]:
    """Return how much home load and how much standby load each serving server should have."""
    weights = dict.fromkeys(sorted(fleet.regions), 0.0)
    for host in fleet.serving:
        weights[host.region] += host.weight
    rules = sorted(loads, key=lambda rule: (sorted(rule.homes), sorted(rule.regions)))
    parts = poured([(loads[rule], rule.homes) for rule in rules], dict.fromkeys(weights, 0.0), weights)
    homes = _sum(parts, weights)
    classes = [
        (part[region], rule.regions - {region})
        for rule, part in zip(rules, parts, strict=True)
        for region in sorted(part)
        if part[region] > 0
    ]
    standbys = _sum(poured(classes, homes, weights), weights)
    return _by_server(fleet, homes, weights), _by_server(fleet, standbys, weights)


def poured(
    classes: Sequence[tuple[float, frozenset[str]]], base: Mapping[str, float], weights: Mapping[str, float]
) -> list[Spread]:
    """Return how each class (mass, allowed regions) is spread so that load/weight with the base is even."""
    parts: list[Spread] = [{} for _ in classes]
    level = dict(base)
    total = sum(mass for mass, _ in classes)
    for _ in range(ROUNDS):
        moved = 0.0
        for number, (mass, allowed) in enumerate(classes):
            others = {region: level[region] - parts[number].get(region, 0.0) for region in sorted(allowed)}
            part = _water(mass, others, weights)
            for region, amount in part.items():
                moved = max(moved, abs(amount - parts[number].get(region, 0.0)))
                level[region] = others[region] + amount
            parts[number] = part
        if moved <= RESTS * total:
            break
    return parts


def _water(mass: float, base: Mapping[str, float], weights: Mapping[str, float]) -> Spread:
    """Pour one mass over regions that hold `base`: those that get some end at the same load/weight."""
    order = sorted(base, key=lambda region: (base[region] / weights[region], region))
    held, width, surface = 0.0, 0.0, 0.0
    for place, region in enumerate(order):
        held += base[region]
        width += weights[region]
        surface = (mass + held) / width
        if place + 1 == len(order) or surface <= base[order[place + 1]] / weights[order[place + 1]]:
            break
    return {region: max(0.0, surface * weights[region] - base[region]) for region in order}


def _sum(parts: Sequence[Spread], regions: Mapping[str, float]) -> Spread:
    return {region: sum(part.get(region, 0.0) for part in parts) for region in regions}


def _by_server(fleet: Fleet, spread: Spread, weights: Mapping[str, float]) -> dict[str, float]:
    return {host.name: spread[host.region] * host.weight / weights[host.region] for host in fleet.serving}
