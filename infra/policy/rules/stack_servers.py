"""Keys, servers, edge and backups as a whole: nothing stands alone that needs a companion."""

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from onedallmail.platform.flows import Party
from onedallmail.platform.naming import DataClass

from ..catalogue import stack_rule
from ..documents import statements
from ..model import AnyRule, Level, Resource, Severity, Stack
from ..values import NotEstablished
from . import backup, compute, keys, logging
from .edge import BALANCER, WEB_ACL, WEB_ACL_LOG, is_application
from .network import SUBNET
from .security_groups import GROUP, INGRESS, described, faces_internet, serves

ALIAS = "aws:kms/alias:Alias"
CLUSTER = "aws:cloudhsmv2/cluster:Cluster"
HSM = "aws:cloudhsmv2/hsm:Hsm"
WEB_ACL_ASSOCIATION = "aws:wafv2/webAclAssociation:WebAclAssociation"
VAULT_POLICY = "aws:backup/vaultPolicy:VaultPolicy"
SELECTION = "aws:backup/selection:Selection"
RESTORE_TESTING = "aws:backup/restoreTestingPlan:RestoreTestingPlan"
FEWEST_ZONES = 2
SERVERS = frozenset({Party.MAIL, Party.WITNESS, Party.VOTER, Party.PLATFORM})
"""Parties of the intent graph that are servers of ours."""
BACKED_UP = (DataClass.MAIL.value, DataClass.DIRECTORY.value)


@stack_rule(
    "key-has-policy",
    "Every key has a policy of its own",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.24", "iso27001:A.5.3", "soc2:CC6.1", "soc2:CC6.3"),
    remediation="Set policy on the key, or add aws.kms.KeyPolicy",
    applies_to=(keys.KEY, keys.REPLICA),
)
def key_has_policy(key: Resource, stack: Stack) -> Iterator[str]:
    """KMS's default lets every administrator of the account use the key; AWS reports it as if it had been given."""
    given = key.props.document("policy")
    if (not given or _is_default(given)) and not stack.naming(key, keys.KEY_POLICY, by="keyId"):
        yield "has KMS's default policy"


def _is_default(document: Mapping[str, Any]) -> bool:
    listed = statements(document)
    return len(listed) == 1 and listed[0].actions == ("kms:*",) and not listed[0].conditions


@stack_rule(
    "key-has-alias",
    "Every key has a name",
    severity=Severity.LOW,
    level=Level.ADVISORY,
    controls=("iso27001:A.5.9", "soc2:CC6.1"),
    remediation="Add aws.kms.Alias for the key",
    applies_to=(keys.KEY, keys.REPLICA),
)
def key_has_alias(key: Resource, stack: Stack) -> Iterator[str]:
    """Operators find a key by its alias."""
    if not stack.naming(key, ALIAS, by="targetKeyId"):
        yield "has no alias"


@stack_rule(
    "hsm-in-two-zones",
    "Every HSM cluster has HSMs in two zones or more",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.14", "iso27001:A.8.24", "soc2:CC7.5", "soc2:CC9.1"),
    remediation="Add an HSM in another zone",
    applies_to=(CLUSTER,),
)
def hsm_in_two_zones(cluster: Resource, stack: Stack) -> Iterator[str]:
    """A key that one HSM alone holds is lost with it."""
    hsms = stack.naming(cluster, HSM, by="clusterId")
    zones = {str(h.props.get("availabilityZone") or h.props.get("subnetId")) for h in hsms}
    if len(zones) < FEWEST_ZONES:
        yield f"has HSMs in {len(zones)} zone{'' if len(zones) == 1 else 's'}"


@stack_rule(
    "server-open-as-its-party",
    "The internet reaches a server only where a flow from there ends at servers",
    severity=Severity.CRITICAL,
    controls=("iso27001:A.8.20", "iso27001:A.8.22", "soc2:CC6.6", "cis-aws:3.0/5.2", "cis-aws:3.0/5.3"),
    remediation="Take the rule out of the server's group: balancers have groups of their own",
    applies_to=(compute.INSTANCE,),
)
def server_open_as_its_party(server: Resource, stack: Stack) -> Iterator[str]:
    """A port that a balancer may open is not thereby open on the servers behind it."""
    wanted = [f for f in stack.plan.flows if f.source is Party.INTERNET and f.destination in SERVERS]
    templates = stack.named_by(server, "launchTemplate.id", compute.TEMPLATE)
    holders = (server, *templates)
    groups = [g for h in holders for g in stack.named_by(h, "vpcSecurityGroupIds", GROUP)]
    if not groups:
        message = f"the security groups of {server.name} are not in this stack or not known yet"
        raise NotEstablished(message)
    for group in groups:
        for rule in stack.naming(group, INGRESS, by="securityGroupId"):
            if faces_internet(rule) and not any(serves(rule, f) for f in wanted):
                yield f"its group {group.name} opens {described(rule)} to the internet"


@stack_rule(
    "servers-spread-over-zones",
    "The servers of a region do not all stand in one zone",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.14", "soc2:CC7.5", "soc2:CC9.1"),
    remediation="Place the servers in different zones in onedallmail:regions",
    applies_to=(compute.INSTANCE,),
)
def servers_spread(server: Resource, stack: Stack) -> Iterator[str]:
    """A region with one server, as a witness has, relies on the other regions."""
    region = stack.in_region(server.region, compute.INSTANCE)
    zones = {zone for s in region for zone in _zones(s, stack)}
    if len(region) > 1 and len(zones) == 1:
        yield f"all {len(region)} servers of {server.region} stand in {zones.pop()}"


def _zones(server: Resource, stack: Stack) -> Iterator[str]:
    subnets = stack.named_by(server, "subnetId", SUBNET)
    places = [server, *subnets]
    named = [str(zone) for place in places if (zone := place.props.known("availabilityZone"))]
    if not named:
        message = f"the zone of {server.name} is not known yet"
        raise NotEstablished(message)
    yield named[0]


@stack_rule(
    "server-recovers",
    "Every server has an alarm on its status",
    severity=Severity.MEDIUM,
    level=Level.ADVISORY,
    controls=("iso27001:A.8.16", "iso27001:A.8.14", "soc2:CC7.2", "soc2:CC7.5"),
    remediation="Add a metric alarm on StatusCheckFailed with the server's InstanceId",
    applies_to=(compute.INSTANCE,),
)
def server_recovers(server: Resource, stack: Stack) -> Iterator[str]:
    """EC2 moves a server with failed hardware when an alarm asks for it."""
    if not stack.naming(server, logging.ALARM, by="dimensions.InstanceId"):
        yield "nobody is told when its host fails"


@stack_rule(
    "server-in-backup",
    "Every server that holds mail or the directory is in a backup",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.13", "soc2:CC7.5", "soc2:CC9.1"),
    remediation="Select the server by ARN or tag in a backup plan of its region",
    applies_to=(compute.INSTANCE,),
)
def server_in_backup(server: Resource, stack: Stack) -> Iterator[str]:
    """Copies on other servers do not help against a deletion that all of them follow."""
    if server.props.get("tags.DataClass") not in BACKED_UP:
        return
    if not any(_selects(s, server) for s in stack.in_region(server.region, SELECTION)):
        yield f"no backup plan of {server.region} selects it"


WHOLE_KINDS = ("*", "arn:aws:ec2:*:*:instance/*", "arn:aws:ec2:*:*:volume/*")
"""Servers as a whole or their volumes, which carry the same tags."""


def _selects(selection: Resource, server: Resource) -> bool:
    tags: Mapping[str, object] = server.props.get("tags") or {}
    any_of = [(t.get("key"), t.get("value")) for t in selection.props.each("selectionTags")]
    all_of = [
        (str(c.get("key")).removeprefix("aws:ResourceTag/"), c.get("value"))
        for c in selection.props.each("conditions")
        for c in c.each("stringEquals")
    ]
    if server.urn and server.urn in selection.refers.get("resources", ()):
        return True
    arns = selection.props.texts("resources")
    by_name = any(fnmatchcase(i, pattern) for pattern in arns for i in server.identities)
    by_kind = any(pattern in WHOLE_KINDS for pattern in arns) or not arns
    by_tags = all(tags.get(str(key)) == value for key, value in all_of) and (
        any(tags.get(str(key)) == value for key, value in any_of) or not any_of
    )
    return by_name or (by_kind and by_tags and bool(any_of or all_of)) or (not (any_of or all_of) and "*" in arns)


@stack_rule(
    "balancer-has-web-firewall",
    "Every application balancer has a web firewall",
    severity=Severity.CRITICAL,
    controls=("iso27001:A.8.26", "iso27001:A.8.20", "soc2:CC6.6"),
    remediation="Add aws.wafv2.WebAclAssociation for the balancer",
    applies_to=BALANCER,
)
def balancer_has_web_firewall(balancer: Resource, stack: Stack) -> Iterator[str]:
    """Network balancers speak no HTTP."""
    if is_application(balancer) and not stack.naming(balancer, WEB_ACL_ASSOCIATION, by="resourceArn"):
        yield "stands in the internet without a web firewall"


@stack_rule(
    "web-firewall-has-log",
    "Every web firewall keeps a log",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.15", "iso27001:A.8.16", "soc2:CC7.2"),
    remediation="Add aws.wafv2.WebAclLoggingConfiguration",
    applies_to=(WEB_ACL,),
)
def web_firewall_has_log(acl: Resource, stack: Stack) -> Iterator[str]:
    """Blocked requests are the first sign of an attack."""
    if not stack.naming(acl, WEB_ACL_LOG, by="resourceArn"):
        yield "what it blocks is not kept"


@stack_rule(
    "vault-locked",
    "Every backup vault is locked",
    severity=Severity.CRITICAL,
    controls=("iso27001:A.8.13", "iso27001:A.5.33", "soc2:CC7.5", "soc2:CC9.1"),
    remediation="Add aws.backup.VaultLockConfiguration for the vault",
    applies_to=(backup.VAULT,),
)
def vault_locked(vault: Resource, stack: Stack) -> Iterator[str]:
    """Who takes over the account deletes backups first."""
    if not stack.naming(vault, backup.LOCK, by="backupVaultName"):
        yield "its recovery points can be deleted"


@stack_rule(
    "vault-has-policy",
    "Every backup vault refuses deletions by its own policy",
    severity=Severity.MEDIUM,
    level=Level.ADVISORY,
    controls=("iso27001:A.8.13", "iso27001:A.8.3", "soc2:CC6.1", "soc2:CC7.5"),
    remediation="Add aws.backup.VaultPolicy that denies backup:DeleteRecoveryPoint",
    applies_to=(backup.VAULT,),
)
def vault_has_policy(vault: Resource, stack: Stack) -> Iterator[str]:
    """It holds while the lock's grace time runs."""
    if not stack.naming(vault, VAULT_POLICY, by="backupVaultName"):
        yield "has no policy"


@stack_rule(
    "backup-selects",
    "Every backup plan selects something",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.13", "soc2:CC7.5"),
    remediation="Add aws.backup.Selection for the plan",
    applies_to=(backup.PLAN,),
)
def backup_selects(plan: Resource, stack: Stack) -> Iterator[str]:
    """A plan alone backs nothing up."""
    if not stack.naming(plan, SELECTION, by="planId"):
        yield "selects nothing"


@stack_rule(
    "backup-restore-tested",
    "Restores of backups are tested by themselves",
    severity=Severity.HIGH,
    level=Level.ADVISORY,
    controls=("iso27001:A.8.13", "iso27001:A.5.30", "soc2:CC7.5", "soc2:CC9.1"),
    remediation="Add aws.backup.RestoreTestingPlan with a selection in the plan's region",
    applies_to=(backup.PLAN,),
)
def backup_restore_tested(plan: Resource, stack: Stack) -> Iterator[str]:
    """A backup is what has been restored."""
    if not stack.in_region(plan.region, RESTORE_TESTING):
        yield f"no restore is ever tested in {plan.region}"


RULES: tuple[AnyRule, ...] = (
    server_open_as_its_party,
    key_has_policy,
    key_has_alias,
    hsm_in_two_zones,
    servers_spread,
    server_recovers,
    server_in_backup,
    balancer_has_web_firewall,
    web_firewall_has_log,
    vault_locked,
    vault_has_policy,
    backup_selects,
    backup_restore_tested,
)
