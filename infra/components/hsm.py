"""CloudHSM: a cluster with HSMs in two zones, and the KMS key store on it after the activation ceremony."""

from collections.abc import Sequence
from ipaddress import IPv4Network

import pulumi
import pulumi_aws as aws

from onedallmail.platform.firewall import Direction, Rule, party_rules
from onedallmail.platform.flows import Party
from onedallmail.platform.naming import DataClass

from components.context import Context
from components.key_policies import hsm_key_policy
from components.keys import DELETION_WINDOW_DAYS, policy_text

HSM_TYPE, MODE = "hsm2m.medium", "FIPS"
"""FIPS 140-3 level 3; KMS takes key stores of clusters in FIPS mode only."""


class HsmCluster(pulumi.ComponentResource):
    """The cluster of the first region.

    It stays uninitialised until people have signed its certificate request: docs/runbooks/activate-cloudhsm.md.
    AWS makes its security group; rules for our clients are added, those between HSMs, which KMS needs, stay.
    """

    cluster_id: pulumi.Output[str]
    hsm_ips: list[pulumi.Output[str]]

    def __init__(
        self,
        name: str,
        *,
        context: Context,
        subnet_ids: Sequence[pulumi.Output[str]],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """`subnet_ids` are those of the endpoint tier of the first region, one a zone of `HSM_ZONES`."""
        super().__init__("onedallmail:keys:HsmCluster", name, None, opts)
        self._name, self._region = name, context.platform.home
        cluster_name = context.name("hsm")
        cluster = aws.cloudhsmv2.Cluster(
            name,
            region=self._region,
            hsm_type=HSM_TYPE,
            mode=MODE,
            subnet_ids=list(subnet_ids),
            tags=context.tags(cluster_name, DataClass.KEYS),
            # Keys end with the cluster that made them.
            opts=pulumi.ResourceOptions(parent=self, protect=context.lasting),
        )
        self.cluster_id, self.hsm_ips = cluster.cluster_id, []
        before: list[pulumi.Resource] = []
        for number, subnet_id in enumerate(subnet_ids, start=1):
            hsm = aws.cloudhsmv2.Hsm(
                f"{name}-{number}",
                region=self._region,
                cluster_id=cluster.cluster_id,
                subnet_id=subnet_id,
                # The certificate request that people sign comes from the first HSM, so that one must be there first.
                opts=pulumi.ResourceOptions(parent=self, depends_on=before, protect=context.lasting),
            )
            before = [hsm]
            self.hsm_ips.append(hsm.ip_address)
        for rule in party_rules(context.platform, Party.HSM, self._region):
            for peer in rule.peers:
                self._open(cluster.security_group_id, rule, str(peer), v4=isinstance(peer, IPv4Network))
        self.register_outputs({"clusterId": self.cluster_id})

    def _open(self, group_id: pulumi.Output[str], rule: Rule, peer: str, *, v4: bool) -> None:
        kind = aws.vpc.SecurityGroupIngressRule if rule.direction is Direction.IN else aws.vpc.SecurityGroupEgressRule
        kind(
            f"{self._name}-{rule.direction}-{rule.flow.name}-{peer}",
            region=self._region,
            security_group_id=group_id,
            ip_protocol=rule.flow.protocol.value,
            from_port=rule.flow.port.value,
            to_port=rule.flow.port.value,
            cidr_ipv4=peer if v4 else None,
            cidr_ipv6=None if v4 else peer,
            description=rule.flow.name,
            opts=pulumi.ResourceOptions(parent=self),
        )


class KeyStore(pulumi.ComponentResource):
    """The KMS key store on an active cluster, and the key that it is there for.

    Such keys are symmetric, of one region, not rotated by KMS and not imported (KMS guide: CloudHSM key stores), so
    the keys of data classes, which have replicas, are not among them. KMS can use the store once it is connected,
    which is a step of the runbook; the key is made by the `up` after that.
    """

    key_store_id: pulumi.Output[str]
    key_arn: pulumi.Output[str] | None

    def __init__(
        self,
        name: str,
        *,
        context: Context,
        cluster: HsmCluster,
        trust_anchor: str,
        password: pulumi.Output[str],
        connected: bool,
        administrators: Sequence[str] = (),
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """`trust_anchor` is the PEM certificate that signed the cluster's, `password` the one of its user `kmsuser`.

        Raises:
            ValueError: the trust anchor is no PEM certificate.
        """
        super().__init__("onedallmail:keys:KeyStore", name, None, opts)
        if "BEGIN CERTIFICATE" not in trust_anchor:
            msg = "hsmTrustAnchor is no PEM certificate: set it to the customerCA.crt of the activation ceremony"
            raise ValueError(msg)
        region, key_name = context.platform.home, context.name("hsm")
        store = aws.kms.CustomKeyStore(
            name,
            region=region,
            custom_key_store_name=key_name,
            custom_key_store_type="AWS_CLOUDHSM",
            cloud_hsm_cluster_id=cluster.cluster_id,
            trust_anchor_certificate=trust_anchor,
            key_store_password=password,
            opts=pulumi.ResourceOptions(parent=self, protect=context.lasting),
        )
        self.key_store_id, self.key_arn = store.id, None
        if connected:
            key = aws.kms.Key(
                name,
                region=region,
                description=f"Key of stack {context.stack} whose material is in its own HSMs",
                custom_key_store_id=store.id,
                deletion_window_in_days=DELETION_WINDOW_DAYS,
                policy=policy_text(context, hsm_key_policy, region=region, administrators=administrators),
                tags=context.tags(key_name, DataClass.KEYS),
                # What it encrypts is lost with it.
                opts=pulumi.ResourceOptions(parent=self, protect=context.lasting),
            )
            aws.kms.Alias(
                name,
                region=region,
                name=f"alias/{key_name}",
                target_key_id=key.key_id,
                opts=pulumi.ResourceOptions(parent=self),
            )
            self.key_arn = key.arn
        self.register_outputs({"keyStoreId": self.key_store_id, "keyArn": self.key_arn})
