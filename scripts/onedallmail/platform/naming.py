"""One rule for the names and tags of all cloud resources."""

from enum import StrEnum

from .stack import PROJECT


class DataClass(StrEnum):
    """What a resource's content is worth; decides keys, retention and who may read it."""

    MAIL = "mail"
    DIRECTORY = "directory"
    LOGS = "logs"
    BACKUP = "backup"
    EVIDENCE = "evidence"
    KEYS = "keys"
    NONE = "none"
    """Carries no customer data itself: networks, rules, roles."""


KEY_CLASSES = (DataClass.MAIL, DataClass.DIRECTORY, DataClass.LOGS, DataClass.BACKUP, DataClass.EVIDENCE)
"""Data classes with a KMS key of their own; secrets of a server are under the key of the data that they open."""

COPIES_CONTEXT = {"purpose": "mail-copies"}
"""Encryption context under which servers wrap the keys of copies of accepted mail: IAM lets them use no other."""


class ControlScope(StrEnum):
    """Which audits a resource is in scope of."""

    PLATFORM = "iso27001+soc2+gdpr"
    EVIDENCE = "iso27001+soc2"


def resource_name(stack: str, *parts: str) -> str:
    """Return `onedallmail-<stack>-<part>-...`, the name of a resource in the cloud."""
    return "-".join((PROJECT, stack, *parts))


def tags(
    *,
    stack: str,
    owner: str,
    name: str,
    data_class: DataClass = DataClass.NONE,
    scope: ControlScope = ControlScope.PLATFORM,
) -> dict[str, str]:
    """Return the tags that every resource which can carry tags carries."""
    return {
        "Name": name,
        "Project": PROJECT,
        "Stack": stack,
        "Owner": owner,
        "DataClass": data_class.value,
        "ControlScope": scope.value,
        "ManagedBy": "pulumi",
    }
