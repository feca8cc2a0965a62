"""Animator: makes a video from a portrait and driving poses, with its checks before time is spent."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from talkingpose.animate.batch_list import AnimateJob
from talkingpose.animate.driving_poses import (
    DrivingPictures,
    DrivingPoses,
    Keypoints,
    estimate_driving,
    missing_parts,
    portrait_pose,
    read_keypoints,
    retargeted,
    same_pose,
)
from talkingpose.animate.driving_source import DrivingKind, DrivingSource, Span, is_drawn, open_source
from talkingpose.animate.film_shape import (
    FilmShape,
    ModelSizes,
    check_size,
    film_shape,
    letterbox_to_aspect,
    model_sizes,
    warp_size,
)
from talkingpose.animate.model_choice import AUTO, WARP, choose_model
from talkingpose.animate.pose_choice import PoseChoice, PoseName, choose_pose
from talkingpose.animate.preview import Preview
from talkingpose.animate.puppet_frames import puppet_frames
from talkingpose.animate.unfinished_film import UnfinishedFilm, as_text, fingerprint, releases
from talkingpose.io.errors import UserError
from talkingpose.io.image import Image
from talkingpose.io.progress import SILENT, Progress
from talkingpose.model.checkpoint_folder import checkpoint_folder
from talkingpose.model.inference_settings import InferenceSettings, read_inference
from talkingpose.pipeline.load import load_pipeline, native_size

if TYPE_CHECKING:
    from talkingpose.pipeline.device import Precision
    from talkingpose.pipeline.feedback import FeedbackController
    from talkingpose.pipeline.stream_state import StreamState
    from talkingpose.pipeline.talkingpose_pipeline import TalkingPosePipeline

Retarget = Literal["auto", "on", "off"]

# A stretch below this is invisible; above it shoulders and faces become visibly wider.
_ASPECT_TOLERANCE = 0.03


# Options that determine the frames, besides those of the poses.
_FRAME_OPTIONS = (
    "feedback", "steps", "guidance", "retarget", "seed", "parallel_frames", "size", "keep_background",
)  # fmt: skip


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
        pose: estimator of the poses; `auto` is that of the model, if it is on this machine.
        kind: content of the driving source; `auto` looks at it.
        fps: rate of a folder of pictures; None for 25.
        start, duration: part of the driving source, in seconds; None for all.
        size: width and height of the film; None for the native size of the model.
        keep_background: paste the background of the portrait into the frames of a model.
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
    pose: PoseName = "auto"
    kind: DrivingKind = "auto"
    fps: Fraction | None = None
    start: float = 0.0
    duration: float | None = None
    size: tuple[int, int] | None = None
    keep_background: bool = False

    @property
    def span(self) -> Span:
        """Part of the driving source."""
        return Span(self.start, self.duration, self.max_frames)


@dataclass(frozen=True)
class _Setup:
    """A checked job.

    Attributes:
        portrait: uint8 RGB (H, W, 3).
        model: name or folder.
        sizes: of the model.
        choice: estimator of the poses.
        source: driving frames, None for a pose file.
        drawn: the frames are drawn poses.
        lines: for the user.
    """

    portrait: Image
    model: str
    sizes: ModelSizes
    choice: PoseChoice
    source: DrivingSource | None
    drawn: bool
    lines: tuple[str, ...]


@dataclass(frozen=True)
class _Scene:
    """Content of a film.

    Attributes:
        portrait: as the model gets it.
        pose: of the portrait, in its frame.
        driving: poses in the frame of the portrait, or drawn pictures.
        how: what was done to the poses, in words.
        width, height: of the frame of the poses; only their ratio matters.
    """

    portrait: Image
    pose: Keypoints
    driving: DrivingPoses | DrivingPictures
    how: str
    width: int
    height: int

    @property
    def aspect(self) -> float:
        """Width over height of the film without bars."""
        return self.width / self.height

    @property
    def fps(self) -> Fraction:
        """Frame rate."""
        return self.driving.fps if isinstance(self.driving, DrivingPoses) else self.driving.source.fps

    @property
    def num_frames(self) -> int | None:
        """Number of frames, None if the driving source does not say."""
        if isinstance(self.driving, DrivingPoses):
            return len(self.driving.keypoints)
        return self.driving.num_frames


class Animator:
    """Maker of videos. The weights of a model are loaded for its first video.

    Args:
        model: `auto`, `warp`, or a checkpoint as for `load_pipeline`; see `choose_model`.
        options: of all videos.
        device, precision, cpu_offload, compiled: as in the command line; `None` decides by memory.
        overwrite: replace videos that exist; otherwise `check` refuses them.
        fresh: do not continue an unfinished video.
        progress: of the poses and frames, and messages.
        pipelines: models that are loaded already, by name; takes those that are loaded here.

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
        fresh: bool = False,
        progress: Progress = SILENT,
        pipelines: dict[str, TalkingPosePipeline] | None = None,
    ) -> None:
        self.options, self.progress = options, progress
        self._model, self._device = model, device
        self._precision, self._cpu_offload, self._compiled = precision, cpu_offload, compiled
        self._pipelines = {} if pipelines is None else pipelines
        self._overwrite, self._fresh = overwrite, fresh
        self._device_checked = False
        if not -(2**63) <= options.seed < 2**63:
            raise AnimatorError(f"--seed {options.seed}: give a number of at most 18 digits")
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
            AnimatorError, DrivingError, FilmSizeError, MediaError, WeightsError: a file cannot be read or
                written, or does not fit the options.
        """
        if job.out.suffix != ".mp4" or not job.out.parent.is_dir() or job.out.is_dir():
            raise AnimatorError(f"out {job.out}: give a file name that ends in .mp4, in a folder that exists")
        if job.out.exists() and not self._overwrite:
            raise AnimatorError(f"out {job.out}: exists: give another name, or --overwrite")
        if job.out.resolve() in (job.reference.resolve(), job.driving.resolve()):
            raise AnimatorError(f"out {job.out}: is an input of this job: give another name")
        self._setup(job)

    def make(self, job: AnimateJob, driving: DrivingPoses | DrivingPictures | None = None) -> None:
        """Make a video and, early, its preview `OUT.preview.png`. An unfinished one is continued.

        Args:
            job: paths.
            driving: result of `driving(job)`; None to compute it.

        Raises:
            AnimatorError, DrivingError, MediaError, PoseError, PipelineError: see there.
        """
        setup = self._setup(job)
        for line in setup.lines:
            self.progress.message(line)
        with self._unfinished(job, setup) as unfinished:
            # 1. Poses of both, and their missing parts, before the model is loaded.
            driving = driving or unfinished.load_poses()
            if driving is None:
                driving = self.driving(job, setup)
                if setup.source is not None and isinstance(driving, DrivingPoses):
                    unfinished.save_poses(driving)
            scene = self._scene(job, setup, driving)

            # 2. The model, frame by frame, from where an earlier run stopped.
            if setup.model == WARP:
                self._write(job, scene, self._warp_frames(scene, setup), unfinished)
            else:
                self._write(job, scene, self._model_frames(scene, setup, unfinished), unfinished)

    def preview(self, job: AnimateJob) -> None:
        """Make the preview `OUT.preview.png` of the first frame, and no video.

        Raises:
            AnimatorError, DrivingError, MediaError, PoseError, PipelineError: see there.
        """
        options, self.options = self.options, replace(self.options, max_frames=1)
        try:
            setup = self._setup(job)
            for line in setup.lines:
                self.progress.message(line)
            scene = self._scene(job, setup, self.driving(job, setup))
            make = self._warp_frames if setup.model == WARP else self._model_frames
            film = make(scene, setup)
            frame, _ = next(film.frames)
            film.close()
            preview = Preview(preview_path(job), scene.portrait, scene.fps, self.progress, film.draw)
            preview.frame(frame)
        finally:
            self.options = options

    def driving(self, job: AnimateJob, setup: _Setup | None = None) -> DrivingPoses | DrivingPictures:
        """Return the driving poses as the source has them; frames of a film pass the estimator.

        Raises:
            DrivingError, MediaError, PoseError, WeightsError: see there.
        """
        setup = setup or self._setup(job)
        if setup.source is None:
            return read_keypoints(job.driving, self.options.span)
        if setup.drawn:
            return DrivingPictures(setup.source, self.options.span)
        estimate = setup.choice.open()
        try:
            return estimate_driving(setup.source, self.options.span, estimate, self.progress)
        finally:
            estimate.close()

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

    def _setup(self, job: AnimateJob) -> _Setup:
        """Read the portrait, look at the driving source, choose model and estimator."""
        from talkingpose.media import read_image

        portrait = read_image(job.reference)
        model, model_line = choose_model(self._model, portrait)
        sizes = model_sizes(model)
        check_size(self.options.size, sizes)
        choice = choose_pose(self.options.pose, model)
        source, drawn = self._source(job)
        if drawn and model == WARP:
            raise AnimatorError(
                f"driving {job.driving}: drawn poses, and warp needs keypoints: give the video that they "
                "were drawn from, a pose file, or a model with weights"
            )
        if drawn and self.options.retarget == "on":
            raise AnimatorError("--retarget on: drawn poses stay as they are: leave it out")
        if self.options.audio and (source is None or not source.has_audio):
            what = "poses have no audio" if source is None or drawn else "has no audio"
            raise AnimatorError(f"driving {job.driving}: {what}: leave out --audio")
        estimated = source is not None and not drawn
        lines = (model_line, choice.line if estimated else None)
        return _Setup(portrait, model, sizes, choice, source, drawn, tuple(line for line in lines if line))

    def _source(self, job: AnimateJob) -> tuple[DrivingSource | None, bool]:
        """Return the driving source, None for a pose file, and True if its frames are drawn poses."""
        kind, path = self.options.kind, job.driving
        if kind == "keypoints" or (kind == "auto" and path.suffix.lower() == ".npz"):
            if self.options.fps is not None:
                raise AnimatorError(f"--fps: {path} has its own rate: leave it out")
            read_keypoints(path, self.options.span)
            return None, False
        source = open_source(path, self.options.fps)
        drawn = is_drawn(source) if kind == "auto" else kind == "pose"
        if source.count(self.options.span) == 0:
            raise AnimatorError(f"driving {path}: no frame in this part: give a smaller --start")
        return source, drawn

    def _scene(self, job: AnimateJob, setup: _Setup, driving: DrivingPoses | DrivingPictures) -> _Scene:
        """Fit portrait and poses into one frame, and report missing parts."""
        pose = portrait_pose(setup.portrait, setup.choice)
        height, width = setup.portrait.shape[:2]
        if isinstance(driving, DrivingPictures):
            self._report(job, setup.portrait, pose, None)
            aspect = driving.source.width / driving.source.height
            portrait, how = setup.portrait, "drawn poses as they are"
            if abs(width / height / aspect - 1) > _ASPECT_TOLERANCE:
                portrait, how = letterbox_to_aspect(portrait, aspect), f"{how}, bars around the portrait"
            return _Scene(portrait, pose, driving, how, driving.source.width, driving.source.height)
        self._report(job, setup.portrait, pose, driving)
        driving, how, own = _fit(driving, pose, width, height, self.options.retarget)
        if own:
            pose = driving.keypoints[0]
        return _Scene(setup.portrait, pose, driving, how, driving.width, driving.height)

    def _unfinished(self, job: AnimateJob, setup: _Setup) -> UnfinishedFilm:
        """Open the folder of the unfinished film of these settings."""
        options = self.options
        poses = {
            "driving": fingerprint(job.driving),
            "pose": setup.choice.name,
            "part": as_text(options.span),
            "kind": f"{options.kind} {options.fps}",
            "releases": releases(),
        }
        model = setup.model
        weights = model if model == WARP else f"{model} {fingerprint(checkpoint_folder(model))}"
        film = poses | {name: as_text(getattr(options, name)) for name in _FRAME_OPTIONS}
        film |= {
            "reference": fingerprint(job.reference),
            "model": weights,
            "device": f"{self._device} {self._precision} {self._compiled}",
        }
        return UnfinishedFilm(job.out, poses=poses, film=film, fresh=self._fresh, progress=self.progress)

    def _report(
        self, job: AnimateJob, portrait: Image, pose: Keypoints, driving: DrivingPoses | None
    ) -> None:
        """Warn of parts that the portrait or too many driving frames lack; raise with `strict`."""
        allowed = self.options.max_missing
        from talkingpose.animate.portrait_check import portrait_remarks

        lines = [f"portrait {job.reference}: {remark}" for remark in portrait_remarks(portrait, pose)]
        if (pose[:, 2] > 0).any():
            lines += [
                f"portrait {job.reference}: no {part} found"
                for part, share in missing_parts(pose).items()
                if share > 0
            ]
        if driving is not None:
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
        from talkingpose.pipeline.device import check_compiled, check_offload, pick_device

        if self._device_checked:
            return
        self._device_checked = True
        self._device = pick_device(self._device)
        check_offload(self._device, self._cpu_offload)
        if self._compiled:
            check_compiled(self._cpu_offload)

    def _warp_frames(self, scene: _Scene, setup: _Setup, unfinished: UnfinishedFilm | None = None) -> _Film:
        """Return the film of the puppet; it is made so fast that no frame is stored."""
        assert isinstance(scene.driving, DrivingPoses)
        driving = scene.driving
        shape = film_shape(scene.aspect, setup.sizes, self.options.size, warp_size(scene.portrait))
        size = shape.inner_width, shape.inner_height

        def draw(index: int) -> Image:
            return InferenceSettings().draw(driving.keypoints[index], size[1], size[0])

        self._say_shape(scene, shape)
        frames = puppet_frames(scene.portrait, scene.pose, driving, size)
        return _Film(shape, ((frame, None) for frame in frames), draw)

    def _model_frames(self, scene: _Scene, setup: _Setup, unfinished: UnfinishedFilm | None = None) -> _Film:
        """Return the film of a model, from the state of an unfinished one."""
        inference = read_inference(checkpoint_folder(setup.model))
        pipeline, shape = self._load(setup, inference, scene.width, scene.height)
        size = shape.inner_width, shape.inner_height
        self._say_shape(scene, shape)
        state = unfinished.load_state() if unfinished is not None else None
        first = 0 if state is None else state.index
        if first:
            self.progress.message(f"continuing at frame {first}: the frames before it are stored")
        if isinstance(scene.driving, DrivingPoses):
            keypoints = scene.driving.keypoints

            def draw(index: int) -> Image:
                return inference.draw(keypoints[index], size[1], size[0])

            pictures: Iterator[Image] = map(draw, range(first, len(keypoints)))
        else:
            drawn = _Pictures(scene.driving, size)
            draw, pictures = drawn.of_preview, drawn.frames(first)
        frames = self._frames(pipeline, inference, scene.portrait, pictures, state)
        if self.options.keep_background:
            frames = _on_background(frames, scene, size, first)
        return _Film(shape, frames, draw, first)

    def _say_shape(self, scene: _Scene, shape: FilmShape) -> None:
        count = "" if scene.num_frames is None else f"{scene.num_frames} frames, "
        bars = f" (picture {shape.inner_width}x{shape.inner_height})" if shape.has_bars else ""
        self.progress.message(
            f"{count}{shape.width}x{shape.height}{bars}, {float(scene.fps):g} frames/s, {scene.how}"
        )

    def _load(
        self, setup: _Setup, inference: InferenceSettings, width: int, height: int
    ) -> tuple[TalkingPosePipeline, FilmShape]:
        """Return the pipeline on its device, and the shape of a film for this aspect."""
        from talkingpose.pipeline.device import place, precision_of
        from talkingpose.pipeline.feedback import describe

        model, known = setup.model, self._pipelines.get(setup.model)
        if known is None:
            self._check_device()
            # Onto the CPU first: only then it is known if it fits into the memory of the GPU.
            pipeline = load_pipeline(model, "cpu", precision_of(self._precision, self._device))
        else:
            pipeline = known
        native = native_size(pipeline, width, height)
        shape = film_shape(width / height, setup.sizes, self.options.size, native)
        if known is None:
            placement = place(
                pipeline,
                self._device,
                pixels=shape.inner_width * shape.inner_height,
                cpu_offload=self._cpu_offload,
                compiled=self._compiled,
            )
            self._pipelines[model] = pipeline
            steps, guidance = self._sampling(inference)
            self.progress.message(
                f"{model} on {placement}; {steps} steps, guidance {guidance:g}, "
                f"feedback {describe(self._feedback())}"
            )
        return pipeline, shape

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
        state: StreamState | None,
    ) -> Iterator[tuple[Image, StreamState | None]]:
        """Yield each frame with the state after it."""
        import torch

        from talkingpose.media.prefetch import prefetch

        steps, guidance = self._sampling(inference)
        with closing(prefetch(pictures)) as ahead:
            stream = pipeline.stream(
                portrait,
                ahead,
                num_inference_steps=steps,
                guidance_scale=guidance,
                feedback=self._feedback(),
                parallel_frames=self.options.parallel_frames,
                # Drawn on the CPU, so that a seed gives the same video on every device.
                generator=torch.Generator().manual_seed(self.options.seed),
                state=state,
            )
            for frame in stream:
                yield frame, stream.state

    def _write(self, job: AnimateJob, scene: _Scene, film: _Film, unfinished: UnfinishedFilm) -> None:
        """Encode the frames one by one; the video gets its name when it is complete."""
        from talkingpose.media import VideoWriter
        from talkingpose.media.audio import add_audio
        from talkingpose.media.prefetch import write_behind

        total, window = scene.num_frames, self.options.parallel_frames
        portrait = scene.portrait
        preview = Preview(preview_path(job), portrait, scene.fps, self.progress, film.draw)
        silent = unfinished.film_path()
        stored = ((frame, None) for frame in unfinished.frames(film.first))
        writer = VideoWriter(silent, fps=scene.fps)

        def store(item: tuple[int, Image, StreamState | None]) -> None:
            number, frame, state = item
            writer.write(film.shape.framed(frame))
            if state is not None:
                savable = (number + 1) % window == 0 or number + 1 == total
                unfinished.add(frame, state, scene.fps, savable=savable)

        number = -1
        try:
            # The model stays in this thread: CUDA graphs are bound to the thread that recorded them.
            with writer, write_behind(store) as write:
                for number, (frame, state) in enumerate(itertools.chain(stored, film.frames)):
                    if number == 0:
                        # Loading and compiling come before; the time left counts from here.
                        self.progress.start("frames", total, "frames")
                    preview.frame(frame)
                    write((number, frame, state))
                    self.progress.advance()
            if self.options.audio:
                sound = unfinished.film_path("film-with-audio.mp4")
                length, start = (number + 1) / scene.fps, Fraction(self.options.start)
                add_audio(silent, job.driving, sound, length=length, start=start)
                silent = sound
            unfinished.finish(silent)
        except BaseException:
            preview.remove()
            unfinished.stop()
            raise


@dataclass(frozen=True)
class _Film:
    """Frames in the making.

    Attributes:
        shape: of the film.
        frames: pictures of the inner size, each with the state after it, None if it is not stored.
        draw: returns the pose picture of a frame.
        first: index of the first frame; those before it are stored.
    """

    shape: FilmShape
    frames: Iterator[tuple[Image, StreamState | None]]
    draw: Callable[[int], Image]
    first: int = 0

    def close(self) -> None:
        """Free what the model holds for the film."""
        close = getattr(self.frames, "close", None)
        if close is not None:
            close()


class _Pictures:
    """Drawn pose pictures in the size of the film, with those that the preview shows."""

    def __init__(self, driving: DrivingPictures, size: tuple[int, int]) -> None:
        self._driving, self._size = driving, size
        self._shown = set(Preview.rows(driving.source.fps))
        self._kept: dict[int, Image] = {}

    def frames(self, first: int) -> Iterator[Image]:
        """Yield the pictures from an index on."""
        from talkingpose.media import resize_image

        for index, (_, image) in enumerate(self._driving.source.frames(self._driving.span)):
            if index < first and index not in self._shown:
                continue
            picture = image if image.shape[1::-1] == self._size else resize_image(image, self._size)
            if index in self._shown:
                self._kept[index] = picture
            if index >= first:
                yield picture

    def of_preview(self, index: int) -> Image:
        """Return the picture of a frame that the preview shows."""
        if index not in self._kept:
            next(itertools.islice(self.frames(index), 1), None)
        return self._kept[index]


def _on_background(
    frames: Iterator[tuple[Image, StreamState | None]], scene: _Scene, size: tuple[int, int], first: int
) -> Iterator[tuple[Image, StreamState | None]]:
    """Paste the background of the portrait into frames, the first of which has an index."""
    from talkingpose.animate.background import PortraitBackground
    from talkingpose.media import resize_image

    keypoints = scene.driving.keypoints if isinstance(scene.driving, DrivingPoses) else None
    with PortraitBackground(resize_image(scene.portrait, size), scene.pose) as background:
        for index, (frame, state) in enumerate(frames, start=first):
            yield background.pasted(frame, None if keypoints is None else keypoints[index]), state


def preview_path(job: AnimateJob) -> Path:
    """Return the path of the preview of a job."""
    return job.out.with_suffix(".preview.png")


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
