"""What detection needs from the components that hold keys and logs: their interfaces, whoever implements them."""

from collections.abc import Sequence
from typing import Protocol

import pulumi

from onedallmail.platform.naming import DataClass


class KeySource(Protocol):
    """Customer managed KMS keys by data class and region."""

    def arn(self, data_class: DataClass, region: str) -> pulumi.Output[str]:
        """Return the ARN of the key for a class of data in a region."""


class LogArchive(Protocol):
    """A region's bucket for logs that AWS services deliver."""

    @property
    def bucket_name(self) -> pulumi.Output[str]:
        """The name of the bucket."""

    @property
    def bucket_arn(self) -> pulumi.Output[str]:
        """The ARN of the bucket."""

    @property
    def access_bucket_name(self) -> pulumi.Output[str]:
        """The name of the bucket for access logs of buckets."""

    @property
    def ready(self) -> Sequence[pulumi.Resource]:
        """What must exist before a service may deliver: the bucket's policy, its encryption."""
