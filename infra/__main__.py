"""The Pulumi program: a stack file's kind decides which of the stacks it is."""

import importlib

from onedallmail.platform.accounts import StackKind

from components.context import stack_config

STACKS = {kind: f"stacks.{kind.value}" for kind in StackKind}

config = stack_config()
importlib.import_module(STACKS[StackKind(config.kind)]).deploy(config)
