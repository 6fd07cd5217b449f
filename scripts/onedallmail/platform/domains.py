"""A mail domain as a stack file may name it."""

import re
from typing import Annotated

from pydantic import AfterValidator

MAX_NAME_LENGTH = 253
MIN_LABELS = 2

_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")


def checked_domain(value: str) -> str:
    """Return a lower-case DNS name of at least two labels (RFC 1035, section 2.3.1; IDNA in A-label form).

    Raises:
        ValueError: it is none; the text has the way out.
    """
    name = value.lower().rstrip(".")
    labels = name.split(".")
    if len(name) > MAX_NAME_LENGTH or len(labels) < MIN_LABELS or not all(_LABEL.fullmatch(label) for label in labels):
        msg = f"'{value}' is no mail domain: write a name of two or more labels such as 'example.com'"
        raise ValueError(msg)
    if labels[-1].isdigit():
        msg = f"'{value}' ends in digits, so it is an address and no domain: write the domain's name"
        raise ValueError(msg)
    return name


Domain = Annotated[str, AfterValidator(checked_domain)]
