"""Evidence for every test run: controls named by a marker, records kept with --evidence."""

from hypothesis import settings

pytest_plugins = ("onedallmail.evidence.pytest_plugin", "pytester")

settings.register_profile("project", deadline=None, max_examples=40)
settings.load_profile("project")
