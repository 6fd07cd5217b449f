"""KMS keys: one multi-Region key a data class, its replicas and aliases; the key that signs DNS zones."""

import json
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import pulumi
import pulumi_aws as aws

from onedallmail.platform.naming import KEY_CLASSES, DataClass
from onedallmail.platform.regions import GLOBAL_REGION

from components.context import Scope
from components.key_policies import (
    GUARDED,
    MAINTENANCE,
    KeyPolicy,
    administrator_role_name,
    class_key_policy,
    dnssec_key_policy,
    root,
)

DELETION_WINDOW_DAYS = 30
"""The longest that KMS offers: the time in which a wrong deletion is noticed and taken back."""
ROTATION_DAYS = 365


class Keys(Protocol):
    """Where components find the key of a data class."""

    def arn(self, data_class: DataClass, region: str) -> pulumi.Output[str]:
        """Return the ARN of a class's key in a region."""
        ...


class KeyAdministrator(pulumi.ComponentResource):
    """The role of those who guard the keys; assumed with a second factor, and unable to use any key."""

    role_arn: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        scope: Scope,
        administrators: Sequence[str] = (),
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("onedallmail:keys:KeyAdministrator", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        role_name = administrator_role_name(scope.stack)
        role = aws.iam.Role(
            name,
            name=role_name,
            description="Guards the keys of the stack without using them",
            assume_role_policy=scope.account_id.apply(lambda account: json.dumps(_trust(account, administrators))),
            max_session_duration=3600,
            tags=scope.tags(role_name, DataClass.KEYS),
            opts=child,
        )
        aws.iam.RolePolicy(
            name,
            role=role.name,
            policy=scope.account_id.apply(lambda account: json.dumps(_guard(account, scope.stack))),
            opts=child,
        )
        self.role_arn = role.arn
        self.register_outputs({"roleArn": self.role_arn})


class KeySet(pulumi.ComponentResource):
    """The keys of all data classes: primaries in the first region, replicas with the same key id in the others."""

    key_arns: dict[str, dict[str, pulumi.Output[str]]]

    def __init__(
        self,
        name: str,
        *,
        scope: Scope,
        regions: Sequence[str],
        administrators: Sequence[str] = (),
        user_accounts: Sequence[str] = (),
        log_regions: Sequence[str] = (),
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """`log_regions` are further regions that only log groups need the key in, such as the one of DNS query logs."""
        super().__init__("onedallmail:keys:KeySet", name, None, opts)
        self._scope, self._name = scope, name
        self._administrators, self._user_accounts = administrators, user_accounts
        # A key must outlive a mistaken `destroy`: what it encrypts is lost with it.
        self._kept = pulumi.ResourceOptions(parent=self, protect=scope.lasting)
        self._child = pulumi.ResourceOptions(parent=self)
        self._ids: dict[tuple[DataClass, str], pulumi.Output[str]] = {}
        self.key_arns = {}
        KeyAdministrator(name, scope=scope, administrators=administrators, opts=self._child)
        for data_class in KEY_CLASSES:
            more = [r for r in log_regions if r not in regions] if data_class is DataClass.LOGS else []
            self.key_arns[data_class.value] = self._class_keys(data_class, (*regions, *more))
        self.register_outputs({"keyArns": self.key_arns})

    def arn(self, data_class: DataClass, region: str) -> pulumi.Output[str]:
        """Return the ARN of a class's key in a region.

        Raises:
            KeyError: the set has no such key.
        """
        return self.key_arns[data_class.value][region]

    def key_id(self, data_class: DataClass, region: str) -> pulumi.Output[str]:
        """Return the id of a class's key: the same in every region.

        Raises:
            KeyError: the set has no such key.
        """
        return self._ids[data_class, region]

    def _class_keys(self, data_class: DataClass, regions: Sequence[str]) -> dict[str, pulumi.Output[str]]:
        scope, home = self._scope, regions[0]
        key_name = scope.name(data_class)
        primary = aws.kms.Key(
            f"{self._name}-{data_class}",
            region=home,
            description=f"Data class {data_class} of stack {scope.stack}",
            multi_region=True,
            enable_key_rotation=True,
            rotation_period_in_days=ROTATION_DAYS,
            deletion_window_in_days=DELETION_WINDOW_DAYS,
            policy=self._policy(data_class, home),
            tags=scope.tags(key_name, data_class),
            opts=self._kept,
        )
        arns, self._ids[data_class, home] = {home: primary.arn}, primary.key_id
        for region in regions[1:]:
            replica = aws.kms.ReplicaKey(
                f"{self._name}-{data_class}-{region}",
                region=region,
                description=f"Data class {data_class} of stack {scope.stack}, replica",
                primary_key_arn=primary.arn,
                deletion_window_in_days=DELETION_WINDOW_DAYS,
                policy=self._policy(data_class, region),
                tags=scope.tags(key_name, data_class),
                opts=self._kept,
            )
            arns[region], self._ids[data_class, region] = replica.arn, replica.key_id
        for region in regions:
            aws.kms.Alias(
                f"{self._name}-{data_class}-{region}",
                region=region,
                name=f"alias/{key_name}",
                target_key_id=self._ids[data_class, region],
                opts=self._child,
            )
        return arns

    def _policy(self, data_class: DataClass, region: str) -> pulumi.Output[str]:
        return policy_text(
            self._scope,
            class_key_policy,
            region=region,
            data_class=data_class,
            administrators=self._administrators,
            user_accounts=self._user_accounts,
        )


class DnssecKey(pulumi.ComponentResource):
    """The key of which zones' key-signing keys are made, in the one region from which Route 53 takes it.

    What that dependency means, and what to do when the region is away: docs/runbooks/dnssec-key.md.
    """

    arn: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        scope: Scope,
        administrators: Sequence[str] = (),
        user_accounts: Sequence[str] = (),
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("onedallmail:keys:DnssecKey", name, None, opts)
        key_name = scope.name("dnssec")
        key = aws.kms.Key(
            name,
            region=GLOBAL_REGION,
            description=f"Key-signing keys of the hosted zones of stack {scope.stack}",
            customer_master_key_spec="ECC_NIST_P256",
            key_usage="SIGN_VERIFY",
            deletion_window_in_days=DELETION_WINDOW_DAYS,
            policy=policy_text(
                scope,
                dnssec_key_policy,
                region=GLOBAL_REGION,
                administrators=administrators,
                user_accounts=user_accounts,
            ),
            tags=scope.tags(key_name, DataClass.KEYS),
            # Zones whose DS record is published fail to resolve when this key ends.
            opts=pulumi.ResourceOptions(parent=self, protect=scope.lasting),
        )
        aws.kms.Alias(
            name,
            region=GLOBAL_REGION,
            name=f"alias/{key_name}",
            target_key_id=key.key_id,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.arn = key.arn
        self.register_outputs({"arn": self.arn})


class ReferencedKeys:
    """The keys that another stack exports as `keyArns`, by data class and region."""

    def __init__(self, reference: pulumi.StackReference) -> None:
        self._arns = reference.require_output("keyArns")

    def arn(self, data_class: DataClass, region: str) -> pulumi.Output[str]:
        """Return the ARN of a class's key in a region; the output fails when the other stack has none there."""
        return self._arns.apply(lambda arns: _referenced(arns, data_class, region))


def _referenced(arns: dict[str, dict[str, str]], data_class: DataClass, region: str) -> str:
    try:
        return arns[data_class.value][region]
    except KeyError as error:
        msg = f"the referenced keys stack has no key for {data_class} in {region}: add the region there and run `up`"
        raise LookupError(msg) from error


def policy_text(
    scope: Scope, render: Callable[[KeyPolicy], dict[str, Any]], *, region: str, **facts: Any
) -> pulumi.Output[str]:
    """Return a key's policy as JSON text.

    Args:
        scope: the stack that the key is of.
        render: makes the policy, such as `class_key_policy`.
        region: the key's region.
        facts: further fields of `KeyPolicy`.
    """

    def text(account: str) -> str:
        policy = KeyPolicy(account=account, stack=scope.stack, region=region, second_factor=scope.lasting, **facts)
        return json.dumps(render(policy))

    return scope.account_id.apply(text)


def _trust(account: str, administrators: Sequence[str]) -> dict[str, Any]:
    statement = {
        "Sid": "WithSecondFactor",
        "Effect": "Allow",
        "Principal": {"AWS": list(administrators) or root(account)},
        "Action": "sts:AssumeRole",
        "Condition": {"Bool": {"aws:MultiFactorAuthPresent": "true"}},
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def _guard(account: str, stack: str) -> dict[str, Any]:
    actions = sorted({*MAINTENANCE, *GUARDED})
    own = {
        "Sid": "GuardKeysOfTheStack",
        "Effect": "Allow",
        "Action": actions,
        "Resource": [f"arn:aws:kms:*:{account}:key/*", f"arn:aws:kms:*:{account}:alias/onedallmail-{stack}-*"],
    }
    # KMS knows no resource for this one.
    listing = {"Sid": "FindKeys", "Effect": "Allow", "Action": ["kms:ListAliases", "kms:ListKeys"], "Resource": "*"}
    return {"Version": "2012-10-17", "Statement": [own, listing]}
