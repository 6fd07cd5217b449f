"""Entry point of the policy pack, as Pulumi starts it with this folder for its program."""

import sys
from pathlib import Path

from pulumi_policy import PolicyPack

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from policy.pack import NAME, Pack
from policy.waivers import load_waivers

PolicyPack(name=NAME, policies=Pack(load_waivers()).policies())
