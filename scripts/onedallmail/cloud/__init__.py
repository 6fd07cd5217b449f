"""The lab's implementation of the AWS provider: some types are made for real in an emulator, the rest are recorded."""

from typing import Literal

from .rules import rules_of

Realisation = Literal["emulated", "recorded"]


def realisation(type_token: str) -> Realisation:
    """Tell how the lab realises an AWS resource type such as aws:kms/key:Key.

    `emulated`: it exists behind the AWS API of the emulator. `recorded`: the stack has it with plausible
    outputs, and nothing stands behind it but what the lab builds from the record.
    """
    return "emulated" if rules_of(type_token).emulated else "recorded"
