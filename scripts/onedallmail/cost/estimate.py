"""From resources and prices to lines of an estimate (pure)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from .prices import Charge, Prices

COMPONENT_PREFIX = "onedallmail:"
NO_COMPONENT = "stack"


@dataclass(frozen=True)
class Line:
    """One kind of charge of one component."""

    component: str
    what: str
    kind: str
    """`fixed` follows from the resources, `usage` from an assumption of the price table."""
    resources: int
    monthly_usd: float


@dataclass(frozen=True)
class Estimate:
    """What a stack costs a month, and which instances have no price in the table."""

    lines: tuple[Line, ...]
    unpriced: tuple[str, ...]
    """Charges whose price the table lacks, as `type: value`; their cost is missing from the sum."""
    free: Mapping[str, int]
    """Number of resources by type that cost nothing themselves, as far as the table knows."""

    @property
    def monthly_usd(self) -> float:
        """The sum."""
        return round(sum(line.monthly_usd for line in self.lines), 2)


def component_of(urn: str) -> str:
    """Return the concern of the outermost component that a resource belongs to (`network`, `edge`)."""
    chain = urn.split("::")[2].split("$")
    first = next((type_ for type_ in chain if type_.startswith(COMPONENT_PREFIX)), None)
    return first.split(":")[1] if first else NO_COMPONENT


def estimate(resources: Iterable[Mapping[str, Any]], prices: Prices) -> Estimate:
    """Return the estimate of resources in the form of a deployment (urn, type, inputs)."""
    lines: dict[tuple[str, str, str], Line] = {}
    unpriced: list[str] = []
    free: dict[str, int] = {}
    subscribed: set[str] = set()

    def add(component: str, what: str, kind: str, usd: float) -> None:
        key = (component, what, kind)
        old = lines.get(key, Line(component, what, kind, 0, 0.0))
        lines[key] = replace(old, resources=old.resources + 1, monthly_usd=round(old.monthly_usd + usd, 4))

    for resource in resources:
        type_, inputs = resource["type"], resource.get("inputs") or {}
        if not type_.startswith("aws:"):
            continue
        component = component_of(resource["urn"])
        charges = prices.charges.get(type_, ())
        for charge in (c for c in charges if all(inputs.get(k) == v for k, v in c.when.items())):
            unit = _unit(charge, inputs)
            if unit is None:
                unpriced.append(f"{type_}: {inputs.get(charge.by or '')}")
                continue
            hours = prices.hours_per_month if charge.hourly is not None else 1
            add(component, charge.what, "fixed", unit * hours * _quantity(charge, inputs))
        if usage := prices.usage.get(type_):
            add(component, usage.what, "usage", usage.quantity * usage.monthly)
        if type_ in prices.subscriptions and type_ not in subscribed:
            subscribed.add(type_)
            add(component, prices.subscriptions[type_].what, "fixed", prices.subscriptions[type_].monthly)
        if not charges and type_ not in prices.usage:
            free[type_] = free.get(type_, 0) + 1
    ordered = sorted(lines.values(), key=lambda line: (line.component, line.kind, -line.monthly_usd))
    return Estimate(tuple(ordered), tuple(sorted(set(unpriced))), free)


def _unit(charge: Charge, inputs: Mapping[str, Any]) -> float | None:
    if isinstance(charge.price, dict):
        return charge.price.get(str(inputs.get(charge.by or "")))
    return charge.price


def _quantity(charge: Charge, inputs: Mapping[str, Any]) -> float:
    if charge.times is None:
        return 1
    value: Any = inputs
    for name in charge.times.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    if isinstance(value, list):
        return len(value)
    return float(value) if isinstance(value, int | float) else 0
