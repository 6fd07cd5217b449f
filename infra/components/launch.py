"""Launch templates: what every server of a role in a region has in common."""

import base64
from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_aws as aws

from onedallmail.platform.naming import DataClass
from onedallmail.platform.roles import ServerRole
from onedallmail.platform.stack import StackConfig

from components.context import Context
from components.user_data import user_data

DEBIAN_ACCOUNT = "136693071363"
"""The Debian project's AWS account (wiki.debian.org/Cloud/AmazonEC2Image)."""
DEBIAN_IMAGE = "debian-13-amd64-*"
ROOT_DEVICE = "/dev/xvda"

METADATA: dict[str, Any] = {
    "http_tokens": "required",
    "http_endpoint": "enabled",
    "http_put_response_hop_limit": 1,
    "instance_metadata_tags": "disabled",
}
"""IMDSv2 only, and only from the host itself (CIS AWS 5.6). Stated at the instance too: it wins over a template."""


def root_volume(config: StackConfig, key_arn: pulumi.Output[str]) -> dict[str, Any]:
    """Return the root volume of a server: gp3, encrypted under the region's mail key, kept when the server goes."""
    return {
        "volume_type": "gp3",
        "volume_size": config.volume_size_gb,
        "encrypted": True,
        "kms_key_id": key_arn,
        "delete_on_termination": False,
    }


class LaunchTemplates(pulumi.ComponentResource):
    """A region's launch templates by role."""

    image_id: pulumi.Output[str]
    profiles: Mapping[ServerRole, pulumi.Output[str]]

    def __init__(
        self,
        name: str,
        *,
        context: Context,
        region: str,
        profiles: Mapping[ServerRole, pulumi.Output[str]],
        key_arn: pulumi.Output[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("onedallmail:compute:LaunchTemplates", name, None, opts)
        self._context, self._region = context, region
        self.profiles = profiles
        self.image_id = aws.ec2.get_ami_output(
            most_recent=True,
            owners=[DEBIAN_ACCOUNT],
            filters=[{"name": "name", "values": [DEBIAN_IMAGE]}],
            region=region,
        ).id
        self._made = {role: self._template(name, role, key_arn) for role in profiles}
        self.register_outputs({})

    def use(self, role: ServerRole) -> dict[str, Any]:
        """Return the argument by which an instance takes the template of its role."""
        template = self._made[role]
        return {"id": template.id, "version": template.latest_version.apply(str)}

    def _template(self, name: str, role: ServerRole, key_arn: pulumi.Output[str]) -> aws.ec2.LaunchTemplate:
        config = self._context.platform.config
        title = self._context.name(self._region, role)
        volume: dict[str, Any] = {k: str(v).lower() if isinstance(v, bool) else v for k, v in root_volume(config, key_arn).items()}
        tags = self._context.tags(title, DataClass.MAIL if role is ServerRole.MAIL else DataClass.LOGS)
        return aws.ec2.LaunchTemplate(
            f"{name}-{role}",
            region=self._region,
            name=title,
            description=f"Debian 13 server of the role {role}",
            update_default_version=True,
            image_id=self.image_id,
            instance_type=config.instance_type,
            ebs_optimized="true",
            disable_api_termination=self._context.lasting,
            instance_initiated_shutdown_behavior="stop",
            iam_instance_profile={"name": self.profiles[role]},
            metadata_options=METADATA,
            monitoring={"enabled": True},
            block_device_mappings=[{"device_name": ROOT_DEVICE, "ebs": volume}],
            user_data=base64.b64encode(user_data(config, self._region).encode()).decode(),
            tag_specifications=[
                {"resource_type": kind, "tags": tags} for kind in ("instance", "volume", "network-interface")
            ],
            tags=tags,
            # Debian publishes images often; a new one is taken on purpose, with the next change of the template.
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["imageId"]),
        )
