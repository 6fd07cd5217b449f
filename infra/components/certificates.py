"""Certificates of the web names: one a domain and region, from AWS Certificate Manager, proven by DNS."""

from collections.abc import Mapping, Sequence

import pulumi
import pulumi_aws as aws

from onedallmail.platform.records import WEB_NAMES

from components.context import Context

VALIDATION_TTL_S = 300


class WebCertificates(pulumi.ComponentResource):
    """Certificates by region and domain; each ARN is known only when AWS has issued the certificate.

    AWS issues when the zone is delegated: until the registrar has the zone's name servers, the first `up` waits here
    (75 minutes at most, then it is run again). The proof of a name is the same in all regions of an account, so its
    record is made once, from the first region's certificate (ACM User Guide, "DNS validation").
    """

    arns: dict[tuple[str, str], pulumi.Output[str]]

    def __init__(
        self,
        name: str,
        *,
        context: Context,
        regions: Sequence[str],
        zone_ids: Mapping[str, pulumi.Output[str]],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("onedallmail:edge:WebCertificates", name, None, opts)
        self._name, self._context = name, context
        self._child = pulumi.ResourceOptions(parent=self)
        self.arns = {}
        for domain, zone_id in zone_ids.items():
            made = {region: self._certificate(region, domain) for region in regions}
            proofs = [self._proof(made[regions[0]], web_name, zone_id) for web_name in _web_names(domain)]
            for region, certificate in made.items():
                self.arns[region, domain] = aws.acm.CertificateValidation(
                    f"{name}-{region}-{domain}",
                    region=region,
                    certificate_arn=certificate.arn,
                    validation_record_fqdns=proofs,
                    opts=self._child,
                ).certificate_arn
        self.register_outputs({})

    def _certificate(self, region: str, domain: str) -> aws.acm.Certificate:
        first, *others = _web_names(domain)
        return aws.acm.Certificate(
            f"{self._name}-{region}-{domain}",
            region=region,
            domain_name=first,
            subject_alternative_names=others,
            validation_method="DNS",
            key_algorithm="EC_prime256v1",
            options={"certificate_transparency_logging_preference": "ENABLED"},
            tags=self._context.tags(self._context.name(region, "web", domain)),
            opts=self._child,
        )

    def _proof(
        self, certificate: aws.acm.Certificate, web_name: str, zone_id: pulumi.Output[str]
    ) -> pulumi.Output[str]:
        wanted = certificate.domain_validation_options.apply(lambda options: _option_of(options, web_name))
        return aws.route53.Record(
            f"{self._name}-{web_name}",
            zone_id=zone_id,
            name=wanted.apply(lambda option: option.resource_record_name or ""),
            type=wanted.apply(lambda option: option.resource_record_type or ""),
            records=[wanted.apply(lambda option: option.resource_record_value or "")],
            ttl=VALIDATION_TTL_S,
            opts=self._child,
        ).fqdn


def _web_names(domain: str) -> list[str]:
    return [f"{name}.{domain}" for name in WEB_NAMES]


def _option_of(
    options: Sequence[aws.acm.outputs.CertificateDomainValidationOption], web_name: str
) -> aws.acm.outputs.CertificateDomainValidationOption:
    for option in options:
        if option.domain_name == web_name:
            return option
    known = ", ".join(o.domain_name or "?" for o in options)
    msg = f"AWS Certificate Manager asks for no proof of {web_name}, only of {known}: the certificate lacks the name"
    raise LookupError(msg)
