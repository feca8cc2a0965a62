"""One film: from a portrait and a driving video to an mp4, with a report before time is spent."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from talkingpose.animate.batch_list import Job
from talkingpose.animate.driving_poses import (
    DrivingPoses,
    Keypoints,
    missing_parts,
    portrait_pose,
    read_driving,
    retargeted,
    same_pose,
)
from talkingpose.io import console
from talkingpose.io.errors import UserError
from talkingpose.model.checkpoint_folder import checkpoint_folder
from talkingpose.model.inference_settings import read_inference
from talkingpose.pipeline.device import pick_device
from talkingpose.pipeline.load import load_pipeline, native_size

if TYPE_CHECKING:
    from talkingpose.pipeline.device import Precision
    from talkingpose.pipeline.feedback import FeedbackController
    from talkingpose.pipeline.talkingpose_pipeline import TalkingPosePipeline

Picture = npt.NDArray[np.uint8]
Say = Callable[[str], None]

# Poses stretched by less than this look the same; beyond it shoulders and faces grow visibly wider.
_ASPECT_TOLERANCE = 0.03
# Where stderr is no terminal, progress is a line so often.
_NOTE_S = 30.0
# The preview gets a second row once the person has moved.
_PREVIEW_S = 2


class AnimatorError(UserError):
    """A portrait or driving video that does not fit, or a film that cannot be written."""


@dataclass(frozen=True)
class AnimateOptions:
    """What holds for every film of a command.

    Attributes:
        feedback: the controller of the loop.
        steps, guidance: None takes the checkpoint's own.
        retarget: whether poses get the portrait's proportions.
        audio: whether the film gets the sound of the driving video.
        seed: of the noise.
        parallel_frames: frames that are denoised at once.
        max_frames: None for all.
        max_missing: percent of the driving frames that may lack a part before that is reported.
        strict: what would be reported stops the film instead.
    """

    feedback: FeedbackController
    steps: int | None = None
    guidance: float | None = None
    retarget: Literal["auto", "on", "off"] = "auto"
    audio: bool = False
    seed: int = 42
    parallel_frames: int = 1
    max_frames: int | None = None
    max_missing: float = 20.0
    strict: bool = False


class Animator:
    """Makes films with one checkpoint, which is loaded when the first film needs it.

    Args:
        checkpoint: as `load_pipeline` takes it.
        options: of all films.
        device, precision, cpu_offload, compiled: as the command line has them; `None` decides by memory.
        say: takes each line for the user.

    Raises:
        LoadingError, InferenceError, PlacementError: checkpoint or device cannot be used.
    """

    def __init__(
        self,
        checkpoint: str,
        options: AnimateOptions,
        *,
        device: str = "auto",
        precision: Precision = "auto",
        cpu_offload: bool | None = None,
        compiled: bool = False,
        say: Say = console.note,
    ) -> None:
        from talkingpose.pipeline.device import check_compiled, check_offload

        self.options, self.say = options, say
        self._checkpoint = checkpoint
        self._inference = read_inference(checkpoint_folder(checkpoint))
        self._device = pick_device(device)
        self._precision, self._cpu_offload, self._compiled = precision, cpu_offload, compiled
        check_offload(self._device, cpu_offload)
        if compiled:
            check_compiled(cpu_offload)
        self._steps = options.steps or self._inference.num_inference_steps
        self._guidance = self._inference.guidance_scale if options.guidance is None else options.guidance
        self._pipeline: TalkingPosePipeline | None = None

    def check(self, film: Job) -> None:
        """Refuse a film that cannot be made, in a moment and before anything is written.

        Raises:
            FilmError, MediaError: a file cannot be read or written, or has no sound that was asked for.
        """
        from talkingpose.media import probe, read_image

        if film.out.suffix != ".mp4" or not film.out.parent.is_dir() or film.out.is_dir():
            raise AnimatorError(
                f"out {film.out}: give a file name that ends in .mp4, in a folder that exists"
            )
        if film.out.resolve() in (film.reference.resolve(), film.driving.resolve()):
            raise AnimatorError(f"out {film.out}: would replace its own source: give another name")
        read_image(film.reference)
        if film.driving.suffix == ".npz":
            if self.options.audio:
                raise AnimatorError(
                    f"driving {film.driving}: a file of poses has no sound: leave out --audio"
                )
            read_driving(film.driving)
        elif not probe(film.driving).has_audio and self.options.audio:
            raise AnimatorError(f"driving {film.driving}: has no sound: leave out --audio")

    def make(self, film: Job) -> None:
        """Make a film and, early on, its preview beside it, `OUT.preview.png`.

        Raises:
            FilmError, DrivingError, MediaError, PoseError, PipelineError: see there.
        """
        from talkingpose.media import read_image
        from talkingpose.media.prefetch import prefetch

        # 1. Poses of both, and what is missing in them, before the model is loaded.
        portrait = read_image(film.reference)
        driving = self._read_driving(film.driving)
        pose = portrait_pose(portrait)
        self._report(film, pose, driving)

        # 2. The poses in the frame of the film.
        height, width = portrait.shape[:2]
        driving, told = _fitted(driving, pose, width, height, self.options.retarget)

        # 3. The model, frame by frame.
        pipeline, (width, height) = self._load(driving.width, driving.height)
        told = f"{len(driving.keypoints)} frames, {width}x{height}, {float(driving.fps):g} frames/s, {told}"
        self.say(told)
        drawn = (self._inference.draw(keypoints, height, width) for keypoints in driving.keypoints)
        shown = _Preview(film.out.with_suffix(".preview.png"), portrait, driving.fps, self.say)
        with closing(prefetch(drawn)) as pictures:
            self._write(film, self._frames(pipeline, portrait, shown.poses(pictures)), driving, shown)

    def _read_driving(self, path: Path) -> DrivingPoses:
        from talkingpose.media import probe

        limit = self.options.max_frames
        total = None if path.suffix == ".npz" else probe(path).num_frames
        if limit is not None and total is not None:
            total = min(limit, total)
        with _progress("poses", total, self.say) as advance:
            return read_driving(path, max_frames=limit, advance=advance)

    def _report(self, film: Job, pose: Keypoints, driving: DrivingPoses) -> None:
        """Say which parts the portrait or too many driving frames lack; stop where that was asked for."""
        allowed = self.options.max_missing
        lines = [
            f"portrait {film.reference}: no {part} found"
            for part, share in missing_parts(pose).items()
            if share > 0
        ]
        lines += [
            f"driving {film.driving}: no {part} in {100 * share:.0f} % of {len(driving.keypoints)} frames"
            for part, share in missing_parts(driving.keypoints).items()
            if 100 * share > allowed
        ]
        if lines and self.options.strict:
            raise AnimatorError(f"{'; '.join(lines)}: give others, or leave out --strict")
        for line in lines:
            self.say(f"warning: {line}")

    def _load(self, width: int, height: int) -> tuple[TalkingPosePipeline, tuple[int, int]]:
        """The pipeline on its device, and the size (width, height) of a film for frames of this shape."""
        from talkingpose.pipeline.device import place, precision_of
        from talkingpose.pipeline.feedback import describe

        if self._pipeline is not None:
            return self._pipeline, native_size(self._pipeline, width, height)
        # Onto the CPU first: only then it is known whether it fits into the memory of the GPU.
        pipeline = load_pipeline(self._checkpoint, "cpu", precision_of(self._precision, self._device))
        size = native_size(pipeline, width, height)
        placement = place(
            pipeline,
            self._device,
            pixels=size[0] * size[1],
            cpu_offload=self._cpu_offload,
            compiled=self._compiled,
        )
        self.say(
            f"{self._checkpoint} on {placement}; {self._steps} steps, guidance {self._guidance:g}, "
            f"feedback {describe(self.options.feedback)}"
        )
        self._pipeline = pipeline
        return pipeline, size

    def _frames(
        self, pipeline: TalkingPosePipeline, portrait: Picture, pictures: Iterator[Picture]
    ) -> Iterator[Picture]:
        import torch

        return pipeline.stream(
            portrait,
            pictures,
            num_inference_steps=self._steps,
            guidance_scale=self._guidance,
            feedback=self.options.feedback,
            parallel_frames=self.options.parallel_frames,
            # Drawn on the CPU so that a seed gives the same video on every device.
            generator=torch.Generator().manual_seed(self.options.seed),
        )

    def _write(self, film: Job, frames: Iterator[Picture], driving: DrivingPoses, shown: _Preview) -> None:
        """Encode the frames as they come; the film has its name only when it is whole."""
        from talkingpose.media import VideoWriter
        from talkingpose.media.audio import add_audio
        from talkingpose.media.prefetch import write_behind

        total = len(driving.keypoints)
        silent = film.out.with_name(f".{film.out.stem}.silent.mp4") if self.options.audio else film.out
        try:
            # The model stays in this thread: CUDA graphs are bound to the one that they were made in.
            with (
                VideoWriter(silent, fps=driving.fps) as writer,
                write_behind(writer.write) as write,
                _progress("frames", total, self.say) as advance,
            ):
                for frame in frames:
                    shown.frame(frame)
                    write(frame)
                    advance()
            if self.options.audio:
                add_audio(silent, film.driving, film.out, length=total / driving.fps)
        except BaseException:
            shown.remove()
            raise
        finally:
            if silent != film.out:
                silent.unlink(missing_ok=True)


class _Preview:
    """A picture beside the film, soon after its start: portrait, pose and frame in a row."""

    def __init__(self, path: Path, portrait: Picture, fps: Fraction, say: Say) -> None:
        self._path, self._portrait, self._say = path, portrait, say
        self._wanted = {0, round(_PREVIEW_S * fps)}
        self._poses: dict[int, Picture] = {}
        self._rows: list[Picture] = []
        self._made = 0

    def poses(self, pictures: Iterator[Picture]) -> Iterator[Picture]:
        """Pass pose pictures on, and keep those of the rows."""
        for index, picture in enumerate(pictures):
            if index in self._wanted:
                self._poses[index] = picture
            yield picture

    def frame(self, frame: Picture) -> None:
        """Take the next frame of the film."""
        index, self._made = self._made, self._made + 1
        if index in self._wanted:
            self._add(self._poses.pop(index), frame)

    def remove(self) -> None:
        """Take the picture away again."""
        if self._rows:
            self._path.unlink(missing_ok=True)

    def _add(self, pose: Picture, frame: Picture) -> None:
        from PIL import Image

        from talkingpose.media import resize_image

        portrait = resize_image(self._portrait, (frame.shape[1], frame.shape[0]))
        self._rows.append(np.concatenate([portrait, pose, frame], axis=1))
        draft = self._path.with_name(f".{self._path.name}.part")
        Image.fromarray(np.concatenate(self._rows)).save(draft, format="PNG")
        draft.replace(self._path)
        if len(self._rows) == 1:
            self._say(f"preview: {self._path}")


def _fitted(
    driving: DrivingPoses, pose: Keypoints, width: int, height: int, retarget: Literal["auto", "on", "off"]
) -> tuple[DrivingPoses, str]:
    """The poses in the frame of the film, and a word on how they got there.

    Args:
        driving: as read.
        pose: of the portrait, (133, 3).
        width, height: of the portrait.
        retarget: as asked for.

    Raises:
        FilmError: the portrait has another shape than the driving frames, and nobody is found in it.
    """
    aspect = width / height
    alike = abs(aspect / driving.aspect - 1) <= _ASPECT_TOLERANCE
    found = bool((pose[..., 2] > 0).any())
    if retarget == "on" and not found:
        raise AnimatorError("--retarget on: nobody is found in the portrait: give another, or --retarget off")
    own = alike and same_pose(pose, driving.keypoints[0])
    if retarget == "on" or (retarget == "auto" and found and not own):
        return retargeted(driving, pose, width, height), "poses in the portrait's proportions"
    if not alike:
        raise AnimatorError(
            f"reference: {aspect:.2f} times as wide as high, the driving frames {driving.aspect:.2f}, and "
            "poses are not retargeted: crop the portrait to the same shape, the person as large and in the "
            "same place"
        )
    return driving, "the portrait is the first driving frame" if own else "poses as they are"


@contextmanager
def _progress(what: str, total: int | None, say: Say) -> Iterator[Callable[[], None]]:
    """Count with frames per second and time left: a bar in a terminal, else a line now and then."""
    # Rates count from the first item on: before it come loading and compiling.
    started = noted = first = time.monotonic()
    done = 0
    with console.progress_bar() as bar:
        task = bar.add_task(what, total=total, speed="")

        def advance() -> None:
            nonlocal done, noted, first
            done += 1
            now = time.monotonic()
            first = now if done == 1 else first
            rate = (done - 1) / max(now - first, 1e-9)
            bar.update(task, advance=1, speed=f"{rate:.2f} frames/s" if done > 1 else "")
            if bar.disable and now - noted >= _NOTE_S:
                noted = now
                of = "" if total is None else f" of {total}"
                if done == 1:
                    return say(f"{what}: 1{of}, after {_duration(now - started)}")
                left = "" if total is None else f", {_duration((total - done) / rate)} left"
                say(f"{what}: {done}{of}{left}, {rate:.2f} frames/s")
            return None

        yield advance


def _duration(seconds: float) -> str:
    minutes, rest = divmod(max(0, round(seconds)), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
