"""All rules of the pack, one concern a file."""

from ..model import AnyRule
from . import (
    backup,
    compute,
    detection,
    dns,
    edge,
    governance,
    iam,
    identities,
    keys,
    logging,
    messaging,
    network,
    security_groups,
    stack_backup,
    stack_detection,
    stack_dns,
    stack_keys,
    stack_logging,
    stack_network,
    stack_servers,
    stack_storage,
    storage,
)

BY_CONCERN: dict[str, tuple[AnyRule, ...]] = {
    "governance": governance.RULES,
    "security_groups": security_groups.RULES,
    "network": (*network.RULES, *stack_network.RULES),
    "edge": edge.RULES,
    "servers": (*compute.RULES, *stack_servers.RULES),
    "keys": (*keys.RULES, *stack_keys.RULES),
    "permissions": iam.RULES,
    "identities": identities.RULES,
    "storage": (*storage.RULES, *stack_storage.RULES),
    "messaging": messaging.RULES,
    "backup": (*backup.RULES, *stack_backup.RULES),
    "names": (*dns.RULES, *stack_dns.RULES),
    "logging": (*logging.RULES, *stack_logging.RULES),
    "detection": (*detection.RULES, *stack_detection.RULES),
}

ALL_RULES: tuple[AnyRule, ...] = tuple(rule for rules in BY_CONCERN.values() for rule in rules)
