"""Queues and topics as the JSON file that SPEC names describes them (tests/infra/golden/README.md has the fields)."""

import json
import os
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws

CLASSES = {"q": aws.sqs.Queue, "t": aws.sns.Topic}
spec = json.loads(Path(os.environ["SPEC"]).read_text())


class Component(pulumi.ComponentResource):
    """A parent without anything of its own."""

    def __init__(self, name: str) -> None:
        """Register it."""
        super().__init__("fz:index:C", name)
        self.register_outputs({"n": name})


parents: dict[str | None, Component | None] = {None: None} | {name: Component(name) for name in spec["comps"]}
providers: dict[str | None, aws.Provider | None] = {None: None}
if spec.get("prov"):
    providers["p"] = aws.Provider("p", region="us-west-2")
made: dict[str, Any] = {}


def alias(described: dict[str, str]) -> pulumi.Alias:
    parent: dict[str, Any] = {"parent": parents[described["parent"]]} if described.get("parent") else {}
    return pulumi.Alias(name=described.get("name"), **parent)


def options(item: dict[str, Any]) -> pulumi.ResourceOptions:
    return pulumi.ResourceOptions(
        parent=parents[item["parent"]],
        protect=item.get("protect"),
        retain_on_delete=item.get("retain"),
        provider=providers.get(item.get("prov")),
        ignore_changes=["tags"] if item.get("ign") else None,
        delete_before_replace=item.get("dbr"),
        replace_on_changes=["tags"] if item.get("roc") else None,
        aliases=[alias(a) for a in item.get("aliases", [])],
        depends_on=[made[name] for name in item.get("dep2", []) if name in made],
    )


def make(item: dict[str, Any]) -> Any:
    tags: dict[str, Any] = {"v": str(item["v"])}
    tags |= {f"d{k}": made[name].arn for k, name in enumerate(item["deps"]) if name in made}
    if item.get("secret"):
        tags["s"] = pulumi.Output.secret("zz" + str(item["v"]))
    source = made.get(item.get("namefrom") or "")
    name = f"n-{item['nv']}-{item['n']}" if source is None else pulumi.Output.concat("n-", source.id)
    return CLASSES[item["t"]](item["n"], name=name, tags=tags, opts=options(item))


for description in spec["res"]:
    made[description["n"]] = make(description)
for resource_name, resource in made.items():
    pulumi.export(resource_name, resource.arn)
if spec.get("boom"):
    message = "boom"
    raise RuntimeError(message)
