"""Three Elastic IPs and a NAT gateway that uses one of them."""

import pulumi
import pulumi_aws as aws

tags = {"version": pulumi.Config("sample").get("version") or "1"}
addresses = [aws.ec2.Eip(name, domain="vpc", tags=tags) for name in ("one", "two", "three")]
gateway = aws.ec2.NatGateway("gateway", subnet_id="subnet-1", allocation_id=addresses[0].allocation_id, tags=tags)
pulumi.export("addresses", [a.public_ip for a in addresses])
pulumi.export("gateway", gateway.public_ip)
