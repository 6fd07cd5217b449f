"""All examples, as one table."""

from . import (
    backup,
    compute,
    detection,
    dns,
    edge,
    governance,
    iam,
    keys,
    logging,
    messaging,
    network,
    security_groups,
    stack_detection,
    stack_dns,
    stack_network,
    stack_servers,
    stack_storage,
    storage,
)
from .example import Example

EXAMPLES: tuple[Example, ...] = (
    *backup.EXAMPLES,
    *compute.EXAMPLES,
    *detection.EXAMPLES,
    *dns.EXAMPLES,
    *edge.EXAMPLES,
    *governance.EXAMPLES,
    *iam.EXAMPLES,
    *keys.EXAMPLES,
    *logging.EXAMPLES,
    *messaging.EXAMPLES,
    *network.EXAMPLES,
    *security_groups.EXAMPLES,
    *stack_detection.EXAMPLES,
    *stack_dns.EXAMPLES,
    *stack_network.EXAMPLES,
    *stack_servers.EXAMPLES,
    *stack_storage.EXAMPLES,
    *storage.EXAMPLES,
)
