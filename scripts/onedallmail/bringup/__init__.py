"""The main job: from a stack file to a verified platform with evidence, phase by phase (see `job`)."""
