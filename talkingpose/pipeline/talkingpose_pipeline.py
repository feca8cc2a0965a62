"""The reference model: one portrait and a driving pose sequence become a video of any length.

TalkingPose (arXiv 2512.00909) at inference, in the order of the paper: the portrait is encoded once per
video; every frame starts from the noise of the video, moved towards the final latents of the previous frame,
and is denoised under the portrait and its pose picture. Frames come one at a time, and memory does not grow
with their number.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import os
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import PIL.Image
import torch
from diffusers import AutoencoderKL, DDIMScheduler, DiffusionPipeline, UNet2DConditionModel
from diffusers.image_processor import VaeImageProcessor
from diffusers.utils import BaseOutput
from diffusers.utils.torch_utils import randn_tensor
from transformers import CLIPImageProcessor, CLIPVisionModelWithProjection

from talkingpose.io.image import Image
from talkingpose.model.checkpoint_folder import (
    DIFFUSERS_FILE,
    checkpoint_folder,
    download_repository,
    is_repository,
)
from talkingpose.model.diffusers_checkpoint import read_saved
from talkingpose.model.official_checkpoint import read_official, write_official
from talkingpose.model.pose_guider import PoseGuider, install_pose_input
from talkingpose.model.reference_attention import (
    ReferenceCache,
    install_reference_reader,
    install_reference_writer,
    project_reference,
    write_bank,
)
from talkingpose.pipeline.batching import TimeStep, time_steps, windows
from talkingpose.pipeline.ddim import Guidance, Sampler, denoise, make_sampler
from talkingpose.pipeline.feedback import FeedbackController, FeedbackState, FixedGain, FrameContext
from talkingpose.pipeline.frame_loop import Denoiser, in_parallel, in_sequence
from talkingpose.pipeline.inputs import Picture, PipelineError, as_array, to_device
from talkingpose.pipeline.stream import Frame, FrameStream, OutputType, StreamItem, StreamSettings
from talkingpose.pipeline.stream_state import StreamState

__all__ = ["PipelineError", "TalkingPoseOutput", "TalkingPosePipeline"]

# The start of a video: a state to continue from, the noise itself, or its generators.
_Start = StreamState | torch.Tensor | torch.Generator | Sequence[torch.Generator] | None


@dataclass
class TalkingPoseOutput(BaseOutput):
    """Result of `TalkingPosePipeline.__call__`.

    Attributes:
        frames: the frames of one clip, stacked along time; for lists of references a list of these, one per
            clip. "np": uint8 (T, H, W, 3); "pt": float32 (T, 3, H, W) in [0, 1]; "latent": float32
            (T, C, h, w).
    """

    frames: Frame | list[Frame]


class TalkingPosePipeline(DiffusionPipeline):
    """One portrait and driving pose pictures to frames.

    Args:
        vae: pictures to latents and back.
        image_encoder: the portrait to one token.
        image_processor: normalises the portrait for `image_encoder`.
        reference_unet: latents of the portrait to the bank of tokens that `denoising_unet` attends to.
        denoising_unet: predicts v. Both UNets get attention processors, and this one a `conv_in` that takes
            the pose feature; weights and their names stay stock.
        pose_guider: a pose picture to a feature of the size of the latents.
        scheduler: DDIM, eta 0.

    Raises:
        PipelineError: pose guider and VAE do not fit together.
    """

    model_cpu_offload_seq = "image_encoder->vae->reference_unet->pose_guider->denoising_unet"

    def __init__(
        self,
        vae: AutoencoderKL,
        image_encoder: CLIPVisionModelWithProjection,
        image_processor: CLIPImageProcessor,
        reference_unet: UNet2DConditionModel,
        denoising_unet: UNet2DConditionModel,
        pose_guider: PoseGuider,
        scheduler: DDIMScheduler,
    ) -> None:
        super().__init__()
        install_reference_writer(reference_unet)
        install_reference_reader(denoising_unet)
        install_pose_input(denoising_unet)
        self.register_modules(
            vae=vae,
            image_encoder=image_encoder,
            image_processor=image_processor,
            reference_unet=reference_unet,
            denoising_unet=denoising_unet,
            pose_guider=pose_guider,
            scheduler=scheduler,
        )
        self.vae_scale_factor: int = 2 ** (len(vae.config.block_out_channels) - 1)
        self.vae_processor = VaeImageProcessor(vae_scale_factor=self.vae_scale_factor)
        if pose_guider.downscale != self.vae_scale_factor:
            raise PipelineError(
                f"pose_guider: makes pictures {pose_guider.downscale} times smaller, the VAE "
                f"{self.vae_scale_factor} times: take the parts of one model"
            )

    @classmethod
    def from_pretrained(
        cls,
        source: str | os.PathLike[str],
        torch_dtype: torch.dtype | None = torch.float32,
        *,
        revision: str | None = None,
        local_files_only: bool = False,
    ) -> TalkingPosePipeline:
        """Load a checkpoint onto the CPU.

        Every file is checked, and no code in it is run. The classes that are loaded are those of this
        pipeline, whatever the files name.

        Args:
            source: `tiny` (bundled), `hub` (the published weights, if fetched), a folder in the diffusers or
                the official layout, or a Hub repository `owner/name` in one of these layouts.
            torch_dtype: type of all weights; None keeps that of each file.
            revision: of a Hub repository.
            local_files_only: do not download; a Hub repository must be in the cache.

        Raises:
            CheckpointError: there is no such checkpoint, or a file in it is not this model's.
        """
        if is_repository(os.fspath(source)):
            source = download_repository(os.fspath(source), revision, local_files_only=local_files_only)
        folder = checkpoint_folder(source if isinstance(source, str) else Path(source))
        read = read_saved if (folder / DIFFUSERS_FILE).is_file() else read_official
        return cls(**read(folder, torch_dtype))

    @classmethod
    def from_official(
        cls, folder: str | os.PathLike[str], torch_dtype: torch.dtype | None = None
    ) -> TalkingPosePipeline:
        """Load a folder in the layout of the official implementation (see `model.official_checkpoint`).

        Raises:
            CheckpointError: the folder lacks a part, or a file is not exactly the model's.
        """
        return cls(**read_official(folder, torch_dtype))

    def save_official(self, folder: str | os.PathLike[str]) -> None:
        """Write the weights in the layout that `from_official` reads.

        Raises:
            CheckpointError: `folder` exists.
        """
        write_official(folder, self.components)

    def __call__(
        self,
        reference: Picture | Sequence[Picture],
        poses: Iterable[Picture] | Sequence[Iterable[Picture]],
        **settings: Any,
    ) -> TalkingPoseOutput:
        """Collect what `stream` yields; arguments and errors are those of `stream`.

        Memory grows with the video.
        """
        stream = self.stream(reference, poses, **settings)
        references = reference if isinstance(reference, list | tuple) else [reference]
        videos: list[list[Any]] = [[] for _ in references]
        for item in stream:
            for clip, frame in zip(stream.running, item if references is reference else [item], strict=True):
                videos[clip].append(frame)
        stacked = [np.stack(v) if isinstance(v[0], np.ndarray) else torch.stack(v) for v in videos]
        return TalkingPoseOutput(frames=stacked if references is reference else stacked[0])

    def stream(
        self,
        reference: Picture | Sequence[Picture],
        poses: Iterable[Picture] | Sequence[Iterable[Picture]],
        *,
        num_inference_steps: int = 30,
        guidance_scale: float = 3.5,
        guidance_interval: tuple[float, float] = (0.0, 1.0),
        gain: float = 0.05,
        feedback: FeedbackController | None = None,
        generator: torch.Generator | Sequence[torch.Generator] | None = None,
        latents: torch.Tensor | None = None,
        state: StreamState | None = None,
        chunk_size: int = 1,
        parallel_frames: int = 1,
        parallel_tolerance: float = 1e-3,
        output_type: OutputType = "np",
    ) -> FrameStream:
        """Yield the frames of a video one by one; a pose picture is taken when its frame is asked for.

        Args:
            reference: the portrait, a PIL image or uint8 (H, W, 3) RGB of any size; a list or tuple of them
                runs several clips as one batch.
            poses: the driving pose pictures, of the same kinds, all of one size: the size of the video. For
                a list of references a list of such iterables. They may differ in length.
            num_inference_steps: denoising steps per frame.
            guidance_scale: classifier-free guidance; 1 or less runs without, in half the time.
            guidance_interval: first and last share of the steps that are guided
                (`talkingpose.pipeline.ddim.Guidance`).
            gain: beta of the paper's feedback loop (see `talkingpose.pipeline.feedback`).
            feedback: another controller; `gain` is then not used.
            generator: of the noise, drawn once per video on the generator's device in float32. A list gives
                each clip its own, so that the result of a clip does not depend on its batch.
            latents: the noise itself, (C, h, w) for all clips or (clips, C, h, w); overrides `generator`.
            state: continues another stream of the same portraits and settings, from its attribute `state`;
                `poses` then begin with the picture of frame `state.index`, and `generator` and `latents` are
                not used.
            chunk_size: pictures that are encoded and decoded at once. From 2 on the stream takes up to this
                number of poses before it gives their frames.
            parallel_frames: frames of a clip that are denoised at once (`pipeline.frame_loop`). From 2 on
                the frames are those of the loop up to `parallel_tolerance`, and the stream takes this number
                of poses at once.
            parallel_tolerance: of the initial latents, root mean square in units of the noise.
            output_type: "np": uint8 (H, W, 3), values truncated as in the official inference; "pt": float32
                (3, H, W) in [0, 1]; "latent": float32 (C, h, w), the final latents of the frame, not decoded.

        Returns:
            An iterator of frames; for lists an iterator of lists of frames, one for each clip that still
            runs, in the order of the clips. See `FrameStream` for its attributes.

        Raises:
            PipelineError: an argument cannot be used.
            FeedbackError: a gain is out of range.
        """
        references, clips, batched = _split_clips(reference, poses)
        if isinstance(generator, list | tuple) and len(generator) != len(clips):
            raise PipelineError(f"generator: {len(generator)} for {len(clips)} clips: give one for each clip")
        settings = StreamSettings(
            num_inference_steps,
            Guidance(guidance_scale, guidance_interval),
            FixedGain(gain) if feedback is None else feedback,
            chunk_size,
            parallel_frames,
            parallel_tolerance,
            output_type,
        )
        start: _Start = state if state is not None else latents if latents is not None else generator
        return FrameStream(self._generate(references, clips, settings, start), batched)

    @torch.no_grad()
    def _generate(
        self,
        references: Sequence[Picture],
        clips: Sequence[Iterator[Picture]],
        settings: StreamSettings,
        start: _Start,
    ) -> Generator[StreamItem, None, None]:
        device = self._execution_device
        resumed = start if isinstance(start, StreamState) else None

        # 1. The first pose pictures determine the size of the video.
        steps = time_steps(clips, resumed.index if resumed else 0)
        first = next(steps, None)
        if first is None:  # a state after the last frame
            return
        height, width = first.pictures[0].shape[:2]

        # 2. Samplers, portraits and noise, once per video.
        sampler = make_sampler(self.scheduler, settings.num_inference_steps, device)
        rough_sampler = make_sampler(self.scheduler, settings.guess_steps, device)
        portraits = [as_array(image, f"reference {n}") for n, image in enumerate(references)]
        hashes = [_hash(portrait) for portrait in portraits]
        text = settings.as_text() | {"size": f"{width}x{height}", "portraits": " ".join(hashes)}
        if resumed:
            resumed.check(text, len(portraits))
        reference = self.encode_reference(portraits, height, width)
        if resumed:
            state = resumed.feedback.to(device)
        else:
            state = FeedbackState(self._prepare_noise(len(portraits), height, width, start))
        running = tuple(range(len(portraits)))

        for window in windows(itertools.chain([first], steps), settings.window(len(running))):
            # 3. Clips that have ended leave the batch.
            if window[0].running != running:
                rows = [running.index(clip) for clip in window[0].running]
                state, reference, running = state.select(rows), reference.select(rows), window[0].running
                text["portraits"] = " ".join(hashes[clip] for clip in running)

            # 4. The pose pictures of the window.
            pictures = [to_device(list(step.pictures), device) for step in window]
            chunk = max(settings.chunk_size, len(running))
            features = [self.encode_pose(part) for part in torch.split(torch.cat(pictures), chunk)]
            poses = torch.split(torch.cat(features), len(running))

            # 5. Feedback from frame to frame, and denoising.
            assert reference.latents is not None
            frames = [FrameContext(batch, reference.latents) for batch in pictures]
            denoiser = self._denoiser(sampler, settings.guidance, poses, reference)
            if settings.parallel_frames == 1:
                solved = in_sequence(settings.feedback, state, frames, denoiser)
            else:
                guess = self._denoiser(rough_sampler, settings.guidance, poses, reference)
                tolerance = settings.parallel_tolerance
                solved = in_parallel(settings.feedback, state, frames, denoiser, guess, tolerance)
            _check_finite(solved.finals, window, self.denoising_unet.dtype)

            # 6. Decode.
            decoded = self._decode_window(solved.finals, settings.output_type, chunk)
            for images, state in zip(decoded, solved.states, strict=True):
                yield StreamItem(images, running, StreamState(state, dict(text)))
        self.maybe_free_model_hooks()

    @torch.no_grad()
    def encode_reference(self, images: Sequence[Picture], height: int, width: int) -> ReferenceCache:
        """Encode portraits for videos of one size.

        Args:
            images: n portraits, PIL or uint8 (H, W, 3) RGB of any size; they are resized, not cropped.
            height: of the video, in pixels.
            width: of the video, in pixels.

        Raises:
            PipelineError: a portrait is no picture, or the model cannot make this size.
        """
        scale = self.vae_scale_factor
        if height % scale or width % scale:
            raise PipelineError(
                f"poses: {width}x{height}: width and height have to be multiples of {scale}: "
                "draw them in such a size"
            )
        device = self._execution_device
        arrays = [as_array(image, f"reference {n}") for n, image in enumerate(images)]
        portraits = [PIL.Image.fromarray(array) for array in arrays]

        # 1. One CLIP token per portrait.
        side = self.image_encoder.config.image_size
        squares = [portrait.resize((side, side), PIL.Image.Resampling.BICUBIC) for portrait in portraits]
        pixels = self.image_processor(squares, return_tensors="pt").pixel_values
        # The official inference rounds the pixels to half precision whatever the type of the weights.
        pixels = pixels.to(torch.float16).to(device, self.image_encoder.dtype)
        token = self.image_encoder(pixels).image_embeds[:, None]

        # 2. Latents: the mean of the posterior, not a sample.
        picture = self.vae_processor.preprocess(portraits, height, width).to(device, self.vae.dtype)
        latents = self.vae.encode(picture).latent_dist.mean * self.vae.config.scaling_factor

        # 3. The bank of the reference UNet, and its keys and values under the weights of the denoising UNet.
        before, after = self.reference_unet.dtype, self.denoising_unet.dtype
        bank = write_bank(self.reference_unet, latents.to(before), token.to(before))
        bank = {name: tokens.to(after) for name, tokens in bank.items()}
        cache = project_reference(self.denoising_unet, bank, token.to(after)).to(device)
        return dataclasses.replace(cache, latents=latents.float())

    @torch.no_grad()
    def encode_pose(self, pictures: Sequence[Picture] | torch.Tensor) -> torch.Tensor:
        """Turn n pose pictures into the pose feature (n, C, h, w), in the type of the denoising UNet.

        Args:
            pictures: PIL or uint8 (H, W, 3) RGB of one size, or one tensor of them, uint8 (n, H, W, 3).

        Raises:
            PipelineError: one is no picture or of another size than the first.
        """
        if isinstance(pictures, torch.Tensor):
            pixels = pictures.to(self._execution_device)
        else:
            size = as_array(pictures[0], "poses: 0").shape[:2]
            arrays = [as_array(picture, f"poses: {n}", size) for n, picture in enumerate(pictures)]
            pixels = to_device(arrays, self._execution_device)
        pixels = (pixels.permute(0, 3, 1, 2).float() / 255).to(self.pose_guider.dtype)
        feature: torch.Tensor = self.pose_guider(pixels)
        return feature.to(self.denoising_unet.dtype)

    @torch.no_grad()
    def denoise(
        self,
        initial: torch.Tensor,
        feature: torch.Tensor,
        reference: ReferenceCache,
        num_inference_steps: int,
        guidance_scale: float,
        guidance_interval: tuple[float, float] = (0.0, 1.0),
    ) -> torch.Tensor:
        """Denoise one frame of each of n clips.

        Args:
            initial: z_T, (n, C, h, w). The sampler computes in its type, float32, whatever that of the
                weights.
            feature: the pose feature, from `encode_pose`.
            reference: of n portraits, from `encode_reference`.
            num_inference_steps: denoising steps.
            guidance_scale: 1 or less leaves the unconditional half out.
            guidance_interval: as for `stream`.

        Returns:
            z0, like `initial`: the final latents, scaled, not clamped.
        """
        sampler = make_sampler(self.scheduler, num_inference_steps, self._execution_device)
        guidance = Guidance(guidance_scale, guidance_interval)
        return denoise(self.denoising_unet, sampler, guidance, initial, feature, reference)

    @torch.no_grad()
    def decode(self, latents: torch.Tensor, output_type: Literal["np", "pt"] = "np") -> list[Frame]:
        """Decode final latents (n, C, h, w) into n frames.

        Returns:
            "np": uint8 (H, W, 3), on the CPU; "pt": float32 (3, H, W) in [0, 1].
        """
        latents = (latents / self.vae.config.scaling_factor).to(self.vae.dtype)
        pictures = (self.vae.decode(latents, return_dict=False)[0].float() / 2 + 0.5).clamp(0, 1)
        if output_type == "pt":
            return list(pictures)
        # Truncated, not rounded, as in the official inference.
        return list((pictures * 255).to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy())

    def prepare_noise(
        self,
        num_clips: int,
        height: int,
        width: int,
        generator: torch.Generator | Sequence[torch.Generator] | None = None,
        latents: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Draw the initial noise, float32 (num_clips, C, h, w), for videos of a size in pixels.

        `generator` and `latents` are those of `stream`.

        Raises:
            PipelineError: `latents` has another shape.
        """
        scale = self.vae_scale_factor
        shape = (num_clips, self.denoising_unet.config.in_channels, height // scale, width // scale)
        device = self._execution_device
        if latents is None:
            drawn_by = list(generator) if isinstance(generator, Sequence) else generator
            noise: torch.Tensor = randn_tensor(shape, drawn_by, device=device, dtype=torch.float32)
            return noise
        if tuple(latents.shape) not in (shape, shape[1:]):
            raise PipelineError(f"latents: {tuple(latents.shape)}: give {shape[1:]} or {shape}")
        return latents.to(device, torch.float32, copy=True).expand(shape)

    def enable_channels_last(self) -> None:
        """Keep channels innermost in memory, as the convolutions of a GPU want them; the same results.

        On a CPU the convolutions gain less than group normalisation loses.
        """
        for model in (self.vae, self.reference_unet, self.denoising_unet, self.pose_guider):
            model.to(memory_format=torch.channels_last)

    def enable_compile(self, *, cuda_graphs: bool = False, backend: str = "inductor") -> None:
        """Compile what runs for every frame, the denoising UNet and the VAE's decoder: the same results.

        Compilation happens when the first frame is made and takes minutes; a batch that becomes smaller, and
        the first step outside of `guidance_interval`, compile once more. Not together with CPU offload.

        Args:
            cuda_graphs: replay the kernels of a step without launching each: pays for one clip on a fast GPU.
            backend: of `torch.compile`.
        """
        mode = "reduce-overhead" if cuda_graphs else None
        for model in (self.denoising_unet, self.vae.decoder):
            model.compile(fullgraph=True, mode=mode, backend=backend)

    def _prepare_noise(self, num_clips: int, height: int, width: int, start: _Start) -> torch.Tensor:
        if isinstance(start, torch.Tensor):
            return self.prepare_noise(num_clips, height, width, latents=start)
        return self.prepare_noise(num_clips, height, width, cast("torch.Generator", start))

    def _denoiser(
        self,
        sampler: Sampler,
        guidance: Guidance,
        poses: Sequence[torch.Tensor],
        reference: ReferenceCache,
    ) -> Denoiser:
        """Return the function that denoises some frames of a window with these pose features."""

        def denoise_frames(initial: torch.Tensor, numbers: Sequence[int]) -> torch.Tensor:
            feature = torch.cat([poses[number] for number in numbers])
            rows = list(range(reference.num_references)) * len(numbers)
            repeated = reference if len(numbers) == 1 else reference.select(rows)
            return denoise(self.denoising_unet, sampler, guidance, initial, feature, repeated)

        return denoise_frames

    def _decode_window(
        self, finals: Sequence[torch.Tensor], output_type: OutputType, chunk: int
    ) -> Iterator[list[Frame]]:
        """Yield the frames of each time step; `chunk` latents are decoded at once."""
        if output_type == "latent":
            yield from (list(final.clone()) for final in finals)
            return
        num_clips = len(finals[0])
        frames: list[Frame] = []
        for latents in torch.split(torch.cat(list(finals)), chunk):
            frames += self.decode(latents, output_type)
            while len(frames) >= num_clips:
                yield frames[:num_clips]
                frames = frames[num_clips:]


def _split_clips(
    reference: Picture | Sequence[Picture], poses: Iterable[Picture] | Sequence[Iterable[Picture]]
) -> tuple[list[Picture], list[Iterator[Picture]], bool]:
    """Return the portraits, the pose iterators, and True if the caller gave lists."""
    if not isinstance(reference, list | tuple):
        return [cast("Picture", reference)], [iter(cast("Iterable[Picture]", poses))], False
    if not isinstance(poses, list | tuple) or len(poses) != len(reference) or not reference:
        given = f"{len(poses)}" if isinstance(poses, list | tuple) else f"a {type(poses).__name__}"
        raise PipelineError(
            f"poses: {given} for {len(reference)} references: give a list with one iterable for each"
        )
    return list(reference), [iter(clip) for clip in poses], True


def _check_finite(finals: Sequence[torch.Tensor], window: Sequence[TimeStep], dtype: torch.dtype) -> None:
    # One transfer for the whole window: each makes the host wait for the GPU.
    finite = torch.stack([torch.isfinite(final).all() for final in finals]).tolist()
    for step, is_finite in zip(window, finite, strict=True):
        if not is_finite:
            raise PipelineError(
                f"frame {step.index}: latents are not finite in {dtype}: use bfloat16 or float32"
            )


def _hash(portrait: Image) -> str:
    return hashlib.sha256(repr(portrait.shape).encode() + portrait.tobytes()).hexdigest()[:16]
