"""Entry point of the policy pack, as Pulumi starts it with this folder for its program."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from policy.analyzer import serve
from policy.waivers import load_waivers

serve(load_waivers())
