"""Type of images: uint8 arrays."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

# RGB, shape (H, W, 3), values 0 to 255.
Image = npt.NDArray[np.uint8]
