"""I3D features of windows of 16 frames, for FVD."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmark.features.contract import Arrays, CaseShape, FeatureError, FeatureSpec, FrameWindow
from talkingpose.io.image import Image
from talkingpose.weights import find

DIMENSIONS = 400
SIDE = 224
FRAMES = 16


class I3d:
    """Logits of real and generated windows at the same times."""

    spec = FeatureSpec(
        id="i3d",
        version=1,
        definition=(
            "400 logits of I3D (i3d_torchscript.pt, rescale=False, resize=False, return_features=True) of "
            "windows of 16 frames, stride 16, at the clip's own rate; remaining frames at the end are not "
            "used. Each frame is scaled to a shorter side of 224 pixels by bilinear interpolation "
            "(align_corners False, no antialiasing), cropped to the centre 224x224, and mapped to v / 127.5 "
            "- 1. Windows are processed one by one, float32, on the CPU."
        ),
        weights=("i3d",),
    )

    def __init__(self) -> None:
        import torch

        path = find("i3d", needed_by="fvd")
        try:
            with warnings.catch_warnings():
                # torch deprecates this format; the file exists in no other.
                warnings.simplefilter("ignore", FutureWarning)
                load: Any = torch.jit.load
                self._network: Any = load(str(path), map_location="cpu").eval()
            # A wrong network fails here, not in the middle of a clip.
            shape = self.of([torch.zeros(3, SIDE, SIDE)] * FRAMES).shape
        except (RuntimeError, ValueError, TypeError) as error:
            raise FeatureError(
                f"i3d: {path.name} is not I3D as TorchScript: tp-eval weights fetch i3d"
            ) from error
        if shape != (DIMENSIONS,):
            raise FeatureError(f"i3d: {path.name} gives {shape} values, not {DIMENSIONS}")

    def start(self, case: CaseShape) -> I3dClip:
        """Begin a clip."""
        return I3dClip(self)

    def of(self, frames: list[Any]) -> npt.NDArray[np.float32]:
        """Return the logits of 16 prepared frames, float32 (400,)."""
        import torch
        from torch.jit._fuser import optimized_execution

        video = torch.stack(frames, dim=1)[None]
        # The optimiser changes the last bits between the first and the third window of a process.
        with torch.inference_mode(), optimized_execution(False):
            logits = self._network(video, rescale=False, resize=False, return_features=True)
        return np.asarray(logits.reshape(-1).numpy(), np.float32)


class I3dClip:
    """Features of one clip so far, 3.2 KB per pair of windows, and the frames of the open windows."""

    def __init__(self, network: I3d) -> None:
        self._network = network
        self._open: tuple[list[Any], list[Any]] = ([], [])
        self._done: tuple[list[npt.NDArray[np.float32]], list[npt.NDArray[np.float32]]] = ([], [])

    def update(self, window: FrameWindow) -> None:
        """Add the newest pair."""
        for image, frames, done in zip(
            (window.real(), window.generated()), self._open, self._done, strict=True
        ):
            frames.append(prepared(image))
            if len(frames) == FRAMES:
                done.append(self._network.of(frames))
                frames.clear()

    def finish(self) -> Arrays:
        """Return `real` and `generated`, float32 (windows, 400)."""
        real, generated = (np.array(rows, np.float32).reshape(len(rows), DIMENSIONS) for rows in self._done)
        return {"real": real, "generated": generated}


def prepared(image: Image) -> Any:
    """Return a picture, uint8 RGB (H, W, 3), as input of I3D: a float32 tensor (3, 224, 224) in [-1, 1]."""
    import torch
    from torch.nn.functional import interpolate

    planes = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None].float()
    # Rounded up, and exactly 224 for the shorter side.
    height, width = (-(-side * SIDE // min(image.shape[:2])) for side in image.shape[:2])
    scaled = interpolate(planes, size=(height, width), mode="bilinear", align_corners=False)[0]
    top, left = (height - SIDE) // 2, (width - SIDE) // 2
    return scaled[:, top : top + SIDE, left : left + SIDE] / 127.5 - 1
