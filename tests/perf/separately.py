"""Baseline: the metrics of tp-long@1 one after another, each decoding both videos, as in a script.

Every function takes two videos and keypoints, and returns metric id -> value, so that the comparison can
check the values. It calls a library wherever one has the metric.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmark.features.regions import regions

Image = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Values = dict[str, float]

DELTAS = (1, 2, 4, 8, 16, 32, 64)


def frames(path: Path) -> Iterator[Image]:
    """Yield all frames as PyAV decodes them, with its own choice of threads."""
    import av

    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "AUTO"
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="rgb24")


def pairs(real: Path, generated: Path) -> Iterator[tuple[Image, Image]]:
    """Yield the frames of both videos in pairs."""
    return zip(frames(real), frames(generated), strict=True)


def psnr(real: Path, generated: Path, keypoints: Floats) -> Values:
    """torchmetrics, frame by frame."""
    from torchmetrics.functional.image import peak_signal_noise_ratio

    found = [
        float(peak_signal_noise_ratio(tensor(g), tensor(r), data_range=255.0))
        for r, g in pairs(real, generated)
    ]
    return {"psnr": float(np.mean(found))}


def psnr_pooled(real: Path, generated: Path, keypoints: Floats) -> Values:
    """torchmetrics, one object over all frames."""
    from torchmetrics.image import PeakSignalNoiseRatio

    metric = PeakSignalNoiseRatio(data_range=255.0)
    for r, g in pairs(real, generated):
        metric.update(tensor(g), tensor(r))
    return {"psnr_pooled": float(metric.compute())}


def ssim(real: Path, generated: Path, keypoints: Floats) -> Values:
    """scikit-image, the faster of two libraries: torchmetrics takes twice its time."""
    from skimage.metrics import structural_similarity

    found = [
        structural_similarity(
            r, g, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
        for r, g in pairs(real, generated)
    ]
    return {"ssim": float(np.mean(found))}


def l1(real: Path, generated: Path, keypoints: Floats) -> Values:
    """torchmetrics, frame by frame."""
    from torchmetrics.functional import mean_absolute_error

    found = [float(mean_absolute_error(tensor(g), tensor(r))) for r, g in pairs(real, generated)]
    return {"l1": float(np.mean(found))}


def region(name: str) -> Callable[[Path, Path, Floats], Values]:
    """PSNR of one region by NumPy; no library has the masks, which are those of the project."""

    def compute(real: Path, generated: Path, keypoints: Floats) -> Values:
        found = []
        for points, (r, g) in zip(keypoints, pairs(real, generated), strict=True):
            inside, mask = mask_of(name, points, r)
            difference = g[inside][mask].astype(np.float64) - r[inside][mask]
            found.append(10 * np.log10(255**2 / np.mean(difference**2)))
        return {f"psnr.{name}": float(np.mean(found))}

    return compute


def region_l1(name: str) -> Callable[[Path, Path, Floats], Values]:
    """L1 of one region by NumPy."""

    def compute(real: Path, generated: Path, keypoints: Floats) -> Values:
        found = []
        for points, (r, g) in zip(keypoints, pairs(real, generated), strict=True):
            inside, mask = mask_of(name, points, r)
            found.append(np.abs(g[inside][mask].astype(np.float32) - r[inside][mask]).mean())
        return {f"l1.{name}": float(np.mean(found))}

    return compute


def tje(delta: int) -> Callable[[Path, Path, Floats], Values]:
    """TJE at one distance by NumPy, over two rings of `delta` frames."""

    def compute(real: Path, generated: Path, keypoints: Floats) -> Values:
        found = [
            np.abs(np.abs(r - r0) - np.abs(g - g0)).mean() for r0, g0, r, g in apart(real, generated, delta)
        ]
        return {f"tje@{delta}": float(np.mean(found))}

    return compute


def tje_skill(delta: int) -> Callable[[Path, Path, Floats], Values]:
    """Skill of TJE by NumPy."""

    def compute(real: Path, generated: Path, keypoints: Floats) -> Values:
        error = motion = 0.0
        for r0, g0, r, g in apart(real, generated, delta):
            change = np.abs(r - r0)
            error += float(np.abs(change - np.abs(g - g0)).mean())
            motion += float(change.mean())
        return {f"tje_skill@{delta}": 1 - error / motion}

    return compute


def motion_ratio(real: Path, generated: Path, keypoints: Floats) -> Values:
    """Ratio of the changes of both videos by NumPy."""
    sums = np.zeros(2)
    for r0, g0, r, g in apart(real, generated, 1):
        sums += np.abs(r - r0).mean(), np.abs(g - g0).mean()
    return {"motion_ratio": float(sums[1] / sums[0])}


def flicker(real: Path, generated: Path, keypoints: Floats) -> Values:
    """Change at still pixels by NumPy and OpenCV."""
    import cv2

    found = []
    for r0, g0, r, g in apart(real, generated, 1):
        quiet = (np.abs(r - r0) <= 4).all(axis=2).astype(np.uint8)
        still = cv2.erode(quiet, np.ones((5, 5), np.uint8)).astype(bool)
        if still.mean() >= 0.01:
            found.append(np.abs(g - g0)[still].mean())
    return {"flicker": float(np.mean(found))}


def warp_error(real: Path, generated: Path, keypoints: Floats) -> Values:
    """OpenCV's DIS flow forward and backward, its remap, and NumPy."""
    import cv2

    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    found = []
    last: tuple[Image, Image] | None = None
    for r, g in pairs(real, generated):
        if last is not None:
            now, before = cv2.cvtColor(r, cv2.COLOR_RGB2GRAY), cv2.cvtColor(last[0], cv2.COLOR_RGB2GRAY)
            there, back = dis.calc(now, before, None), dis.calc(before, now, None)
            height, width = now.shape
            x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
            at_x, at_y = x + there[..., 0], y + there[..., 1]
            returned = cv2.remap(back, at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            missed = ((there + returned) ** 2).sum(axis=2)
            allowed = 0.01 * ((there**2).sum(axis=2) + (returned**2).sum(axis=2)) + 0.5
            inside = (at_x >= 0) & (at_x <= width - 1) & (at_y >= 0) & (at_y <= height - 1)
            warped = cv2.remap(last[1], at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            difference = (g.astype(np.float32) - warped)[(missed <= allowed) & inside]
            found.append(1000 * np.mean(difference**2) / 255**2)
        last = (r, g)
    return {"warp_error": float(np.mean(found))}


def colour(moment: str) -> Callable[[Path, Path, Floats], Values]:
    """Mean or standard deviation of the channels by NumPy."""

    def compute(real: Path, generated: Path, keypoints: Floats) -> Values:
        found = []
        for r, g in pairs(real, generated):
            ours, theirs = (getattr(np, moment)(image, axis=(0, 1)) for image in (g, r))
            found.append(np.abs(ours - theirs).mean())
        return {f"colour.{moment}": float(np.mean(found))}

    return compute


def sharpness(real: Path, generated: Path, keypoints: Floats) -> Values:
    """Variance of OpenCV's Laplacian."""
    import cv2

    def variance(image: Image) -> float:
        return float(cv2.Laplacian(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.CV_64F).var())

    found = [np.log2((variance(g) + 1) / (variance(r) + 1)) for r, g in pairs(real, generated)]
    return {"sharpness": float(np.mean(found))}


# Row of the table -> its metrics.
GROUPS: Mapping[str, list[Callable[[Path, Path, Floats], Values]]] = {
    "psnr": [psnr],
    "psnr_pooled": [psnr_pooled],
    "ssim": [ssim],
    "l1": [l1],
    "psnr.*": [region(name) for name in ("face", "hands", "background")],
    "l1.*": [region_l1(name) for name in ("face", "hands", "background")],
    "tje@D": [tje(delta) for delta in DELTAS],
    "tje_skill@D": [tje_skill(delta) for delta in DELTAS],
    "motion_ratio": [motion_ratio],
    "flicker": [flicker],
    "warp_error": [warp_error],
    "colour.*": [colour("mean"), colour("std")],
    "sharpness": [sharpness],
}


def tensor(image: Image) -> object:
    """Return float32 (1, 3, H, W), the input of torchmetrics."""
    import torch

    return torch.from_numpy(image).permute(2, 0, 1)[None].float().contiguous()


def apart(real: Path, generated: Path, delta: int) -> Iterator[tuple[npt.NDArray[np.int16], ...]]:
    """Yield real and generated frames `delta` apart, the earlier ones first, as int16."""
    ring: list[tuple[npt.NDArray[np.int16], npt.NDArray[np.int16]]] = []
    for r, g in pairs(real, generated):
        now = r.astype(np.int16), g.astype(np.int16)
        if len(ring) == delta:
            before = ring.pop(0)
            yield (*before, *now)
        ring.append(now)


def mask_of(name: str, points: Floats, image: Image) -> tuple[tuple[slice, slice], npt.NDArray[np.bool_]]:
    """Return bounding box and mask of a region that the frame has."""
    area = regions(points, *image.shape[:2])[name]  # type: ignore[index]
    return (area.rows, area.columns), np.asarray(area.mask, bool)
