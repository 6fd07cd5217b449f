"""Runs the Pulumi program where no `pulumi` command is at hand: Pulumi's protocol and state, the lab's provider only.

`onedallmail.engine.run` is the way in; ADR and limits are in its docstring.
"""
