"""A wrong stack file is refused in the plan, with the field's path, what is wrong and what to do."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given

from onedallmail.platform.addresses import ZONES
from onedallmail.platform.model import build_platform
from onedallmail.platform.regions import AWS_REGIONS, zone_name
from onedallmail.platform.stack import StackError, parse_stack
from onedallmail.stackfile import load_stack

from .stacks import small, stacks


def _set(*path: Any) -> Callable[[dict[str, Any]], None]:
    *way, key, value = path

    def change(settings: dict[str, Any]) -> None:
        place: Any = settings
        for part in way:
            place = place[part]
        place[key] = value

    return change


def _same_address(settings: dict[str, Any]) -> None:
    for region, server in ((0, 0), (0, 1)):
        settings["regions"][region]["servers"][server].update(address="10.10.0.20", zone="a")


WRONG = {
    "overlapping networks": (_set("regions", 1, "cidr", "10.10.128.0/17"), ("overlap", "10.10.0.0/16")),
    "network too small": (_set("regions", 0, "cidr", "10.10.0.0/24"), ("regions.0.cidr", "/16")),
    "network too large": (_set("regions", 0, "cidr", "10.0.0.0/8"), ("regions.0.cidr", "/16")),
    "public network": (_set("regions", 0, "cidr", "11.10.0.0/16"), ("regions.0.cidr", "public")),
    "host bits set": (_set("regions", 0, "cidr", "10.10.0.1/16"), ("regions.0.cidr", "host bits")),
    "even number of voters": (_set("regions", 0, "servers", 1, "voter", False), ("4 voters", "3, 5 or 7")),
    "unknown region": (_set("regions", 0, "name", "eu-central-9"), ("regions.0.name", "eu-central-1")),
    "region twice": (_set("regions", 1, "name", "eu-central-1"), ("two regions", "eu-central-1")),
    "server twice": (_set("regions", 1, "servers", 0, "name", "a1"), ("two servers", "a1")),
    "duplicate address": (_same_address, ("two servers", "10.10.0.20")),
    "address outside its subnet": (
        _set("regions", 0, "servers", 0, "address", "10.20.0.20"),
        ("regions.0.servers.0.address", "lies outside"),
    ),
    "address kept by AWS": (
        _set("regions", 0, "servers", 0, "address", "10.10.0.2"),
        ("regions.0.servers.0.address", "kept by AWS"),
    ),
    "no domain": (_set("domains", ["localhost"]), ("domains.0", "two or more labels")),
    "an address as domain": (_set("domains", ["192.0.2.1"]), ("domains.0", "address")),
    "domain with a bad character": (_set("domains", ["acme_corp.example"]), ("domains.0", "no mail domain")),
    "domain twice": (_set("domains", ["a.example", "A.example."]), ("listed twice",)),
    "no servers": (_set("regions", 2, "servers", []), ("regions.2.servers",)),
    "no witness": (_set("regions", 2, "servers", 0, "role", "mail"), ("witness", "collector")),
    "unknown field": (_set("regoins", []), ("regoins", "Extra inputs")),
    "zero groups": (_set("placementGroups", 0), ("placementGroups", "greater than or equal to 8")),
}


@pytest.mark.control("iso27001:A.8.9", basis="recorded")
@pytest.mark.parametrize(("change", "says"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_stack_is_refused_with_path_and_way_out(
    change: Callable[[dict[str, Any]], None], says: tuple[str, ...]
) -> None:
    settings = small()
    change(settings)
    with pytest.raises(StackError) as refused:
        build_platform(parse_stack("lab", settings))
    text = str(refused.value)
    assert text.startswith("Pulumi.lab.yaml: ")
    for part in says:
        assert part in text


def test_a_region_of_two_zones_is_refused_on_aws_and_taken_in_a_lab() -> None:
    settings = small()
    settings["regions"][0]["name"] = "us-west-1"
    assert parse_stack("test", {**settings, "target": "lab"}).regions[0].name == "us-west-1"
    with pytest.raises(StackError, match="us-west-1 has two availability zones"):
        parse_stack("test", {**settings, "target": "aws"})


def test_zones_have_the_names_that_aws_offers_in_each_region() -> None:
    assert [zone_name("eu-central-1", zone) for zone in ZONES] == ["eu-central-1a", "eu-central-1b", "eu-central-1c"]
    assert [zone_name("ap-northeast-1", zone)[-1] for zone in ZONES] == ["a", "c", "d"], "Tokyo has no b"
    assert [zone_name("ca-central-1", zone)[-1] for zone in ZONES] == ["a", "b", "d"]
    assert all(len({zone_name(region, zone) for zone in ZONES}) == len(ZONES) for region in AWS_REGIONS)


def test_two_wrong_fields_are_both_named() -> None:
    settings = small()
    settings["regions"][0]["cidr"] = "10.10.0.0/24"
    settings["domains"] = ["nope"]
    with pytest.raises(StackError) as refused:
        parse_stack("lab", settings)
    assert "regions.0.cidr" in str(refused.value)
    assert "domains.0" in str(refused.value)


def test_a_missing_stack_names_those_that_exist() -> None:
    with pytest.raises(StackError, match=r"stacks here: .*lab"):
        load_stack("nosuch")


@given(stacks())
def test_every_valid_shape_builds_a_platform(settings: dict[str, Any]) -> None:
    platform = build_platform(parse_stack("prod", settings))
    assert len(platform.servers) == sum(len(r["servers"]) for r in settings["regions"])
