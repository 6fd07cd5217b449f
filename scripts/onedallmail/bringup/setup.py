"""Phase image: the servers' image; packages and the virtual environment were set up by scripts/setup.sh."""

from pathlib import Path

from onedallmail.lab.image import ensure_image

from .phases import Step


def prepare_image(step: Step, log: Path) -> str:
    """Build the image, or take it from the cache."""
    image = ensure_image(step, log)
    return str(image.name)
