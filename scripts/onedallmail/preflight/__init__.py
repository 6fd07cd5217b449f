"""Checks before mail is let out: what the outside world grants the platform, seen from its own servers."""
