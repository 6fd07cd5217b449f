"""Lists the rules as Markdown: `python -m infra.policy.listing > docs/policies.md` keeps the page for auditors."""

import sys
from collections.abc import Iterator

from .model import AnyRule, StackRule
from .rules import ALL_RULES, BY_CONCERN

HEAD = """# Policies of the cloud

Written by `python -m infra.policy.listing`; a test tells when it is out of date. How rules are run, extended and
waived: [infra/policy/README.md](../infra/policy/README.md). `mandatory` stops a deployment, `advisory` is shown. A
rule marked with * looks at a resource and its company, once all resources of the stack are there.
"""


def markdown() -> str:
    """Return the page: a table of rules for each concern."""
    mandatory = sum(rule.level == "mandatory" for rule in ALL_RULES)
    count = f"\n{len(ALL_RULES)} rules, {mandatory} of them mandatory.\n"
    return HEAD + count + "".join(line for name, rules in BY_CONCERN.items() for line in _section(name, rules))


def _section(name: str, rules: tuple[AnyRule, ...]) -> Iterator[str]:
    yield f"\n## {name.replace('_', ' ').capitalize()}\n\n"
    yield "| rule | what holds | severity | level | controls |\n|---|---|---|---|---|\n"
    for rule in rules:
        mark = "*" if isinstance(rule, StackRule) else ""
        controls = ", ".join(c.removeprefix("iso27001:").removeprefix("soc2:") for c in rule.controls)
        shown = controls.replace("cis-aws:3.0/", "CIS ")
        yield f"| `{rule.id}`{mark} | {rule.title} | {rule.severity} | {rule.level} | {shown} |\n"


if __name__ == "__main__":
    sys.stdout.write(markdown())
