"""What operators wish of placement, as a JSON document: weights, states and pins, all of them optional.

{"weights": {"a1": 2}, "states": {"b1": "draining"},
 "pins": [{"name": "germany", "groups": "0-15,20", "home": "eu-central-1", "regions": ["eu-central-1", "eu-west-1"]}]}
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from onedallmail.placement.fleet import Fleet, MailHost, Pin, PlanError, State, with_states

FIELDS = {"weights", "states", "pins"}
PIN_FIELDS = {"name", "groups", "home", "regions"}


@dataclass(frozen=True)
class Wishes:
    """Weights and states by server, and pins."""

    weights: Mapping[str, float]
    states: Mapping[str, State]
    pins: tuple[Pin, ...]


def parse_wishes(document: object) -> Wishes:
    """Return the wishes of a JSON document; raises PlanError with the field that is wrong."""
    fields = _object(document, FIELDS, "the document")
    weights, states, pins = fields.get("weights", {}), fields.get("states", {}), fields.get("pins", [])
    if not isinstance(weights, dict) or not all(type(value) in (int, float) for value in weights.values()):
        msg = 'weights: write an object of server to number, such as {"a1": 2}'
        raise PlanError(msg)
    if not isinstance(states, dict) or not all(value in list(State) for value in states.values()):
        msg = f"states: write an object of server to one of {', '.join(State)}"
        raise PlanError(msg)
    if not isinstance(pins, list):
        msg = "pins: write a list of objects"
        raise PlanError(msg)
    return Wishes(weights, {name: State(value) for name, value in states.items()}, tuple(_pin(pin) for pin in pins))


def fleet_with(
    wishes: Wishes, regions: Mapping[str, str], groups: int, *, leaving: frozenset[str] = frozenset()
) -> Fleet:
    """Return the fleet of mail servers (name to region) with what is wished; raises PlanError."""
    hosts = tuple(MailHost(name, region, wishes.weights.get(name, 1.0)) for name, region in regions.items())
    with_states(hosts, dict.fromkeys(wishes.weights, State.SERVING))  # refuses weights of unknown servers
    return Fleet(with_states(hosts, wishes.states), groups, wishes.pins, leaving)


def _object(value: object, fields: set[str], where: str) -> dict[str, Any]:
    if not isinstance(value, dict) or not set(value) <= fields:
        msg = f"{where} must be an object with no other fields than {', '.join(sorted(fields))}"
        raise PlanError(msg)
    return value


def _pin(value: object) -> Pin:
    fields = _object(value, PIN_FIELDS, "a pin")
    name, home, regions = fields.get("name"), fields.get("home"), fields.get("regions", [])
    if not isinstance(name, str) or not (home is None or isinstance(home, str)):
        msg = "a pin needs a name, and its home is the name of a region"
        raise PlanError(msg)
    if not isinstance(regions, list) or not all(isinstance(region, str) for region in regions):
        msg = f"pin {name}: regions is a list of names"
        raise PlanError(msg)
    return Pin(name, _groups(name, fields.get("groups")), home, frozenset(regions))


def _groups(name: str, text: object) -> frozenset[int]:
    if not isinstance(text, str) or not re.fullmatch(r"\d{1,5}(-\d{1,5})?(,\d{1,5}(-\d{1,5})?)*", text, re.ASCII):
        msg = f"pin {name}: write its groups as numbers and ranges, such as 0-15,20"
        raise PlanError(msg)
    ranges = [part.partition("-") for part in text.split(",")]
    return frozenset(n for low, _, high in ranges for n in range(int(low), int(high or low) + 1))
