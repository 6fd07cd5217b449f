#!/usr/bin/env python3
"""Ansible inventory from a stack's outputs: `stack.py --list`.

The stack is named by ONEDALLMAIL_STACK (default: lab).
"""

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from onedallmail.inventory import inventory
from onedallmail.outputs import OutputsError
from onedallmail.platform.stack import StackError


def main() -> int:
    """Write the whole inventory; return the exit status."""
    if "--host" in sys.argv:
        sys.stdout.write("{}")
        return 0
    try:
        document = inventory(os.environ.get("ONEDALLMAIL_STACK", "lab"))
    except (OutputsError, StackError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    json.dump(document, sys.stdout, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
