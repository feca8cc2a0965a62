"""The reference model: one portrait and a driving pose sequence become a video of any length.

TalkingPose (arXiv 2512.00909) at inference, in the order of the paper: the portrait is encoded once per
video; every frame starts from the video's noise, moved towards the previous frame's final latent, and is
denoised under the portrait and its pose picture. Frames come one at a time and nothing grows with their
number.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, DiffusionPipeline, UNet2DConditionModel
from diffusers.image_processor import VaeImageProcessor
from diffusers.utils import BaseOutput
from diffusers.utils.torch_utils import randn_tensor
from PIL import Image
from transformers import CLIPImageProcessor, CLIPVisionModelWithProjection

from talkingpose.model.official_checkpoint import read_official, require_weights, write_official
from talkingpose.model.pose_guider import PoseGuider, install_pose_input
from talkingpose.model.reference_attention import (
    ReferenceCache,
    install_reference_reader,
    install_reference_writer,
    project_reference,
    write_bank,
)
from talkingpose.pipeline.ddim import Guidance, denoise, make_sampler
from talkingpose.pipeline.feedback import FeedbackController, FixedGain
from talkingpose.pipeline.inputs import Picture, PipelineError, as_array, to_device
from talkingpose.pipeline.stream import Frame, FrameStream, OutputType, StreamSettings
from talkingpose.pipeline.stream_state import StreamState

__all__ = ["PipelineError", "TalkingPoseOutput", "TalkingPosePipeline"]


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
        **settings: object,
    ) -> TalkingPoseOutput:
        """Collect what `stream` yields; arguments and errors are its own. Memory grows with the video."""
        stream = self.stream(reference, poses, **settings)  # type: ignore[arg-type]
        batched = isinstance(reference, (list, tuple))
        videos: list[list[Frame]] = [[] for _ in (reference if batched else [reference])]
        for item in stream:
            for clip, frame in zip(stream.running, item if batched else [item], strict=True):
                videos[clip].append(frame)
        stacked = [np.stack(v) if isinstance(v[0], np.ndarray) else torch.stack(v) for v in videos]
        return TalkingPoseOutput(frames=stacked if batched else stacked[0])

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
            state: goes on where another stream of the same portraits and settings stopped (its attribute
                `state`); `poses` then begin with the picture of frame `state.index`, and `generator` and
                `latents` are not used.
            chunk_size: pictures that are encoded and decoded at once. From 2 on the stream takes up to so
                many poses before it gives their frames.
            parallel_frames: frames of a clip that are denoised at once (`pipeline.frame_loop`). From 2 on
                the frames are those of the loop up to `parallel_tolerance`, and the stream takes so many
                poses at once.
            parallel_tolerance: of the initial latents, root mean square in units of the noise.
            output_type: "np": uint8 (H, W, 3), values truncated as in the official inference; "pt": float32
                (3, H, W) in [0, 1]; "latent": float32 (C, h, w), the frame's final latents, not decoded.

        Returns:
            An iterator of frames; for lists an iterator of lists of frames, one for each clip that still
            runs, in the order of the clips. Its attribute `state` says where it stands.

        Raises:
            PipelineError: an argument cannot be used.
            FeedbackError: a gain cannot be.
        """
        references, clips, batched = _split_clips(reference, poses)
        if isinstance(generator, (list, tuple)) and len(generator) != len(clips):
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
        start = state if state is not None else latents if latents is not None else generator
        return FrameStream(self, references, clips, batched, settings, start)

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
        portraits = [Image.fromarray(as_array(image, f"reference {n}")) for n, image in enumerate(images)]

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
        cache = project_reference(self.denoising_unet, bank, token).to(device)
        return dataclasses.replace(cache, latents=latents.float())

    @torch.no_grad()
    def encode_pose(self, pictures: Sequence[Picture] | torch.Tensor) -> torch.Tensor:
        """Turn n pose pictures into the pose feature (n, C, h, w).

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
        return feature

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
            several = isinstance(generator, Sequence)
            return randn_tensor(
                shape, list(generator) if several else generator, device=device, dtype=torch.float32
            )
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
