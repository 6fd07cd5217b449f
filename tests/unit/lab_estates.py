"""A deployment written by hand: two peered regions, one server with an Elastic IP and one behind a NAT gateway."""

from typing import Any

ONE, TWO = "eu-central-1", "eu-north-1"


def resource(kind: str, id_: str, region: str, **properties: Any) -> dict[str, Any]:
    return {
        "urn": f"urn:pulumi:t::p::aws:{kind}::{id_}",
        "type": f"aws:{kind}",
        "id": id_,
        "inputs": {"region": region, **properties},
        "outputs": {"region": region},
    }


def network(region: str, key: str, cidr: str) -> list[dict[str, Any]]:
    """Return a region's VPC with one subnet, its route table, group and internet gateway."""
    return [
        resource("ec2/vpc:Vpc", f"vpc-{key}", region, cidrBlock=cidr),
        resource("ec2/subnet:Subnet", f"subnet-{key}", region, vpcId=f"vpc-{key}", cidrBlock=cidr),
        resource("ec2/routeTable:RouteTable", f"rtb-{key}", region, vpcId=f"vpc-{key}"),
        resource(
            "ec2/routeTableAssociation:RouteTableAssociation",
            f"assoc-{key}",
            region,
            subnetId=f"subnet-{key}",
            routeTableId=f"rtb-{key}",
        ),
        resource("ec2/internetGateway:InternetGateway", f"igw-{key}", region, vpcId=f"vpc-{key}"),
        resource("ec2/securityGroup:SecurityGroup", f"sg-{key}", region, vpcId=f"vpc-{key}"),
    ]


def route(region: str, key: str, destination: str, **target: str) -> dict[str, Any]:
    id_ = f"route-{key}-{destination}"
    table = {"routeTableId": f"rtb-{key}", "destinationCidrBlock": destination}
    return resource("ec2/route:Route", id_, region, **table, **target)


def instance(name: str, key: str, region: str, address: str) -> dict[str, Any]:
    return resource(
        "ec2/instance:Instance",
        f"i-{name}",
        region,
        subnetId=f"subnet-{key}",
        privateIp=address,
        vpcSecurityGroupIds=[f"sg-{key}"],
        tags={"Name": f"{name}.acme.example"},
    )


def rule(key: str, way: str, region: str, **properties: Any) -> dict[str, Any]:
    kind = f"vpc/securityGroup{way}Rule:SecurityGroup{way}Rule"
    return resource(kind, f"sgr-{key}-{way}-{len(str(properties))}", region, securityGroupId=f"sg-{key}", **properties)


def deployment(*, accepted: bool = True) -> dict[str, Any]:
    """Return the deployment; without the accepter its peering carries nothing."""
    found = [
        {"urn": "urn:pulumi:t::p::pulumi:pulumi:Stack::p-t", "type": "pulumi:pulumi:Stack"},
        *network(ONE, "one", "10.10.0.0/16"),
        *network(TWO, "two", "10.30.0.0/16"),
        instance("m1", "one", ONE, "10.10.0.10"),
        instance("m2", "one", ONE, "10.10.0.11"),
        instance("w1", "two", TWO, "10.30.0.10"),
        resource("ec2/eip:Eip", "eip-1", ONE, instance="i-m1", publicIp="198.51.100.7"),
        resource("ec2/eip:Eip", "eip-nat", TWO, publicIp="198.51.100.9"),
        resource("ec2/natGateway:NatGateway", "nat-1", TWO, subnetId="subnet-pub", allocationId="eip-nat"),
        resource("ec2/subnet:Subnet", "subnet-pub", TWO, vpcId="vpc-two", cidrBlock="10.30.1.0/24"),
        resource("ec2/routeTable:RouteTable", "rtb-pub", TWO, vpcId="vpc-two"),
        resource(
            "ec2/routeTableAssociation:RouteTableAssociation",
            "assoc-pub",
            TWO,
            subnetId="subnet-pub",
            routeTableId="rtb-pub",
        ),
        route(TWO, "pub", "0.0.0.0/0", gatewayId="igw-two"),
        route(ONE, "one", "0.0.0.0/0", gatewayId="igw-one"),
        route(TWO, "two", "0.0.0.0/0", natGatewayId="nat-1"),
        resource("ec2/vpcPeeringConnection:VpcPeeringConnection", "pcx-1", ONE, vpcId="vpc-one", peerVpcId="vpc-two"),
        route(ONE, "one", "10.30.0.0/16", vpcPeeringConnectionId="pcx-1"),
        rule("one", "Ingress", ONE, ipProtocol="tcp", fromPort=25, toPort=25, cidrIpv4="0.0.0.0/0"),
        rule("one", "Ingress", ONE, ipProtocol="tcp", fromPort=10025, toPort=10025, referencedSecurityGroupId="sg-one"),
        rule("one", "Egress", ONE, ipProtocol="-1", cidrIpv4="0.0.0.0/0"),
    ]
    if accepted:
        kind = "ec2/vpcPeeringConnectionAccepter:VpcPeeringConnectionAccepter"
        found.append(resource(kind, "acc-1", TWO, vpcPeeringConnectionId="pcx-1", autoAccept=True))
    return {"version": 3, "deployment": {"resources": found}}
