"""The main job: from a stack file to a verified platform with evidence, phase by phase."""

from .job import down, up

__all__ = ["down", "up"]
