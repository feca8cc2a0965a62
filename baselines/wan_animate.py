"""Wan2.2-Animate-14B, segment by segment as a stream.

The model takes the poses and the face crops of the driving video. A segment has 77 frames, the first of them
carried over from the segment before. `WanAnimatePipeline` of diffusers holds the whole film; here a segment
is yielded as soon as it is generated, with the same frames.
"""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from baselines.arguments import number, whole_number
from baselines.checkpoint import weight_files
from baselines.diffusers_contestant import FILTER, animate_separately, device_and_dtype, prepare
from talkingpose.data.contestant import Case, ContestantError, ContestantInfo, Keypoints
from talkingpose.io.image import Image

if TYPE_CHECKING:
    import torch

NAME: Final = "wan-animate"
# The repository as its pages show it; its files carry no hash here, so they are not in the lock file.
REPOSITORY: Final = "Wan-AI/Wan2.2-Animate-14B-Diffusers"
REVISION: Final = "6f4df10"
SIZE: Final = "82.3 GB"
LICENCE: Final = "Apache-2.0"
# "People in the video are doing actions", the default of the official code (wan/animate.py).
PROMPT: Final = "视频中的人在做动作"
# Classes that a folder may name in `model_index.json`; diffusers would import any other from the folder.
_COMPONENTS: Final = {
    "transformer": ("diffusers.WanAnimateTransformer3DModel",),
    "vae": ("diffusers.AutoencoderKLWan",),
    "scheduler": ("diffusers.UniPCMultistepScheduler",),
    "text_encoder": ("transformers.UMT5EncoderModel",),
    "tokenizer": ("transformers.T5TokenizerFast", "transformers.T5Tokenizer"),
    "image_encoder": ("transformers.CLIPVisionModel",),
    "image_processor": ("transformers.CLIPImageProcessor", "transformers.CLIPImageProcessorFast"),
}
_UNIT = 16
_PROMPT_LENGTH = 512


@dataclass(frozen=True)
class Segments:
    """Division of a clip into segments.

    Attributes:
        length: frames of a segment, 4 k + 1.
        carry: frames that a segment repeats from the one before, 1 or 5.
    """

    length: int = 77
    carry: int = 1

    def count(self, num_frames: int) -> int:
        """Return the number of segments of a clip."""
        new = self.length - self.carry
        return max(1, -(-(num_frames - self.carry) // new))


class WanAnimate:
    """Wan-Animate in animation mode, in the parts of diffusers' `WanAnimatePipeline`.

    The pose pictures are those of DWPose without the face; the official preprocessing draws the same limbs
    from another detector in its own style.

    Args:
        checkpoint: folder of the repository in diffusers' layout; None names what to fetch.
        device: `cpu` (float32), `cuda` or `cuda:N` (bfloat16, the VAE in float32).
        steps: sampling steps per segment.
        guidance: classifier-free guidance scale; 1 runs without, as the official code.
        side: longer side of the generated frames in pixels.
        segment: frames per segment, 4 k + 1.
        carry: frames carried over from segment to segment, 1 or 5.

    Raises:
        ContestantError: diffusers is too old, weights are missing, or a setting has an invalid value.
        CheckpointError: the folder is not this pipeline, or cannot be read.
    """

    def __init__(
        self,
        *,
        checkpoint: str | None,
        device: str,
        steps: str | int = 20,
        guidance: str | float = 1.0,
        side: str | int = 832,
        segment: str | int = 77,
        carry: str | int = 1,
    ) -> None:
        self._steps, self._guidance = whole_number("steps", steps, least=1), number("guidance", guidance)
        self._side = whole_number("side", side, least=_UNIT)
        self._segments = _segments(whole_number("segment", segment, least=5), str(carry))
        folder = _folder(checkpoint)
        device, dtype = device_and_dtype(device, "bfloat16")
        self._pipeline = _load(folder, dtype)
        models = [part for name, part in self._pipeline.components.items() if hasattr(part, "parameters")]
        parameters = sum(weight.numel() for model in models for weight in model.parameters())
        prepare(self._pipeline, device)
        self._prompts = [_encode_prompt(self._pipeline, text) for text in (PROMPT, "")]
        # It is 5.7 of 18 billion parameters and is not needed again.
        self._pipeline.text_encoder = None
        self.info = ContestantInfo(
            name=NAME,
            revision="1",
            parameters=parameters,
            licence=LICENCE,
            window=self._segments.length,
            args={
                "steps": self._steps,
                "guidance": self._guidance,
                "prompt": PROMPT,
                "pose_picture": "dwpose without face",
                "size": f"longer side {self._side}, {FILTER}",
                "dtype": str(dtype).removeprefix("torch."),
            },
            weights=weight_files(folder),
            driving_frames="face",
            backbone="wan-2.2-animate-14b" if parameters > 10**10 else None,
            carry=self._segments.carry,
            streams=True,
            memory="constant",
        )

    def animate(self, cases: Sequence[Case], *, seed: int) -> Iterator[list[Image]]:
        """Yield the frames of the running cases, generated at the native size and resized."""
        from talkingpose.pipeline.load import scaled_size

        size = scaled_size(cases[0].width, cases[0].height, self._side, _UNIT)
        return animate_separately(cases, seed, size, self._frames)

    def _frames(self, case: Case, size: tuple[int, int], generator: torch.Generator) -> Iterator[Image]:
        if case.driving_frames is None:
            raise ContestantError(f"clip {case.clip_id}: no face crops of the driving clip: give them")
        pairs = zip(case.keypoints, case.driving_frames, strict=False)
        return stream_segments(
            self._pipeline,
            case.reference,
            ((_pose_picture(keypoints, size), face) for keypoints, face in pairs),
            num_frames=case.num_frames,
            size=size,
            segments=self._segments,
            steps=self._steps,
            guidance=self._guidance,
            prompts=self._prompts,
            generator=generator,
        )


def stream_segments(
    pipeline: Any,
    reference: Image,
    pairs: Iterator[tuple[Image, Image]],
    *,
    num_frames: int,
    size: tuple[int, int],
    segments: Segments,
    steps: int,
    guidance: float,
    prompts: Sequence[torch.Tensor],
    generator: torch.Generator,
) -> Iterator[Image]:
    """Yield the frames of `WanAnimatePipeline` in animation mode, segment by segment.

    The steps are those of its `__call__`. Poses and faces of at most two segments are held.

    Args:
        pipeline: a `WanAnimatePipeline`.
        reference: portrait, uint8 (H, W, 3).
        pairs: pose picture and face crop of each frame, uint8 (H, W, 3).
        num_frames: length of the clip.
        size: width and height, multiples of 16.
        segments: division of the clip.
        steps: sampling steps per segment.
        guidance: scale; above 1 every step runs twice.
        prompts: embeddings of the prompt and of the negative prompt.
        generator: of the noise, on the CPU.
    """
    import torch
    from PIL import Image as PillowImage

    width, height = size
    device, dtype = pipeline.device, pipeline.transformer.dtype
    portrait = PillowImage.fromarray(reference)
    with torch.no_grad():
        pixels = pipeline.vae_image_processor.preprocess(
            portrait, height=height, width=width, resize_mode="fill"
        ).to(device, torch.float32)
        image_embeds = pipeline.encode_image(portrait, device).to(dtype)
        reference_latents = pipeline.prepare_reference_image_latents(pixels, 1, device=device)

    held: deque[tuple[Image, Image]] = deque(maxlen=2 * segments.length)
    decoded: torch.Tensor | None = None
    read = 0
    for index in range(segments.count(num_frames)):
        # 1. The driving frames of the segment; a last one is filled by playing the clip backwards.
        missing = segments.length - (segments.carry if index else 0)
        taken = list(islice(pairs, min(missing, num_frames - read)))
        read += len(taken)
        held.extend(taken)
        part = _reflected(list(held), missing - len(taken))[-segments.length :]
        with torch.no_grad():
            poses = _video(pipeline, [pose for pose, _ in part], width, height)
            side = pipeline.transformer.config.motion_encoder_size
            faces = _video(pipeline, [face for _, face in part], side, side).to(dtype)

            # 2. Conditions and noise.
            previous = None if decoded is None else decoded[:, :, -segments.carry :]
            pose_latents = pipeline.prepare_pose_latents(poses, 1, device=device).to(dtype)
            previous_latents = pipeline.prepare_prev_segment_cond_latents(
                previous,
                segment_frame_length=segments.length,
                start_frame=index,
                height=height,
                width=width,
                prev_segment_cond_frames=segments.carry,
                task="animate",
                device=device,
            )
            conditions = torch.cat([reference_latents, previous_latents], dim=2)
            latents = pipeline.prepare_latents(
                1,
                pipeline.vae.config.z_dim,
                height,
                width,
                segments.length,
                torch.float32,
                device,
                generator,
            )

            # 3. Denoise; the scheduler has a memory, so every segment restarts it.
            pipeline.scheduler.set_timesteps(steps, device=device)
            for timestep in pipeline.scheduler.timesteps:
                model = _Call(pipeline.transformer, conditions, pose_latents, image_embeds)
                output = model(latents, timestep, prompts[0], faces)
                if guidance > 1:
                    unconditional = model(latents, timestep, prompts[1], torch.full_like(faces, -1))
                    output = unconditional + guidance * (output - unconditional)
                latents = pipeline.scheduler.step(output, timestep, latents, return_dict=False)[0]

            # 4. Decode; the first latent frame is that of the portrait.
            decoded = _decode(pipeline, latents[:, :, 1:])[:, :, segments.carry if index else 0 :]
        frames = pipeline.video_processor.postprocess_video(decoded, output_type="np")[0]
        written = num_frames - read + len(taken)
        yield from islice((np.asarray((frame * 255).round(), np.uint8) for frame in frames), written)


@dataclass(frozen=True)
class _Call:
    """Call of the transformer with the conditions of a segment."""

    transformer: Any
    conditions: torch.Tensor
    poses: torch.Tensor
    image: torch.Tensor

    def __call__(
        self,
        latents: torch.Tensor,
        timestep: torch.Tensor,
        prompt: torch.Tensor,
        faces: torch.Tensor,
    ) -> torch.Tensor:
        import torch

        output: torch.Tensor = self.transformer(
            hidden_states=torch.cat([latents, self.conditions], dim=1).to(self.transformer.dtype),
            timestep=timestep.expand(1),
            encoder_hidden_states=prompt,
            encoder_hidden_states_image=self.image,
            pose_hidden_states=self.poses,
            face_pixel_values=faces,
            return_dict=False,
        )[0]
        return output


def _decode(pipeline: Any, latents: torch.Tensor) -> torch.Tensor:
    """Decode latents (1, C, t, h, w) to pixels (1, 3, T, H, W) in [-1, 1]."""
    import torch

    latents = latents.to(pipeline.vae.dtype)
    shape = (1, pipeline.vae.config.z_dim, 1, 1, 1)
    mean, deviation = (
        torch.tensor(values).view(shape).to(latents.device, latents.dtype)
        for values in (pipeline.vae.config.latents_mean, pipeline.vae.config.latents_std)
    )
    pixels: torch.Tensor = pipeline.vae.decode(latents / (1.0 / deviation) + mean, return_dict=False)[0]
    return pixels


def _video(pipeline: Any, images: Sequence[Image], width: int, height: int) -> torch.Tensor:
    """Return images as a video (1, 3, T, height, width) in [-1, 1], float32."""
    import torch
    from PIL import Image as PillowImage

    pictures = [PillowImage.fromarray(image) for image in images]
    video: torch.Tensor = pipeline.video_processor.preprocess_video(pictures, height=height, width=width)
    return video.to(pipeline.device, torch.float32)


def _reflected(frames: list[tuple[Image, Image]], missing: int) -> list[tuple[Image, Image]]:
    """Append `missing` frames by walking back from the last one, and forth again from the first."""
    if len(frames) == 1:
        return frames * (1 + missing)
    period = [*range(len(frames)), *range(len(frames) - 2, 0, -1)]
    return [frames[period[step % len(period)]] for step in range(len(frames) + missing)]


def _pose_picture(keypoints: Keypoints, size: tuple[int, int]) -> Image:
    from talkingpose.pose import FACE, draw_pose

    drawn = keypoints.copy()
    drawn[FACE, 2] = 0
    return draw_pose(drawn, size[1], size[0])


def _segments(length: int, carry: str) -> Segments:
    if length % 4 != 1:
        raise ContestantError(f"--model-args segment={length}: give a multiple of 4, plus 1")
    if carry not in ("1", "5") or int(carry) >= length:
        raise ContestantError(f"--model-args carry={carry}: give 1 or 5, less than segment")
    return Segments(length, int(carry))


def _folder(checkpoint: str | None) -> Path:
    if checkpoint is None:
        raise ContestantError(
            f"{NAME}: the weights of {REPOSITORY} are missing ({SIZE}, licence {LICENCE}): give --checkpoint "
            f"FOLDER after hf download {REPOSITORY} --revision {REVISION} --local-dir FOLDER"
        )
    if not (Path(checkpoint) / "model_index.json").is_file():
        raise ContestantError(
            f"--checkpoint {checkpoint}: has no model_index.json: give a copy of {REPOSITORY}"
        )
    return Path(checkpoint)


def _load(folder: Path, dtype: torch.dtype) -> Any:
    import diffusers
    import torch

    from talkingpose.model.checkpoint_folder import CheckpointError
    from talkingpose.model.diffusers_checkpoint import check_index

    kind = getattr(diffusers, "WanAnimatePipeline", None)
    if kind is None:
        raise ContestantError(
            f"{NAME}: diffusers {diffusers.__version__} has no WanAnimatePipeline: install a newer diffusers"
        )
    check_index(folder, "WanAnimatePipeline", _COMPONENTS)
    try:
        with warnings.catch_warnings():
            # Newer versions of diffusers call the type of the weights by another name.
            warnings.simplefilter("ignore", FutureWarning)
            return kind.from_pretrained(
                folder,
                torch_dtype={"vae": torch.float32, "default": dtype},
                local_files_only=True,
                use_safetensors=True,
            )
    except Exception as error:  # diffusers raises a dozen classes for a folder it cannot read
        reason = " ".join(str(error).split())[:150]
        raise CheckpointError(f"checkpoint {folder}: cannot be loaded ({reason}): fetch it again") from error


def _encode_prompt(pipeline: Any, text: str) -> torch.Tensor:
    """Return the embeddings (1, 512, C) of a text, zeros after its end.

    `encode_prompt` of the pipeline does the same, but needs ftfy to correct the text first.
    """
    import torch

    tokens = pipeline.tokenizer(
        [text],
        padding="max_length",
        max_length=_PROMPT_LENGTH,
        truncation=True,
        return_attention_mask=True,
        return_tensors="pt",
    )
    mask = tokens.attention_mask.to(pipeline.device)
    with torch.no_grad():
        states = pipeline.text_encoder(tokens.input_ids.to(pipeline.device), mask).last_hidden_state
    embeddings: torch.Tensor = states * mask[..., None].to(states.dtype)
    return embeddings.to(pipeline.transformer.dtype)
