"""What an account shall do without being told: once for the account, and once a region."""

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from onedallmail.platform.accounts import Contact

from components.context import Scope

PASSWORD_LENGTH = 16
PASSWORD_AGE_DAYS = 90
PASSWORD_HISTORY = 24


class AccountDefaults(pulumi.ComponentResource):
    """Passwords, public access to buckets, contacts."""

    def __init__(
        self,
        name: str,
        *,
        contacts: Sequence[Contact] = (),
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("onedallmail:guardrails:AccountDefaults", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        aws.iam.AccountPasswordPolicy(
            name,
            minimum_password_length=PASSWORD_LENGTH,
            require_lowercase_characters=True,
            require_uppercase_characters=True,
            require_numbers=True,
            require_symbols=True,
            allow_users_to_change_password=True,
            max_password_age=PASSWORD_AGE_DAYS,
            password_reuse_prevention=PASSWORD_HISTORY,
            opts=child,
        )
        aws.s3.AccountPublicAccessBlock(
            name,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=child,
        )
        AlternateContacts(name, contacts=contacts, opts=child)
        self.register_outputs({})


class AlternateContacts(pulumi.ComponentResource):
    """Whom AWS reaches about an account: this one, or a member of the organisation."""

    def __init__(
        self,
        name: str,
        *,
        contacts: Sequence[Contact],
        account_id: pulumi.Output[str] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("onedallmail:guardrails:AlternateContacts", name, None, opts)
        for contact in contacts:
            aws.account.AlternativeContact(
                f"{name}-{contact.kind.lower()}",
                account_id=account_id,
                alternate_contact_type=contact.kind,
                name=contact.name,
                title=contact.title,
                email_address=contact.email,
                phone_number=contact.phone,
                opts=pulumi.ResourceOptions(parent=self),
            )
        self.register_outputs({})


class RegionDefaults(pulumi.ComponentResource):
    """Volumes encrypted; snapshots, images and documents closed; metadata with a session; no serial console."""

    def __init__(
        self,
        name: str,
        *,
        scope: Scope,
        region: str,
        volume_key_arn: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("onedallmail:guardrails:RegionDefaults", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        aws.ebs.EncryptionByDefault(name, region=region, enabled=True, opts=child)
        aws.ebs.DefaultKmsKey(name, region=region, key_arn=volume_key_arn, opts=child)
        aws.ebs.SnapshotBlockPublicAccess(name, region=region, state="block-all-sharing", opts=child)
        aws.ec2.ImageBlockPublicAccess(name, region=region, state="block-new-sharing", opts=child)
        aws.ec2.InstanceMetadataDefaults(
            name,
            region=region,
            http_endpoint="enabled",
            http_tokens="required",
            http_put_response_hop_limit=1,
            instance_metadata_tags="disabled",
            opts=child,
        )
        aws.ec2.SerialConsoleAccess(name, region=region, enabled=False, opts=child)
        setting = f"arn:aws:ssm:{region}:{{}}:servicesetting/ssm/documents/console/public-sharing-permission"
        aws.ssm.ServiceSetting(
            name,
            region=region,
            setting_id=scope.account_id.apply(setting.format),
            setting_value="Disable",
            opts=child,
        )
        self.register_outputs({})
