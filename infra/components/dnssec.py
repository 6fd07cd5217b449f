"""Signing of a hosted zone; its key is a KMS key in us-east-1, on which the zone then depends."""

import pulumi
import pulumi_aws as aws

from components.context import Context


class ZoneSigning(pulumi.ComponentResource):
    """DNSSEC of one zone. `ds_record` goes to the registrar, who makes the chain of trust whole.

    Before signing ends or the key goes, the DS record must be gone from the parent zone for its whole TTL; otherwise
    validating resolvers find no answer.
    """

    ds_record: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        context: Context,
        zone_id: pulumi.Output[str],
        key_arn: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("onedallmail:dns:ZoneSigning", name, None, opts)
        key = aws.route53.KeySigningKey(
            name,
            hosted_zone_id=zone_id,
            key_management_service_arn=key_arn,
            name="onedallmail_1",
            status="ACTIVE",
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.ds_record = key.ds_record
        aws.route53.HostedZoneDnsSec(
            name,
            hosted_zone_id=zone_id,
            signing_status="SIGNING",
            # Signing needs an active key, and a key in use can't be removed; no argument refers to it. Protected, since
            # unsigning a zone whose DS record is published takes its names off the internet.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[key], protect=context.lasting),
        )
        self.register_outputs({"dsRecord": self.ds_record})
