"""The estimate: what is priced, by what quantity, and what is said when a price is missing."""

import pytest

from onedallmail.cost.estimate import component_of, estimate
from onedallmail.cost.prices import Prices, load_prices

PRICES = Prices.model_validate(
    {
        "as_of": "2025-01-01",
        "hours_per_month": 730,
        "charges": {
            "aws:ec2/instance:Instance": [
                {"what": "instance", "by": "instanceType", "hourly": {"m7i.large": 0.1}},
                {"what": "disk", "times": "rootBlockDevice.volumeSize", "monthly": 0.1},
            ],
            "aws:ec2/vpcEndpoint:VpcEndpoint": [
                {"what": "interface", "when": {"vpcEndpointType": "Interface"}, "times": "subnetIds", "hourly": 0.01}
            ],
        },
        "usage": {"aws:s3/bucket:Bucket": {"what": "GB", "quantity": 10, "monthly": 0.02}},
        "subscriptions": {"aws:shield/protection:Protection": {"what": "Shield Advanced", "monthly": 3000}},
    }
)


def resource(type_: str, component: str = "network", **inputs: object) -> dict[str, object]:
    return {"urn": f"urn:pulumi:s::onedallmail::onedallmail:{component}:X${type_}::n", "type": type_, "inputs": inputs}


def test_an_instance_costs_its_hours_and_its_disk() -> None:
    found = estimate(
        [resource("aws:ec2/instance:Instance", instanceType="m7i.large", rootBlockDevice={"volumeSize": 100})], PRICES
    )
    assert found.monthly_usd == pytest.approx(73 + 10)


def test_an_interface_endpoint_costs_by_zone_and_a_gateway_endpoint_nothing() -> None:
    endpoint = "aws:ec2/vpcEndpoint:VpcEndpoint"
    found = estimate(
        [
            resource(endpoint, vpcEndpointType="Interface", subnetIds=["a", "b", "c"]),
            resource(endpoint, vpcEndpointType="Gateway", routeTableIds=["r"]),
        ],
        PRICES,
    )
    assert found.monthly_usd == pytest.approx(0.01 * 730 * 3)


def test_an_instance_type_without_a_price_is_named_and_not_taken_for_free() -> None:
    found = estimate([resource("aws:ec2/instance:Instance", instanceType="x9.huge")], PRICES)
    assert found.unpriced == ("aws:ec2/instance:Instance: x9.huge",)


def test_a_subscription_of_the_account_is_paid_once() -> None:
    found = estimate([resource("aws:shield/protection:Protection") for _ in range(5)], PRICES)
    assert found.monthly_usd == 3000


def test_assumed_use_is_kept_apart_from_what_the_resources_fix() -> None:
    found = estimate([resource("aws:s3/bucket:Bucket"), resource("aws:s3/bucket:Bucket", "backup")], PRICES)
    assert [(line.component, line.kind, line.monthly_usd) for line in found.lines] == [
        ("backup", "usage", 0.2),
        ("network", "usage", 0.2),
    ]


def test_components_are_named_by_the_outermost_one() -> None:
    urn = "urn:pulumi:s::p::onedallmail:compute:RegionServers$onedallmail:network:Group$aws:ec2/eip:Eip::x"
    assert component_of(urn) == "compute"


def test_the_price_table_is_dated_and_whole() -> None:
    prices = load_prices()
    assert prices.as_of.year >= 2025
    assert all(charges for charges in prices.charges.values())
