"""Pictures as the pipeline takes them: PIL images or arrays, checked and made arrays."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image

from talkingpose.io.errors import UserError

Picture = Image.Image | np.ndarray


class PipelineError(UserError):
    """Input the pipeline cannot use, or a result that is not a picture; the message is one line for the
    user."""


def as_array(picture: object, what: str, size: tuple[int, int] | None = None) -> np.ndarray:
    """Return a picture as uint8 (H, W, 3) RGB.

    Args:
        picture: a PIL image of any mode, or such an array.
        what: its name in a message.
        size: (height, width) that it has to have.

    Raises:
        PipelineError: it is something else, or of another size.
    """
    array = np.array(picture.convert("RGB")) if isinstance(picture, Image.Image) else picture
    if not isinstance(array, np.ndarray) or array.dtype != np.uint8 or array.shape[2:] != (3,):
        given = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
        raise PipelineError(f"{what}: {given}: give a PIL image or a uint8 array (H, W, 3)")
    if size is not None and array.shape[:2] != size:
        raise PipelineError(
            f"{what}: {array.shape[1]}x{array.shape[0]}: the first is {size[1]}x{size[0]}: "
            "give all pose pictures of a batch in one size"
        )
    return array


def to_device(arrays: list[np.ndarray], device: torch.device) -> torch.Tensor:
    """Stack uint8 arrays (H, W, 3) of one size to (n, H, W, 3) on a device, without waiting for the copy."""
    pixels = torch.from_numpy(np.stack(arrays))
    if device.type == "cuda":
        return pixels.pin_memory().to(device, non_blocking=True)
    return pixels.to(device)
