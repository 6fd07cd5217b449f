"""A region's way in for the web: application load balancer for web mail, autoconfiguration and MTA-STS.

Behind it nginx of the mail servers (role `web`) answers on the same port, over TLS 1.3 only: with a listener of TLS 1.3
the balancer speaks it to its targets as well, whose certificate it does not verify (Elastic Load Balancing, "Security
policies" and "Target groups"). Health checks come with the target's address as host.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import pulumi
import pulumi_aws as aws

from onedallmail.platform.addresses import ZONES, Tier
from onedallmail.platform.ports import Port
from onedallmail.platform.records import WEB_NAMES
from onedallmail.platform.short_names import short_name
from onedallmail.platform.stack import RegionConfig
from onedallmail.platform.web import HEALTH_PATH

from components.context import Context
from components.network import MailVpc

TLS_POLICY = "ELBSecurityPolicy-TLS13-1-3-PQ-2025-09"
"""TLS 1.3 only, hybrid ML-KEM key exchange first (Elastic Load Balancing, "Security policies")."""
HSTS = "max-age=63072000; includeSubDomains"
DRAIN_S = 300
CHECK_INTERVAL_S = 10
CHECK_TIMEOUT_S = 5
FAILED_CHECKS = 3


class AccessLogs(Protocol):
    """Where load balancers put their logs; `ready` are the policies that allow it."""

    access_bucket_name: pulumi.Output[str]
    ready: Sequence[pulumi.Resource]


class WebBalancer(pulumi.ComponentResource):
    """The balancer with its one listener; requests for any name but the platform's own are answered with 404.

    `certificates` are keyed by domain; the first is shown to clients that name no server.
    """

    arn: pulumi.Output[str]
    dns_name: pulumi.Output[str]
    zone_id: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        context: Context,
        region: RegionConfig,
        network: MailVpc,
        group_id: pulumi.Input[str],
        logs: AccessLogs,
        targets: Mapping[str, pulumi.Input[str]],
        certificates: Mapping[str, pulumi.Input[str]],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("onedallmail:edge:WebBalancer", name, None, opts)
        self._name, self._context, self._region = name, context, region.name
        self._child = pulumi.ResourceOptions(parent=self)
        self._tags = context.tags(context.name(region.name, "web"))
        balancer = self._balancer(network, group_id, logs)
        self.arn, self.dns_name, self.zone_id = balancer.arn, balancer.dns_name, balancer.zone_id
        group_arn = self._target_group(network.vpc_id)
        for server, address in targets.items():
            aws.lb.TargetGroupAttachment(
                f"{name}-{server}",
                region=self._region,
                target_group_arn=group_arn,
                target_id=address,
                port=Port.HTTPS.value,
                opts=self._child,
            )
        self._listener(certificates, group_arn)
        self.register_outputs({"arn": self.arn, "dnsName": self.dns_name})

    def _balancer(self, network: MailVpc, group_id: pulumi.Input[str], logs: AccessLogs) -> aws.lb.LoadBalancer:
        context = self._context
        bucket = logs.access_bucket_name
        return aws.lb.LoadBalancer(
            self._name,
            region=self._region,
            name=short_name(context.stack, "web"),
            load_balancer_type="application",
            internal=False,
            ip_address_type="dualstack" if context.platform.options.ipv6 else "ipv4",
            security_groups=[group_id],
            subnets=[network.subnet_ids[Tier.EDGE, zone] for zone in ZONES],
            desync_mitigation_mode="strictest",
            drop_invalid_header_fields=True,
            preserve_host_header=True,
            xff_header_processing_mode="append",
            enable_waf_fail_open=False,
            enable_zonal_shift=True,
            enable_deletion_protection=context.lasting,
            access_logs={"enabled": True, "bucket": bucket, "prefix": "web-access"},
            connection_logs={"enabled": True, "bucket": bucket, "prefix": "web-connections"},
            tags=self._tags,
            # AWS tries the bucket first and refuses one whose policy does not let it write; no argument refers to that.
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(logs.ready)),
        )

    def _target_group(self, vpc_id: pulumi.Output[str]) -> pulumi.Output[str]:
        return aws.lb.TargetGroup(
            self._name,
            region=self._region,
            # A prefix of at most six characters: a group that is replaced stands beside its successor for a while.
            name_prefix="web-",
            vpc_id=vpc_id,
            target_type="ip",
            ip_address_type="ipv4",
            port=Port.HTTPS.value,
            protocol="HTTPS",
            protocol_version="HTTP1",
            deregistration_delay=DRAIN_S,
            load_balancing_algorithm_type="least_outstanding_requests",
            health_check={
                "protocol": "HTTPS",
                "port": "traffic-port",
                "path": HEALTH_PATH,
                "matcher": "200",
                "interval": CHECK_INTERVAL_S,
                "timeout": CHECK_TIMEOUT_S,
                "healthy_threshold": FAILED_CHECKS,
                "unhealthy_threshold": FAILED_CHECKS,
            },
            tags=self._tags,
            opts=self._child,
        ).arn

    def _listener(self, certificates: Mapping[str, pulumi.Input[str]], group_arn: pulumi.Output[str]) -> None:
        first, *others = certificates
        listener = aws.lb.Listener(
            self._name,
            region=self._region,
            load_balancer_arn=self.arn,
            port=Port.HTTPS.value,
            protocol="HTTPS",
            ssl_policy=TLS_POLICY,
            certificate_arn=certificates[first],
            default_actions=[
                {
                    "type": "fixed-response",
                    "fixed_response": {"content_type": "text/plain", "message_body": "Not found", "status_code": "404"},
                }
            ],
            routing_http_response_server_enabled=False,
            routing_http_response_strict_transport_security_header_value=HSTS,
            routing_http_response_x_content_type_options_header_value="nosniff",
            tags=self._tags,
            opts=self._child,
        )
        for domain in others:
            aws.lb.ListenerCertificate(
                f"{self._name}-{domain}",
                region=self._region,
                listener_arn=listener.arn,
                certificate_arn=certificates[domain],
                opts=self._child,
            )
        for priority, domain in enumerate(certificates, start=1):
            # A rule a domain: a rule takes at most five values.
            aws.lb.ListenerRule(
                f"{self._name}-{domain}",
                region=self._region,
                listener_arn=listener.arn,
                priority=priority,
                conditions=[{"host_header": {"values": [f"{name}.{domain}" for name in WEB_NAMES]}}],
                actions=[{"type": "forward", "target_group_arn": group_arn}],
                tags=self._tags,
                opts=self._child,
            )
