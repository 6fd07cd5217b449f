"""An `up` in a process of its own, so that a test can kill it: engine_process.py ROOT STATE PROVIDER CONFIG."""

import json
import sys
from pathlib import Path

from onedallmail.engine import run
from onedallmail.engine.workspace import Workspace

root, state, provider, config = sys.argv[1:]
workspace = Workspace(stack="test", root=Path(root), state_dir=Path(state), provider=(sys.executable, "-u", provider))
result = run.up("test", config=json.loads(config), workspace=workspace)
sys.stdout.writelines(f"{error}\n" for error in result.errors)
sys.exit(0 if result.ok else 1)
