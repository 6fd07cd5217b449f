"""Global Accelerator: two fixed addresses, announced near every client, that lead to the nearest healthy region."""

from collections.abc import Mapping

import pulumi
import pulumi_aws as aws

from onedallmail.platform.flows import PUBLIC_MAIL
from onedallmail.platform.naming import DataClass
from onedallmail.platform.short_names import ACCELERATOR_LENGTH, short_name

from components.context import Context
from components.edge import MailBalancer

FULL_WEIGHT = 128


class MailAccelerator(pulumi.ComponentResource):
    """The accelerator in front of each region's private mail balancer.

    Client addresses are preserved up to the balancer, whose PROXY protocol then names the client to the server; without
    this every log-in would seem to come from Global Accelerator. It needs what these balancers have: a security group,
    TCP listeners, IPv4 throughout and targets in the balancer's own VPC. Such packets pass neither network ACLs nor the
    network firewall; the balancer's security group and the servers' own firewalls hold.

    Idle connections end after 340 s here, which no setting changes: servers speak more often (Dovecot's
    imap_idle_notify_interval).
    """

    arn: pulumi.Output[str]
    dns_name: pulumi.Output[str]
    zone_id: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        context: Context,
        balancers: Mapping[str, MailBalancer],
        flow_log_bucket: pulumi.Input[str] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("onedallmail:edge:MailAccelerator", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        accelerator = aws.globalaccelerator.Accelerator(
            name,
            name=short_name(context.stack, "mail", length=ACCELERATOR_LENGTH),
            ip_address_type="IPV4",
            enabled=True,
            attributes={
                "flow_logs_enabled": flow_log_bucket is not None,
                "flow_logs_s3_bucket": flow_log_bucket,
                "flow_logs_s3_prefix": "accelerator" if flow_log_bucket is not None else None,
            },
            tags=context.tags(context.name("mail"), DataClass.NONE),
            opts=child,
        )
        self.arn, self.dns_name = accelerator.arn, accelerator.dns_name
        self.zone_id = accelerator.hosted_zone_id
        # One listener for all ports: an accelerator holds 42 endpoint groups, of which each region then takes one.
        listener = aws.globalaccelerator.Listener(
            name,
            accelerator_arn=accelerator.arn,
            protocol="TCP",
            client_affinity="NONE",
            port_ranges=[{"from_port": port.value, "to_port": port.value} for port, _ in PUBLIC_MAIL],
            opts=child,
        )
        for region, balancer in balancers.items():
            # No health check of its own: Global Accelerator takes a load balancer's verdict.
            aws.globalaccelerator.EndpointGroup(
                f"{name}-{region}",
                listener_arn=listener.arn,
                endpoint_group_region=region,
                traffic_dial_percentage=100,
                endpoint_configurations=[
                    {
                        "endpoint_id": balancer.arn,
                        "weight": FULL_WEIGHT,
                        "client_ip_preservation_enabled": True,
                    }
                ],
                opts=child,
            )
        self.register_outputs({"dnsName": self.dns_name})
