"""`tp-animate`: a portrait and a driving video become a video."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from talkingpose import console
from talkingpose.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from talkingpose.pipeline import TalkingPosePipeline

# Poses stretched by less than this look the same; beyond it shoulders and faces grow visibly wider.
_ASPECT_TOLERANCE = 0.03

app = console.application("Animate one portrait with the poses of a driving video (the reference model).")


class AnimateError(UserError):
    """A portrait, driving video or pose file that does not fit."""


@app.command()
def animate(
    reference: Annotated[Path, typer.Option(help="The portrait: a picture.")],
    driving: Annotated[Path, typer.Option(help="A video, or poses as .npz (keypoints [T, 133, 3], fps).")],
    out: Annotated[Path, typer.Option(help="The video to write, .mp4.")],
    checkpoint: Annotated[
        str, typer.Option(help="tiny (bundled), or a folder of weights, official or diffusers' layout.")
    ] = "tiny",
    gain: Annotated[float, typer.Option(help="Feedback gain; 0 makes frames independent.")] = 0.05,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Denoising steps per frame. [default: the checkpoint's]")
    ] = None,
    guidance: Annotated[
        float | None,
        typer.Option(help="Classifier-free guidance; 1 turns it off. [default: the checkpoint's]"),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the noise, drawn once for the video.")] = 42,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    max_frames: Annotated[int | None, typer.Option(min=1, help="Stop after so many frames.")] = None,
) -> None:
    """Portrait and driving video in, video at the driving rate out."""
    from talkingpose.inference import read_inference
    from talkingpose.loading import checkpoint_folder, load_pipeline, native_size
    from talkingpose.media import VideoWriter, read_image

    if out.suffix != ".mp4" or not out.parent.is_dir():
        raise AnimateError(f"out {out}: give a file name that ends in .mp4, in a folder that exists")
    portrait = read_image(reference)
    poses = PoseFile(driving) if driving.suffix == ".npz" else PoseVideo(driving)
    _check_aspect(portrait.shape[1] / portrait.shape[0], poses)
    inference = read_inference(checkpoint_folder(checkpoint))
    steps = inference.num_inference_steps if steps is None else steps
    guidance = inference.guidance_scale if guidance is None else guidance
    pipeline = load_pipeline(checkpoint, device)
    width, height = native_size(pipeline, poses.width, poses.height)
    console.note(
        f"tp-animate: {checkpoint} on {pipeline.device}, {width}x{height}, {steps} steps, "
        f"guidance {guidance:g}, gain {gain:g}, {float(poses.fps):g} frames/s"
    )
    total = poses.num_frames if max_frames is None else min(max_frames, poses.num_frames or max_frames)
    pictures = (inference.draw(keypoints, height, width) for keypoints in poses)
    frames = _generate(pipeline, portrait, itertools.islice(pictures, total), seed, steps, guidance, gain)
    with VideoWriter(out, fps=poses.fps) as writer, console.progress_bar() as bar:
        task = bar.add_task("frames", total=total, speed="")
        for frame in frames:
            writer.write(frame)
            bar.advance(task)
    print(out)


class PoseVideo:
    """Poses found by mediapipe in a video, one frame at a time."""

    def __init__(self, path: Path) -> None:
        from talkingpose.media import VideoReader

        self._reader = VideoReader(path)
        info = self._reader.info
        self.width, self.height, self.fps, self.num_frames = (
            info.width,
            info.height,
            info.fps,
            info.num_frames,
        )

    def __iter__(self) -> Iterator[np.ndarray]:
        from talkingpose.pose import HolisticEstimator

        with HolisticEstimator() as estimate:
            for frame in self._reader:
                yield estimate(frame.image)


class PoseFile:
    """Poses from a file: `keypoints` float [T, 133, 3], `fps`, and `width`, `height` of their frame."""

    def __init__(self, path: Path) -> None:
        import numpy as np

        from talkingpose.pose import validate

        try:
            with np.load(path, allow_pickle=False) as data:
                missing = {"keypoints", "fps", "width", "height"} - set(data.files)
                if missing:
                    raise AnimateError(f"poses {path}: no {', '.join(sorted(missing))}: add them to the file")
                self._keypoints = data["keypoints"].astype(np.float32)
                self.fps = Fraction(float(data["fps"])).limit_denominator(100_000)
                self.width, self.height = int(data["width"]), int(data["height"])
        except (OSError, ValueError) as error:
            if isinstance(error, AnimateError):
                raise
            raise AnimateError(f"poses {path}: cannot be read: give an .npz file or a video") from error
        validate(self._keypoints)
        self.num_frames: int | None = len(self._keypoints)

    def __iter__(self) -> Iterator[np.ndarray]:
        return iter(self._keypoints)


def _generate(
    pipeline: TalkingPosePipeline,
    portrait: np.ndarray,
    pictures: Iterator[np.ndarray],
    seed: int,
    steps: int,
    guidance: float,
    gain: float,
) -> Iterator[np.ndarray]:
    import torch

    # The noise is drawn on the CPU so that a seed gives the same video on every device.
    generator = torch.Generator().manual_seed(seed)
    return pipeline.stream(
        portrait,
        pictures,
        num_inference_steps=steps,
        guidance_scale=guidance,
        gain=gain,
        generator=generator,
    )


def _check_aspect(aspect: float, poses: PoseVideo | PoseFile) -> None:
    driving = poses.width / poses.height
    if abs(aspect / driving - 1) > _ASPECT_TOLERANCE:
        raise AnimateError(
            f"reference: {aspect:.2f} times as wide as high, the driving frames {driving:.2f}: "
            "crop the portrait to the same shape, the person as large and in the same place"
        )


def main() -> None:
    """Entry point of `tp-animate`."""
    console.run(app, "tp-animate")
