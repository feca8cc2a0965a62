"""The reference model: one portrait and a driving pose sequence become a video of any length.

TalkingPose (arXiv 2512.00909) at inference, in the order of the paper: the portrait is encoded once per
video; every frame starts from the video's noise, moved towards the previous frame's final latent, and is
denoised under the portrait and its pose picture. Frames come one at a time and nothing grows with their
number.
"""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, DiffusionPipeline, UNet2DConditionModel
from diffusers.image_processor import VaeImageProcessor
from diffusers.utils import BaseOutput
from diffusers.utils.torch_utils import randn_tensor
from PIL import Image
from transformers import CLIPImageProcessor, CLIPVisionModelWithProjection

from talkingpose.attention import (
    ReferenceCache,
    install_reference_reader,
    install_reference_writer,
    project_reference,
    write_bank,
)
from talkingpose.checkpoint import read_official, require_weights, write_official
from talkingpose.errors import UserError
from talkingpose.feedback import FeedbackState, FixedGain
from talkingpose.pose_guider import PoseGuider, install_pose_input

_END = object()

Picture = Image.Image | np.ndarray
Frame = np.ndarray | torch.Tensor
OutputType = Literal["np", "pt", "latent"]


class PipelineError(UserError):
    """Input the pipeline cannot use, or a result that is not a picture; the message is one line for the
    user."""


@dataclass
class TalkingPoseOutput(BaseOutput):
    """What `TalkingPosePipeline.__call__` returns.

    Attributes:
        frames: one clip's frames, stacked along time; for lists of references a list of these, one per clip.
            "np": uint8 (T, H, W, 3); "pt": float32 (T, 3, H, W) in [0, 1]; "latent": float32 (T, C, h, w).
    """

    frames: Frame | list[Frame]


class TalkingPosePipeline(DiffusionPipeline):
    """One portrait and driving pose pictures -> frames.

    Args:
        vae: pictures to latents and back.
        image_encoder: the portrait to one token.
        image_processor: normalises the portrait for `image_encoder`.
        reference_unet: the portrait's latents to the bank of tokens that `denoising_unet` attends to.
        denoising_unet: predicts v. Both UNets get attention processors, and this one a `conv_in` that takes
            the pose feature; weights and their names stay stock.
        pose_guider: a pose picture to a feature of the size of the latents.
        scheduler: DDIM, eta 0.

    Raises:
        CheckpointError: a model came without some of its weights.
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
        models = {
            "vae": vae,
            "reference_unet": reference_unet,
            "denoising_unet": denoising_unet,
            "pose_guider": pose_guider,
        }
        for name, model in models.items():
            require_weights(name, model)
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
        self.vae_scale_factor = 2 ** (len(vae.config.block_out_channels) - 1)
        self.vae_processor = VaeImageProcessor(vae_scale_factor=self.vae_scale_factor)
        if pose_guider.downscale != self.vae_scale_factor:
            raise PipelineError(
                f"pose_guider: makes pictures {pose_guider.downscale} times smaller, the VAE "
                f"{self.vae_scale_factor} times: take the parts of one model"
            )

    @classmethod
    def from_official(
        cls, folder: str | os.PathLike[str], torch_dtype: torch.dtype | None = None
    ) -> TalkingPosePipeline:
        """Load a folder in the layout of the official implementation (see `talkingpose.checkpoint`).

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
        *,
        num_inference_steps: int = 30,
        guidance_scale: float = 3.5,
        gain: float = 0.05,
        generator: torch.Generator | Sequence[torch.Generator] | None = None,
        latents: torch.Tensor | None = None,
        output_type: OutputType = "np",
    ) -> TalkingPoseOutput:
        """Collect what `stream` yields; arguments and errors are its own. Memory grows with the video."""
        references, clips, batched = _split_clips(reference, poses)
        _check_arguments(len(clips), num_inference_steps, guidance_scale, gain, generator, output_type)
        steps = self._animate(
            references, clips, num_inference_steps, guidance_scale, gain, generator, latents, output_type
        )
        videos: list[list[Frame]] = [[] for _ in clips]
        for running, frames in steps:
            for clip, frame in zip(running, frames, strict=True):
                videos[clip].append(frame)
        stacked = [torch.stack(v) if output_type != "np" else np.stack(v) for v in videos]
        return TalkingPoseOutput(frames=stacked if batched else stacked[0])

    def stream(
        self,
        reference: Picture | Sequence[Picture],
        poses: Iterable[Picture] | Sequence[Iterable[Picture]],
        *,
        num_inference_steps: int = 30,
        guidance_scale: float = 3.5,
        gain: float = 0.05,
        generator: torch.Generator | Sequence[torch.Generator] | None = None,
        latents: torch.Tensor | None = None,
        output_type: OutputType = "np",
    ) -> Iterator[Frame] | Iterator[list[Frame]]:
        """Yield the frames of a video one by one; a pose picture is taken when its frame is asked for.

        Args:
            reference: the portrait, a PIL image or uint8 (H, W, 3) RGB of any size; a list or tuple of them
                runs several clips as one batch.
            poses: the driving pose pictures, of the same kinds, all of one size: the size of the video. For
                a list of references a list of such iterables. They may differ in length.
            num_inference_steps: DDIM steps per frame.
            guidance_scale: classifier-free guidance; 1 or less runs without, in half the time.
            gain: beta of the feedback loop (see `talkingpose.feedback`).
            generator: of the noise, drawn once per video on the generator's device in float32. A list gives
                each clip its own, so that the result of a clip does not depend on its batch.
            latents: the noise itself, (C, h, w) for all clips or (clips, C, h, w); overrides `generator`.
            output_type: "np": uint8 (H, W, 3), values truncated as in the official inference; "pt": float32
                (3, H, W) in [0, 1]; "latent": float32 (C, h, w), the frame's final latents, not decoded.

        Returns:
            An iterator of frames; for lists an iterator of lists of frames, one for each clip that still
            runs, in the order of the clips.

        Raises:
            PipelineError: an argument cannot be used.
        """
        references, clips, batched = _split_clips(reference, poses)
        _check_arguments(len(clips), num_inference_steps, guidance_scale, gain, generator, output_type)
        steps = self._animate(
            references, clips, num_inference_steps, guidance_scale, gain, generator, latents, output_type
        )
        if batched:
            return (frames for _, frames in steps)
        return (frames[0] for _, frames in steps)

    @torch.no_grad()
    def _animate(
        self,
        references: list[Picture],
        clips: list[Iterator[Picture]],
        num_inference_steps: int,
        guidance_scale: float,
        gain: float,
        generator: torch.Generator | Sequence[torch.Generator] | None,
        latents: torch.Tensor | None,
        output_type: OutputType,
    ) -> Iterator[tuple[list[int], list[Frame]]]:
        """Yield, per time step, the positions of the clips that still run and their frames."""
        # 1. The first pose pictures fix the size of the video.
        running = list(range(len(clips)))
        pictures = [next(clip, _END) for clip in clips]
        size = _array(pictures[0], "poses: clip 0, picture 0").shape[:2]
        arrays = [_array(p, f"poses: clip {clip}, picture 0", size) for clip, p in enumerate(pictures)]

        # 2. The portrait and the noise e, once per video.
        reference = self.encode_reference(references, *size)
        state = FeedbackState(self.prepare_noise(len(clips), *size, generator, latents))
        controller = FixedGain(gain)

        while running:
            # 3. The pose pictures of this frame.
            feature = self.encode_pose(arrays)

            # 4. Feedback: from the previous frame's final latents to this frame's initial ones.
            initial = controller.initial_latents(state)

            # 5. Denoise.
            final = self.denoise(initial, feature, reference, num_inference_steps, guidance_scale)
            if not bool(torch.isfinite(final).all()):
                raise PipelineError(
                    f"frame {state.index}: latents are not finite in {self.denoising_unet.dtype}: "
                    "use bfloat16 or float32"
                )
            state = state.after(final)

            # 6. Decode.
            yield running, list(final.clone()) if output_type == "latent" else self.decode(final, output_type)

            # 7. Clips that have come to their end leave the batch.
            pictures = [next(clips[clip], _END) for clip in running]
            rows = [row for row, picture in enumerate(pictures) if picture is not _END]
            if len(rows) < len(running):
                running = [running[row] for row in rows]
                state, reference = state.select(rows), reference.select(rows)
            arrays = [
                _array(pictures[row], f"poses: clip {clip}, picture {state.index}", size)
                for row, clip in zip(rows, running, strict=True)
            ]
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
        self._check_size(height, width)
        device = self._execution_device
        portraits = [Image.fromarray(_array(image, f"reference {n}")) for n, image in enumerate(images)]

        # 1. One CLIP token per portrait.
        side = self.image_encoder.config.image_size
        squares = [portrait.resize((side, side), Image.Resampling.BICUBIC) for portrait in portraits]
        pixels = self.image_processor(squares, return_tensors="pt").pixel_values
        # The official inference rounds the pixels to half precision whatever the type of the weights.
        pixels = pixels.to(torch.float16).to(device, self.image_encoder.dtype)
        token = self.image_encoder(pixels).image_embeds[:, None].to(self.reference_unet.dtype)

        # 2. Latents: the mean of the posterior, not a sample.
        picture = self.vae_processor.preprocess(portraits, height, width).to(device, self.vae.dtype)
        latents = self.vae.encode(picture).latent_dist.mean * self.vae.config.scaling_factor

        # 3. The reference UNet's bank, and its keys and values under the denoising UNet's weights.
        bank = write_bank(self.reference_unet, latents.to(self.reference_unet.dtype), token)
        return project_reference(self.denoising_unet, bank, token).to(device)

    @torch.no_grad()
    def encode_pose(self, pictures: Sequence[Picture]) -> torch.Tensor:
        """Turn n pose pictures, PIL or uint8 (H, W, 3) RGB of one size, into the pose feature (n, C, h, w).

        Raises:
            PipelineError: one is no picture or of another size than the first.
        """
        size = _array(pictures[0], "poses: 0").shape[:2]
        arrays = [_array(picture, f"poses: {n}", size) for n, picture in enumerate(pictures)]
        pixels = torch.from_numpy(np.stack(arrays)).to(self._execution_device).permute(0, 3, 1, 2)
        feature: torch.Tensor = self.pose_guider((pixels.float() / 255).to(self.pose_guider.dtype))
        return feature

    @torch.no_grad()
    def denoise(
        self,
        initial: torch.Tensor,
        feature: torch.Tensor,
        reference: ReferenceCache,
        num_inference_steps: int,
        guidance_scale: float,
    ) -> torch.Tensor:
        """Denoise one frame of each of n clips.

        Args:
            initial: z_T, (n, C, h, w). The sampler computes in its type, float32, whatever that of the
            weights.
            feature: the pose feature, from `encode_pose`.
            reference: of n portraits, from `encode_reference`.
            num_inference_steps: DDIM steps.
            guidance_scale: 1 or less leaves the unconditional half out.

        Returns:
            z0, like `initial`: the final latents, scaled, not clamped.
        """
        # A copy, so that videos of different numbers of steps can run side by side.
        scheduler = copy.deepcopy(self.scheduler)
        scheduler.set_timesteps(num_inference_steps)
        guided = guidance_scale > 1
        latents = initial
        for timestep in scheduler.timesteps:
            sample = torch.cat([latents.to(feature.dtype), feature], dim=1)
            if guided:
                sample = torch.cat([sample, sample])
            # The CLIP token is in `reference`, as the constant rows of cross-attention.
            velocity = self.denoising_unet(
                sample,
                timestep,
                encoder_hidden_states=None,
                cross_attention_kwargs={"reference": reference},
                return_dict=False,
            )[0].to(latents.dtype)
            if guided:
                unconditional, conditional = velocity.chunk(2)
                velocity = unconditional + guidance_scale * (conditional - unconditional)
            latents = scheduler.step(velocity, timestep, latents, return_dict=False)[0]
        return latents

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
            several = isinstance(generator, Sequence)
            return randn_tensor(
                shape, list(generator) if several else generator, device=device, dtype=torch.float32
            )
        if tuple(latents.shape) not in (shape, shape[1:]):
            raise PipelineError(f"latents: {tuple(latents.shape)}: give {shape[1:]} or {shape}")
        return latents.to(device, torch.float32, copy=True).expand(shape)

    def _check_size(self, height: int, width: int) -> None:
        scale = self.vae_scale_factor
        if height % scale or width % scale:
            raise PipelineError(
                f"poses: {width}x{height}: width and height have to be multiples of {scale}: "
                "draw them in such a size"
            )


def _split_clips(
    reference: Picture | Sequence[Picture], poses: Iterable[Picture] | Sequence[Iterable[Picture]]
) -> tuple[list[Picture], list[Iterator[Picture]], bool]:
    """Return the portraits, the pose iterators, and whether the caller gave lists."""
    if not isinstance(reference, (list, tuple)):
        return [reference], [iter(poses)], False
    if not isinstance(poses, (list, tuple)) or len(poses) != len(reference) or not reference:
        given = f"{len(poses)}" if isinstance(poses, (list, tuple)) else f"a {type(poses).__name__}"
        raise PipelineError(
            f"poses: {given} for {len(reference)} references: give a list with one iterable for each"
        )
    return list(reference), [iter(clip) for clip in poses], True


def _check_arguments(
    num_clips: int,
    num_inference_steps: int,
    guidance_scale: float,
    gain: float,
    generator: torch.Generator | Sequence[torch.Generator] | None,
    output_type: str,
) -> None:
    if num_inference_steps < 1:
        raise PipelineError(f"num_inference_steps: {num_inference_steps}: give 1 or more")
    if not math.isfinite(guidance_scale) or not math.isfinite(gain):
        raise PipelineError(f"guidance_scale, gain: {guidance_scale}, {gain}: give finite numbers")
    if output_type not in get_args(OutputType):
        raise PipelineError(f"output_type: {output_type}: give one of {', '.join(get_args(OutputType))}")
    if isinstance(generator, (list, tuple)) and len(generator) != num_clips:
        raise PipelineError(f"generator: {len(generator)} for {num_clips} clips: give one for each clip")


def _array(picture: object, what: str, size: tuple[int, int] | None = None) -> np.ndarray:
    """Return a picture as uint8 (H, W, 3) RGB, of this (height, width) if one is asked for."""
    if picture is _END:
        raise PipelineError(f"{what}: there is none: give at least one picture")
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
