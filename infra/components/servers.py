"""The servers of a region: Debian 13 instances with their group, profile, disk and Elastic IP."""

from typing import Any

import pulumi
import pulumi_aws as aws

from onedallmail.platform.addresses import tier_of
from onedallmail.platform.naming import DataClass
from onedallmail.platform.roles import ServerRole
from onedallmail.platform.servers import Server
from onedallmail.platform.stack import RegionConfig

from components.context import Context
from components.evidence_store import EvidenceStore
from components.keys import RegionKey
from components.mail_secrets import DkimKeys
from components.network import MailVpc
from components.permissions import ServerProfile
from components.security_groups import RoleSecurityGroup

DEBIAN_ACCOUNT = "136693071363"
"""The Debian project's AWS account (wiki.debian.org/Cloud/AmazonEC2Image)."""
DEBIAN_IMAGE = "debian-13-amd64-*"


class RegionServers(pulumi.ComponentResource):
    """All instances of a region; `facts` is what Ansible and the lab need to know of each."""

    facts: dict[str, dict[str, Any]]
    public_ips: dict[str, pulumi.Output[str]]

    def __init__(
        self,
        name: str,
        *,
        context: Context,
        region: RegionConfig,
        network: MailVpc,
        key: RegionKey,
        dkim: DkimKeys,
        evidence: EvidenceStore,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("onedallmail:compute:RegionServers", name, None, opts)
        self._context, self._network, self._key = context, network, key
        self._child = pulumi.ResourceOptions(parent=self)
        self.facts, self.public_ips = {}, {}
        members = [s for s in context.platform.servers if s.region == region.name]
        roles = sorted({s.role for s in members})
        self._groups = {
            role: RoleSecurityGroup(
                f"{region.name}-{role}",
                context=context,
                region=region.name,
                role=role,
                network=network,
                opts=self._child,
            )
            for role in roles
        }
        self._profiles = {
            role: ServerProfile(
                f"{region.name}-{role}",
                context=context,
                region=region.name,
                role=role,
                key=key,
                dkim=dkim,
                evidence=evidence,
                opts=self._child,
            )
            for role in roles
        }
        self._image = aws.ec2.get_ami_output(
            most_recent=True,
            owners=[DEBIAN_ACCOUNT],
            filters=[{"name": "name", "values": [DEBIAN_IMAGE]}],
            region=region.name,
        )
        for server in members:
            self.facts[server.name] = self._server(server)
        self.register_outputs({})

    def _server(self, server: Server) -> dict[str, Any]:
        instance = self._instance(server)
        if server.public:
            address = aws.ec2.Eip(
                server.name,
                region=server.region,
                domain="vpc",
                instance=instance.id,
                tags=self._context.tags(server.fqdn),
                opts=self._child,
            )
            self.public_ips[server.name] = address.public_ip
        return {
            "name": server.name,
            "fqdn": server.fqdn,
            "role": server.role.value,
            "region": server.region,
            "zone": server.zone,
            "instanceId": instance.id,
            "privateIp": instance.private_ip,
            "publicIp": self.public_ips.get(server.name),
            "voter": server.voter,
        }

    def _instance(self, server: Server) -> aws.ec2.Instance:
        config = self._context.platform.config
        data_class = DataClass.MAIL if server.role is ServerRole.MAIL else DataClass.LOGS
        tags = self._context.tags(server.fqdn, data_class)
        return aws.ec2.Instance(
            server.name,
            region=server.region,
            ami=self._image.id,
            instance_type=config.instance_type,
            subnet_id=self._network.subnet_ids[tier_of(server.role, config.options), server.zone[-1]],
            private_ip=str(server.private_ip),
            vpc_security_group_ids=list(self._groups[server.role].group_ids),
            iam_instance_profile=self._profiles[server.role].profile_name,
            associate_public_ip_address=False,
            disable_api_termination=config.target == "aws",
            monitoring=True,
            ebs_optimized=True,
            metadata_options={
                "http_tokens": "required",
                "http_endpoint": "enabled",
                "http_put_response_hop_limit": 1,
            },
            root_block_device={
                "volume_type": "gp3",
                "volume_size": config.volume_size_gb,
                "encrypted": True,
                "kms_key_id": self._key.arn,
                "delete_on_termination": False,
                "tags": tags,
            },
            tags=tags,
            # A newer image is taken by replacing servers one by one, never by all at once with the next `up`.
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["ami"]),
        )
