"""Service control policies as documents: what nobody in a member account may do, whatever their own policies say.

Pure: regions in, JSON out. AWS limits: 5,120 characters a policy, five policies a target, FullAWSAccess among them.
"""

from collections.abc import Sequence

from components.guardrail import BREAK_GLASS, RESPONDER, Guardrail, GuardrailError, deny
from components.limit_regions import limit_regions
from components.protect_detection import protect_detection
from components.protect_evidence import protect_evidence
from components.require_encryption import require_encryption

MAX_ATTACHED = 4
"""Policies of our own at one target: five are allowed, and AWS attaches FullAWSAccess as the first."""


def quarantine() -> Guardrail:
    """Return the policy that stops an account: only those who investigate it may act in it."""
    return Guardrail(
        "quarantine",
        "An account under investigation: nothing but the responders' own work",
        (deny("Stop", ["*"], but=[BREAK_GLASS, RESPONDER]),),
    )


def guardrails(regions: Sequence[str]) -> tuple[Guardrail, ...]:
    """Return the policies for the organisation's root.

    Raises:
        GuardrailError: more than can be attached to one target.
    """
    found = (protect_detection(), protect_evidence(), limit_regions(regions), require_encryption())
    if len(found) > MAX_ATTACHED:
        msg = f"{len(found)} policies for the root: AWS Organizations attaches {MAX_ATTACHED} besides FullAWSAccess"
        raise GuardrailError(msg)
    return found
