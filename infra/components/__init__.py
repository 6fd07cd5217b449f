"""ComponentResources of the platform, one concern a file."""
