"""Stacks for tests: a small valid one to change, and a hypothesis strategy over shapes and sizes."""

from copy import deepcopy
from typing import Any

from hypothesis import strategies as st
from pydantic.alias_generators import to_camel

from onedallmail.platform.regions import AWS_REGIONS, TWO_ZONES
from onedallmail.platform.stack import LAB_CANNOT

SMALL: dict[str, Any] = {
    "target": "lab",
    "owner": "platform-team",
    "domains": ["acme.example"],
    "options": {**{to_camel(name): False for name in LAB_CANNOT}, "accelerator": False},
    "regions": [
        {"name": "eu-central-1", "cidr": "10.10.0.0/16", "servers": [{"name": "a1"}, {"name": "a2", "zone": "b"}]},
        {"name": "eu-west-1", "cidr": "10.20.0.0/16", "servers": [{"name": "b1"}, {"name": "b2", "zone": "b"}]},
        {"name": "eu-north-1", "cidr": "10.30.0.0/16", "servers": [{"name": "c1", "role": "witness"}]},
    ],
}


def small() -> dict[str, Any]:
    """Return settings of a valid stack that a test may change."""
    return deepcopy(SMALL)


@st.composite
def stacks(draw: st.DrawFn) -> dict[str, Any]:
    """Draw the settings of a valid stack: 2 to 12 mail regions, 1 to 12 mail servers in each, one witness region."""
    names = draw(st.permutations(sorted(AWS_REGIONS - TWO_ZONES)))
    count = draw(st.integers(2, 12))
    prefix = draw(st.integers(16, 21))
    regions: list[dict[str, Any]] = []
    for index in range(count):
        servers = [
            {"name": f"m{index}x{n}", "zone": draw(st.sampled_from("abc")), "voter": n == 0 and index in (0, 1)}
            for n in range(draw(st.integers(1, 12)))
        ]
        regions.append({"name": names[index], "cidr": f"10.{index}.0.0/{prefix}", "servers": servers})
    witness = {"name": "w1", "role": "witness", "zone": draw(st.sampled_from("abc"))}
    regions.append({"name": names[count], "cidr": f"10.{count}.0.0/{prefix}", "servers": [witness]})
    options = draw(
        st.fixed_dictionaries({name: st.booleans() for name in ("inspection", "balancers", "web", "endpoints")})
    )
    options |= {"accelerator": options["balancers"], "cloudHsm": draw(st.booleans())}
    return {
        "target": "aws",
        "owner": "platform-team",
        "domains": ["example.com"],
        "options": options,
        "regions": regions,
    }
