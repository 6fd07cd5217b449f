"""The servers of a region: Debian 13 instances from a launch template, spread over hardware, with disk and alarms."""

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
from components.keys import Keys
from components.launch import METADATA, LaunchTemplates, root_volume
from components.mail_secrets import DkimKeys
from components.network import MailVpc
from components.permissions import ServerProfile
from components.recovery import RecoveryAlarms
from components.security_groups import RoleSecurityGroup


class RegionServers(pulumi.ComponentResource):
    """All instances of a region; `facts` is what Ansible and the lab need to know of each."""

    facts: dict[str, dict[str, Any]]
    public_ips: dict[str, pulumi.Output[str]]
    allocation_ids: dict[str, pulumi.Output[str]]
    """Of servers with an Elastic IP."""
    private_ips: dict[str, pulumi.Output[str]]
    """Of mail servers, for the load balancers."""

    def __init__(
        self,
        name: str,
        *,
        context: Context,
        region: RegionConfig,
        network: MailVpc,
        keys: Keys,
        dkim: DkimKeys,
        evidence: EvidenceStore,
        alerts_topic: pulumi.Output[str] | None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("onedallmail:compute:RegionServers", name, None, opts)
        self._context, self._network = context, network
        self._key_arn = keys.arn(DataClass.MAIL, region.name)
        self._child = pulumi.ResourceOptions(parent=self)
        self.facts, self.public_ips, self.allocation_ids, self.private_ips = {}, {}, {}, {}
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
        profiles = {
            role: ServerProfile(
                f"{region.name}-{role}",
                context=context,
                region=region.name,
                role=role,
                keys=keys,
                dkim=dkim,
                evidence=evidence,
                opts=self._child,
            )
            for role in roles
        }
        self._templates = LaunchTemplates(
            f"launch-{region.name}",
            context=context,
            region=region.name,
            profiles={role: profile.profile_name for role, profile in profiles.items()},
            key_arn=self._key_arn,
            opts=self._child,
        )
        # Two servers of a zone never share a rack: a region's mail outlives one.
        self._spread = aws.ec2.PlacementGroup(
            f"spread-{region.name}",
            region=region.name,
            name=context.name(region.name, "spread"),
            strategy="spread",
            tags=context.tags(context.name(region.name, "spread")),
            opts=self._child,
        )
        for server in members:
            self.facts[server.name] = self._server(server, alerts_topic)
        self.register_outputs({})

    def _server(self, server: Server, alerts_topic: pulumi.Output[str] | None) -> dict[str, Any]:
        instance = self._instance(server)
        RecoveryAlarms(
            f"recovery-{server.name}",
            context=self._context,
            server=server,
            instance_id=instance.id,
            alerts_topic=alerts_topic,
            opts=self._child,
        )
        if server.role is ServerRole.MAIL:
            self.private_ips[server.name] = instance.private_ip
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
            self.allocation_ids[server.name] = address.id
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
        context, config = self._context, self._context.platform.config
        tags = context.tags(server.fqdn, DataClass.MAIL if server.role is ServerRole.MAIL else DataClass.LOGS)
        return aws.ec2.Instance(
            server.name,
            region=server.region,
            launch_template=self._templates.use(server.role),
            ami=self._templates.image_id,
            instance_type=config.instance_type,
            iam_instance_profile=self._templates.profiles[server.role],
            placement_group=self._spread.name,
            subnet_id=self._network.subnet_ids[tier_of(server.role, config.options), server.zone[-1]],
            private_ip=str(server.private_ip),
            vpc_security_group_ids=list(self._groups[server.role].group_ids),
            associate_public_ip_address=False,
            disable_api_termination=context.lasting,
            monitoring=True,
            ebs_optimized=True,
            metadata_options=aws.ec2.InstanceMetadataOptionsArgs(**METADATA),
            maintenance_options={"auto_recovery": "default"},
            root_block_device=aws.ec2.InstanceRootBlockDeviceArgs(**root_volume(config, self._key_arn), tags=tags),
            tags=tags,
            # A newer image or template is taken by replacing servers one by one, never by all at once with an `up`.
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["ami", "launchTemplate"], protect=context.lasting),
        )
