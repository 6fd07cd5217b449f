"""Names, ids and other text that AWS would draw or compose, for templates of the rules."""

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any

from onedallmail.platform.regions import AWS_REGIONS

ACCOUNT = "123456789012"
"""Account of the emulator, so that recorded ARNs and emulated ones agree."""

ORGANIZATION = "o-1d2l3m4a5i"
"""Organisation of the emulator's account in recorded ARNs."""

LB_KINDS = {"network": "net", "gateway": "gwy"}
"""Kinds of load balancer in ARNs; all others are `app`."""

ZONES = "abc"
"""Availability zones that each region has in the lab."""

ZONE_LETTERS = "abcd"
"""Letters of zones that a subnet may name: some regions have a zone d for one of the first three."""

SUFFIX_DIGITS = 7
"""Hexadecimal digits that pulumi-aws appends to the name of a resource."""

PREFIXED_DIGITS = 26
"""Digits that the AWS provider appends to a `namePrefix`."""

_ALPHABETS = {
    "hex": "0123456789abcdef",
    "HEX": "0123456789ABCDEF",
    "digits": "0123456789",
    "alnum": "0123456789abcdefghijklmnopqrstuvwxyz",
    "ALNUM": "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
}
_DRAWN = re.compile(r"(hex|HEX|digits|alnum|ALNUM)(\d+)")
_COMPASS = {"south": "s", "southeast": "se", "northeast": "ne", "central": "c", "west": "w", "east": "e", "north": "n"}


def drawn(alphabet: str, length: int, seed: str) -> str:
    """Return text of a length that depends on the seed alone; `alphabet` is a key of `_ALPHABETS`."""
    letters = _ALPHABETS[alphabet]
    number = int.from_bytes(hashlib.shake_256(seed.encode()).digest(length * 2), "big")
    return "".join(letters[number // len(letters) ** place % len(letters)] for place in range(length))


def uuid_of(seed: str) -> str:
    """Return a UUID (version 4 in form) that depends on the seed alone."""
    text = drawn("hex", 32, seed)
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"


def composed(token: str, names: Mapping[str, str]) -> dict[str, str]:
    """Return the parts of ids and ARNs that AWS makes from a property by more than taking it."""
    return {name: make(names) for name, make in COMPOSED.get(token.split(":")[1].partition("/")[0], {}).items()}


def _waf_scope(names: Mapping[str, str]) -> str:
    return "global" if names.get("scope") == "CLOUDFRONT" else "regional"


def _path(value: str) -> str:
    return value if value.startswith("/") else f"/{value}"


COMPOSED: dict[str, dict[str, Callable[[Mapping[str, str]], str]]] = {
    "iam": {"iamPath": lambda n: n.get("path") or "/"},
    "lb": {
        "lbKind": lambda n: LB_KINDS.get(n.get("loadBalancerType", ""), "app"),
        "listenerArnBase": lambda n: n.get("loadBalancerArn", "").replace(":loadbalancer/", ":listener/"),
        "ruleArnBase": lambda n: n.get("listenerArn", "").replace(":listener/", ":listener-rule/"),
    },
    "networkfirewall": {"ruleGroupKind": lambda n: n.get("type", "").lower()},
    "organizations": {"policyKind": lambda n: n.get("type", "SERVICE_CONTROL_POLICY").lower()},
    "securityhub": {"standard": lambda n: n.get("standardsArn", "").partition("/")[2]},
    "ssm": {
        "parameterPath": lambda n: _path(n.get("name", "")),
        "settingPath": lambda n: _path(n.get("settingId", "").rpartition(":servicesetting")[2]),
    },
    "wafv2": {"wafScope": _waf_scope},
}
"""By module of pulumi-aws: names for templates, from the text inputs of a resource."""


class Names(dict[str, str]):
    """What a template may name: text inputs, account, region, type, and drawn text such as {hex17} or {uuid}."""

    def __init__(self, token: str, inputs: dict[str, Any], region: str, seed: str) -> None:
        """Take the text inputs of a resource; drawn text depends on its type and `seed`."""
        super().__init__({k: v for k, v in inputs.items() if isinstance(v, str)})
        self._seed = f"{token} {seed}"
        self |= {"account": ACCOUNT, "region": inputs.get("region") or region, "organization": ORGANIZATION}
        self |= composed(token, self)

    def __missing__(self, key: str) -> str:
        """Return drawn text; nothing for an input that the program left out."""
        if key == "uuid":
            return uuid_of(self._seed)
        if match := _DRAWN.fullmatch(key):
            return drawn(match[1], int(match[2]), f"{self._seed} {key}")
        return ""


def filled(template: Any, names: Names) -> Any:
    """Return a template with its texts filled in, inside lists and objects too; a lone {name} of an object is text."""
    if isinstance(template, str):
        return template.format_map(names)
    if isinstance(template, dict):
        return {key: filled(value, names) for key, value in template.items()}
    return [filled(value, names) for value in template] if isinstance(template, list) else template


def zone_code(region: str) -> str:
    """Return the short name of a region in ids of availability zones: euc1 of eu-central-1."""
    area, compass, number = region.split("-")
    return f"{area}{_COMPASS[compass]}{number}"


def zone_id(region: str, letter: str) -> str:
    """Return the id of an availability zone; in the lab zone a is the first everywhere."""
    return f"{zone_code(region)}-az{ZONE_LETTERS.index(letter) + 1}"


def zone_letter(inputs: dict[str, Any]) -> str:
    """Return the letter of the zone that inputs name, the first one when they name none."""
    name, number = inputs.get("availabilityZone"), inputs.get("availabilityZoneId")
    if isinstance(name, str) and name[:-1] in AWS_REGIONS and name[-1] in ZONE_LETTERS:
        return name[-1]
    if isinstance(number, str) and number[-1:].isdigit() and 1 <= int(number[-1]) <= len(ZONE_LETTERS):
        return ZONE_LETTERS[int(number[-1]) - 1]
    return ZONES[0]


def subnet_id(identifier: str, letter: str) -> str:
    """Return a recorded subnet's id whose last digit tells its zone, so that others need not look it up."""
    return f"{identifier[:-1]}{letter}"


def zone_of_subnet(identifier: str, region: str) -> str:
    """Return the availability zone of a recorded subnet (the first one for ids from elsewhere)."""
    letter = identifier[-1:]
    return region + (letter if letter in ZONE_LETTERS else ZONES[0])
