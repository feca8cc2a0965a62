"""Animator: makes a video from a portrait and driving poses, with its checks before time is spent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from talkingpose.animate.batch_list import AnimateJob
from talkingpose.animate.driving_poses import (
    DrivingPoses,
    Keypoints,
    missing_parts,
    portrait_pose,
    read_driving,
    retargeted,
    same_pose,
)
from talkingpose.animate.model_choice import AUTO, WARP, choose_model
from talkingpose.animate.preview import Preview
from talkingpose.animate.puppet_frames import film_size, puppet_frames
from talkingpose.io.errors import UserError
from talkingpose.io.image import Image
from talkingpose.io.progress import SILENT, Progress
from talkingpose.model.checkpoint_folder import checkpoint_folder
from talkingpose.model.inference_settings import InferenceSettings, read_inference
from talkingpose.pipeline.device import pick_device
from talkingpose.pipeline.load import load_pipeline, native_size

if TYPE_CHECKING:
    from talkingpose.pipeline.device import Precision
    from talkingpose.pipeline.feedback import FeedbackController
    from talkingpose.pipeline.talkingpose_pipeline import TalkingPosePipeline

Retarget = Literal["auto", "on", "off"]

# A stretch below this is invisible; above it shoulders and faces become visibly wider.
_ASPECT_TOLERANCE = 0.03


class AnimatorError(UserError):
    """A portrait or driving video that does not fit, or a video that cannot be written."""


@dataclass(frozen=True)
class AnimateOptions:
    """Options of all videos of a command.

    Attributes:
        feedback: controller of the loop; None for that of the paper.
        steps, guidance: None takes the defaults of the checkpoint.
        retarget: adapt the poses to the proportions of the portrait; `auto` does unless the portrait is the
            first driving frame.
        audio: keep the audio of the driving video.
        seed: of the noise.
        parallel_frames: frames that are denoised at once.
        max_frames: None for all.
        max_missing: percentage of the driving frames that may lack a part without a warning.
        strict: raise an error instead of a warning.
    """

    feedback: FeedbackController | None = None
    steps: int | None = None
    guidance: float | None = None
    retarget: Retarget = "auto"
    audio: bool = False
    seed: int = 42
    parallel_frames: int = 1
    max_frames: int | None = None
    max_missing: float = 20.0
    strict: bool = False


class Animator:
    """Maker of videos. The weights of a model are loaded for its first video.

    Args:
        model: `auto`, `warp`, or a checkpoint as for `load_pipeline`; see `choose_model`.
        options: of all videos.
        device, precision, cpu_offload, compiled: as in the command line; `None` decides by memory.
        overwrite: replace videos that exist; otherwise `check` refuses them.
        progress: of the poses and frames, and messages.

    Raises:
        CheckpointError, InferenceSettingsError, DeviceError: checkpoint or device cannot be used.
    """

    def __init__(
        self,
        model: str,
        options: AnimateOptions,
        *,
        device: str = "auto",
        precision: Precision = "auto",
        cpu_offload: bool | None = None,
        compiled: bool = False,
        overwrite: bool = True,
        progress: Progress = SILENT,
    ) -> None:
        self.options, self.progress = options, progress
        self._model, self._device = model, device
        self._precision, self._cpu_offload, self._compiled = precision, cpu_offload, compiled
        self._pipelines: dict[str, TalkingPosePipeline] = {}
        self._overwrite = overwrite
        self._device_checked = False
        if model == WARP:
            _refuse_settings(options)
        elif model != AUTO:
            read_inference(checkpoint_folder(model))
        # `auto` may end with `warp`, which needs no torch.
        if model not in (AUTO, WARP) or device != "auto" or cpu_offload is not None or compiled:
            self._check_device()

    def check(self, job: AnimateJob) -> None:
        """Refuse a job that cannot be done, within a moment and before anything is written.

        Raises:
            AnimatorError, DrivingPosesError, MediaError: a file cannot be read or written, or has no audio
                although it was requested.
        """
        from talkingpose.media import probe, read_image

        if job.out.suffix != ".mp4" or not job.out.parent.is_dir() or job.out.is_dir():
            raise AnimatorError(f"out {job.out}: give a file name that ends in .mp4, in a folder that exists")
        if job.out.exists() and not self._overwrite:
            raise AnimatorError(f"out {job.out}: exists: give another name, or --overwrite")
        if job.out.resolve() in (job.reference.resolve(), job.driving.resolve()):
            raise AnimatorError(f"out {job.out}: is an input of this job: give another name")
        read_image(job.reference)
        if job.driving.suffix == ".npz":
            if self.options.audio:
                raise AnimatorError(f"driving {job.driving}: poses have no audio: leave out --audio")
            read_driving(job.driving)
        elif not probe(job.driving).has_audio and self.options.audio:
            raise AnimatorError(f"driving {job.driving}: has no audio: leave out --audio")

    def make(self, job: AnimateJob) -> None:
        """Make a video and, early, its preview `OUT.preview.png`.

        Raises:
            AnimatorError, DrivingPosesError, MediaError, PoseError, PipelineError: see there.
        """
        from talkingpose.media import read_image
        from talkingpose.media.prefetch import prefetch

        # 1. Poses of both, and their missing parts, before the model is loaded.
        portrait = read_image(job.reference)
        driving = read_driving(job.driving, max_frames=self.options.max_frames, progress=self.progress)
        pose = portrait_pose(portrait)
        self._report_missing(job, pose, driving)

        # 2. The poses in the frame of the video.
        height, width = portrait.shape[:2]
        driving, how, own = _fit(driving, pose, width, height, self.options.retarget)

        # 3. The model, frame by frame.
        model, line = choose_model(self._model, portrait)
        if line:
            self.progress.message(line)
        if model == WARP:
            size = film_size(portrait)
            inference = InferenceSettings()
            frames = puppet_frames(portrait, driving.keypoints[0] if own else pose, driving, size)
        else:
            inference = read_inference(checkpoint_folder(model))
            pipeline, size = self._load(model, inference, driving.width, driving.height)
        width, height = size
        rate = f"{float(driving.fps):g} frames/s"
        self.progress.message(f"{len(driving.keypoints)} frames, {width}x{height}, {rate}, {how}")

        def draw(index: int) -> Image:
            return inference.draw(driving.keypoints[index], height, width)

        preview = Preview(job.out.with_suffix(".preview.png"), portrait, driving.fps, self.progress, draw)
        if model == WARP:
            self._write(job, frames, driving, preview)
            return
        with closing(prefetch(map(draw, range(len(driving.keypoints))))) as pictures:
            frames = self._frames(pipeline, inference, portrait, pictures)
            self._write(job, frames, driving, preview)

    def make_all(self, jobs: Sequence[AnimateJob]) -> Iterator[AnimateJob]:
        """Make the videos of a list and yield each finished job; a failed one is reported and skipped."""
        for number, job in enumerate(jobs, start=1):
            self.progress.message(f"video {number} of {len(jobs)}: {job.out}")
            try:
                self.make(job)
            except UserError as error:
                self.progress.message(f"failed: {' '.join(str(error).split())}")
                continue
            yield job

    def _report_missing(self, job: AnimateJob, pose: Keypoints, driving: DrivingPoses) -> None:
        """Warn of parts that the portrait or too many driving frames lack; raise with `strict`."""
        allowed = self.options.max_missing
        lines = [
            f"portrait {job.reference}: no {part} found"
            for part, share in missing_parts(pose).items()
            if share > 0
        ]
        lines += [
            f"driving {job.driving}: no {part} in {100 * share:.0f} % of {len(driving.keypoints)} frames"
            for part, share in missing_parts(driving.keypoints).items()
            if 100 * share > allowed
        ]
        if lines and self.options.strict:
            raise AnimatorError(f"{'; '.join(lines)}: give others, or leave out --strict")
        for line in lines:
            self.progress.message(f"warning: {line}")

    def _check_device(self) -> None:
        """Resolve the device once, and check the options that depend on it."""
        from talkingpose.pipeline.device import check_compiled, check_offload

        if self._device_checked:
            return
        self._device_checked = True
        self._device = pick_device(self._device)
        check_offload(self._device, self._cpu_offload)
        if self._compiled:
            check_compiled(self._cpu_offload)

    def _load(
        self, model: str, inference: InferenceSettings, width: int, height: int
    ) -> tuple[TalkingPosePipeline, tuple[int, int]]:
        """Return the pipeline on its device, and the size (width, height) of a video for this shape."""
        from talkingpose.pipeline.device import place, precision_of
        from talkingpose.pipeline.feedback import describe

        if model in self._pipelines:
            return self._pipelines[model], native_size(self._pipelines[model], width, height)
        self._check_device()
        # Onto the CPU first: only then it is known if it fits into the memory of the GPU.
        pipeline = load_pipeline(model, "cpu", precision_of(self._precision, self._device))
        size = native_size(pipeline, width, height)
        placement = place(
            pipeline,
            self._device,
            pixels=size[0] * size[1],
            cpu_offload=self._cpu_offload,
            compiled=self._compiled,
        )
        self._pipelines[model] = pipeline
        steps, guidance = self._sampling(inference)
        self.progress.message(
            f"{model} on {placement}; {steps} steps, guidance {guidance:g}, "
            f"feedback {describe(self._feedback())}"
        )
        return pipeline, size

    def _feedback(self) -> FeedbackController:
        from talkingpose.pipeline.feedback import make_controller

        return self.options.feedback or make_controller("proportional", {})

    def _sampling(self, inference: InferenceSettings) -> tuple[int, float]:
        """Return steps and guidance: those of the options, else of the checkpoint."""
        guidance = self.options.guidance
        return (
            self.options.steps or inference.num_inference_steps,
            inference.guidance_scale if guidance is None else guidance,
        )

    def _frames(
        self,
        pipeline: TalkingPosePipeline,
        inference: InferenceSettings,
        portrait: Image,
        pictures: Iterator[Image],
    ) -> Iterator[Image]:
        import torch

        steps, guidance = self._sampling(inference)
        return pipeline.stream(
            portrait,
            pictures,
            num_inference_steps=steps,
            guidance_scale=guidance,
            feedback=self._feedback(),
            parallel_frames=self.options.parallel_frames,
            # Drawn on the CPU, so that a seed gives the same video on every device.
            generator=torch.Generator().manual_seed(self.options.seed),
        )

    def _write(
        self, job: AnimateJob, frames: Iterator[Image], driving: DrivingPoses, preview: Preview
    ) -> None:
        """Encode the frames one by one; the video gets its name when it is complete."""
        from talkingpose.media import VideoWriter
        from talkingpose.media.audio import add_audio
        from talkingpose.media.prefetch import write_behind

        total = len(driving.keypoints)
        silent = job.out.with_name(f".{job.out.stem}.silent.mp4") if self.options.audio else job.out
        try:
            # The model stays in this thread: CUDA graphs are bound to the thread that recorded them.
            with VideoWriter(silent, fps=driving.fps) as writer, write_behind(writer.write) as write:
                for number, frame in enumerate(frames):
                    if number == 0:
                        # Loading and compiling come before; the time left counts from here.
                        self.progress.start("frames", total, "frames")
                    preview.frame(frame)
                    write(frame)
                    self.progress.advance()
            if self.options.audio:
                add_audio(silent, job.driving, job.out, length=total / driving.fps)
        except BaseException:
            preview.remove()
            raise
        finally:
            if silent != job.out:
                silent.unlink(missing_ok=True)


def _fit(
    driving: DrivingPoses, pose: Keypoints, width: int, height: int, retarget: Retarget
) -> tuple[DrivingPoses, str, bool]:
    """Return the poses in the frame of the video, the method in words, and if the first is the portrait's.

    Args:
        driving: as read.
        pose: of the portrait, (133, 3).
        width, height: of the portrait.
        retarget: as in `AnimateOptions`.

    Raises:
        AnimatorError: the portrait has another shape than the driving frames, and no person is found in it.
    """
    aspect = width / height
    same_aspect = abs(aspect / driving.aspect - 1) <= _ASPECT_TOLERANCE
    found = bool((pose[..., 2] > 0).any())
    if retarget == "on" and not found:
        raise AnimatorError("--retarget on: no person found in the portrait: give another, or --retarget off")
    own = same_aspect and same_pose(pose, driving.keypoints[0])
    if retarget == "on" or (retarget == "auto" and found and not own):
        return retargeted(driving, pose, width, height), "poses in the proportions of the portrait", False
    if not same_aspect:
        raise AnimatorError(
            f"reference: aspect {aspect:.2f}, the driving frames {driving.aspect:.2f}, and poses are not "
            "retargeted: crop the portrait to the same shape, with the person at the same size and place"
        )
    return driving, "the portrait is the first driving frame" if own else "poses unchanged", own


def _refuse_settings(options: AnimateOptions) -> None:
    """Raise AnimatorError for settings that `warp` does not have."""
    for name in ("steps", "guidance"):
        if getattr(options, name) is not None:
            raise AnimatorError(f"--{name}: warp has no such setting: leave it out")
