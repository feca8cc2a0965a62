"""Pictures as the pipeline takes them: PIL images or arrays, checked and converted to arrays."""

from __future__ import annotations

import numpy as np
import PIL.Image
import torch

from talkingpose.io.errors import UserError
from talkingpose.io.image import Image

Picture = PIL.Image.Image | Image


class PipelineError(UserError):
    """Input that the pipeline cannot use, or a result that is no picture."""


def as_array(picture: object, name: str, size: tuple[int, ...] | None = None) -> Image:
    """Return a picture as uint8 (H, W, 3) RGB.

    Args:
        picture: a PIL image of any mode, or such an array.
        name: of the picture in a message.
        size: required (height, width).

    Raises:
        PipelineError: it is something else, or of another size.
    """
    array = np.array(picture.convert("RGB")) if isinstance(picture, PIL.Image.Image) else picture
    if not isinstance(array, np.ndarray) or array.dtype != np.uint8 or array.shape[2:] != (3,):
        given = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
        raise PipelineError(f"{name}: {given}: give a PIL image or a uint8 array (H, W, 3)")
    if size is not None and array.shape[:2] != size:
        raise PipelineError(
            f"{name}: {array.shape[1]}x{array.shape[0]}: the first is {size[1]}x{size[0]}: "
            "give all pose pictures of a batch in one size"
        )
    return array


def to_device(arrays: list[Image], device: torch.device) -> torch.Tensor:
    """Stack uint8 arrays (H, W, 3) of one size to (n, H, W, 3) on a device, without waiting for the copy."""
    pixels = torch.from_numpy(np.stack(arrays))
    if device.type == "cuda":
        return pixels.pin_memory().to(device, non_blocking=True)
    return pixels.to(device)
