"""Phase image: the servers' image; packages and the virtual environment were set up by scripts/setup.sh."""

from onedallmail.lab.image import ensure_image
from onedallmail.lab.lab import image_in_use

from .phases import Step


def prepare_image(stack: str, step: Step) -> str:
    """Build the image, take it from the cache, or stay with the one that the lab's servers run on."""
    return ensure_image(step, image_in_use(stack)).name
