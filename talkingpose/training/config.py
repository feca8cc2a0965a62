"""The configuration of a training: one YAML file, checked whole before anything is loaded.

Two stages with one vocabulary: `vae` trains the autoencoder on single frames, `denoiser` trains reference
UNet, denoising UNet, pose guider and, if asked, the image encoder on pairs of frames.
"""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from talkingpose.training.errors import TrainingError

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class PartConfig(_Section):
    """Where a part of the model comes from: a folder, a Hub repository, or a configuration for a fresh start.

    Attributes:
        pretrained: folder or `owner/name`, read with `from_pretrained`.
        subfolder, revision: inside it.
        config: arguments of the diffusers or transformers class for random weights.
    """

    pretrained: str | None = None
    subfolder: str | None = None
    revision: str | None = None
    config: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _one_origin(self) -> PartConfig:
        if (self.pretrained is None) == (self.config is None):
            raise ValueError("give either pretrained or config")
        return self


class ModelConfig(_Section):
    """The parts. `reference_unet` starts as `unet` where it is not given.

    Attributes:
        freeze: parts, or beginnings of parameter names (`reference_unet.up_blocks.3`), not to be trained.
    """

    vae: PartConfig
    unet: PartConfig | None = None
    reference_unet: PartConfig | None = None
    image_encoder: PartConfig | None = None
    pose_guider: PartConfig | None = None
    freeze: tuple[str, ...] = ()


class SourceConfig(_Section):
    """A training source by its name in the entry-point group `talkingpose.training_sources`.

    Attributes:
        options: its arguments.
        validation: arguments that differ for the fixed validation set.
    """

    name: str
    options: dict[str, Any] = {}
    validation: dict[str, Any] = {}


class AugmentationConfig(_Section):
    """What is done to the frames of a group before they become a pair.

    Attributes:
        crop_scale: area of a random crop, as a share, shared by portrait, target and pose.
        crop: share of the groups that are cropped.
        flip: share that is mirrored, keypoints included.
        separate_reference: share whose portrait gets a crop of its own.
        min_distance: frames between portrait and target, at least.
    """

    crop_scale: tuple[Share, Share] = (0.9, 1.0)
    crop: Share = 1.0
    flip: Share = 0.0
    separate_reference: Share = 0.0
    min_distance: Count = 10


class PoolConfig(_Section):
    """Groups prepared once and used again: for sources that are slower than a training step.

    Attributes:
        folder: where the prepared pictures lie; two stages of one configuration may share it.
        groups: how many people or clips.
        frames: of each; every ordered pair of them is a sample.
    """

    folder: str
    groups: Count
    frames: Annotated[int, Field(ge=2)]


class OptimizerConfig(_Section):
    """AdamW and its schedule. `decay` `cosine` falls to `final` of the rate at the last step."""

    learning_rate: Positive
    weight_decay: Annotated[float, Field(ge=0)] = 1e-2
    betas: tuple[Share, Share] = (0.9, 0.999)
    warmup_steps: Annotated[int, Field(ge=0)] = 0
    decay: Literal["constant", "cosine"] = "constant"
    final: Share = 0.0
    max_grad_norm: Positive = 1.0


class DiffusionConfig(_Section):
    """The denoiser's objective. The schedule is written into the checkpoint for inference.

    Attributes:
        condition_dropout: share of the samples of a batch that go without their portrait.
        face_weight, hand_weight: how much more a latent of a face or hand counts.
    """

    beta_schedule: Literal["scaled_linear", "linear"] = "scaled_linear"
    min_snr_gamma: Positive = 5.0
    noise_offset: Annotated[float, Field(ge=0)] = 0.05
    condition_dropout: Share = 0.1
    face_weight: Annotated[float, Field(ge=1)] = 1.0
    hand_weight: Annotated[float, Field(ge=1)] = 1.0


class AutoencoderConfig(_Section):
    """The autoencoder's objective.

    Attributes:
        edge_weight: how much more a pixel on a strong edge counts than a flat one.
        face_weight, hand_weight: how much more a pixel of a face or hand counts.
        gradient_weight: of the L1 distance of the picture gradients.
        kl_weight: of the mean KL divergence per latent value.
    """

    edge_weight: Annotated[float, Field(ge=0)] = 4.0
    face_weight: Annotated[float, Field(ge=1)] = 2.0
    hand_weight: Annotated[float, Field(ge=1)] = 2.0
    gradient_weight: Annotated[float, Field(ge=0)] = 1.0
    kl_weight: Annotated[float, Field(ge=0)] = 1e-5


class ValidationConfig(_Section):
    """The fixed validation set: a sheet and a PSNR every `every` steps."""

    every: Count = 1000
    samples: Count = 16
    inference_steps: Count = 10
    guidance_scale: Annotated[float, Field(ge=0)] = 1.0


class TrainConfig(_Section):
    """A whole training.

    Attributes:
        size: side of the square pictures, pixels.
        batch_size: samples per process and micro-batch; a step sees batch_size x accumulate x processes.
        targets_per_portrait: samples in a row that share a portrait and differ in the target; the reference
            UNet runs once for all of them.
        workers: processes that prepare samples, at most one less than there are cores; 0 prepares them in
            the training's own.
        save_every: steps between two states to resume from; the checkpoint comes with the validation.
        save_dtype: type of the checkpoint's weights.
        threads: of torch on the CPU; null leaves torch's choice.
    """

    stage: Literal["vae", "denoiser"]
    out: str
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    size: Count
    steps: Count
    batch_size: Count
    targets_per_portrait: Count = 1
    accumulate: Count = 1
    workers: Annotated[int, Field(ge=0)] = 0
    threads: Count | None = None
    mixed_precision: Literal["no", "bf16", "fp16"] = "no"
    gradient_checkpointing: bool = False
    ema_decay: Share = 0.999
    save_every: Count = 250
    save_dtype: Literal["float32", "float16"] = "float32"
    source: SourceConfig
    pool: PoolConfig | None = None
    augmentation: AugmentationConfig = AugmentationConfig()
    model: ModelConfig
    optimizer: OptimizerConfig
    diffusion: DiffusionConfig = DiffusionConfig()
    autoencoder: AutoencoderConfig = AutoencoderConfig()
    validation: ValidationConfig = ValidationConfig()

    @model_validator(mode="after")
    def _stage_has_its_parts(self) -> TrainConfig:
        if self.stage == "denoiser":
            for name in ("unet", "image_encoder", "pose_guider"):
                if getattr(self.model, name) is None:
                    raise ValueError(f"model.{name}: is needed by stage denoiser")
            if self.model.vae.pretrained is None:
                raise ValueError("model.vae: stage denoiser needs a trained one: give pretrained")
        shared = self.targets_per_portrait
        if self.batch_size % shared:
            raise ValueError(f"targets_per_portrait: {shared} does not divide batch_size {self.batch_size}")
        if self.pool and self.pool.frames < 2 * shared:
            raise ValueError(f"targets_per_portrait: {shared} needs pool.frames of at least {2 * shared}")
        low, high = self.augmentation.crop_scale
        if not 0 < low <= high:
            raise ValueError("augmentation.crop_scale: give [smallest, largest], both above 0")
        return self

    def to_yaml(self) -> str:
        """The effective configuration, defaults included, as a file that gives the same training."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)


def shipped() -> tuple[str, ...]:
    """Names of the configurations that come with the package."""
    folder = resources.files("talkingpose.training").joinpath("configs")
    return tuple(sorted(Path(f.name).stem for f in folder.iterdir() if f.name.endswith(".yaml")))


def load_config(location: str, overrides: dict[str, Any] | None = None) -> TrainConfig:
    """Read a configuration: a YAML file, or the name of a shipped one.

    Args:
        location: path, or one of `shipped()`.
        overrides: top-level keys that take the place of the file's.

    Raises:
        TrainingError: no such file, no YAML, an unknown key, or a value that cannot be; names the key.
    """
    path = Path(location)
    try:
        if location in shipped() and not path.is_file():
            name = f"configs/{location}.yaml"
            text = resources.files("talkingpose.training").joinpath(name).read_text(encoding="utf-8")
        else:
            text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        known = ", ".join(shipped())
        raise TrainingError(
            f"config: {location}: cannot be read: give a YAML file or one of {known}"
        ) from error
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise TrainingError(
            f"config: {location}: is no YAML: {str(error).replace(os.linesep, ' ')}"
        ) from error
    if not isinstance(content, dict):
        raise TrainingError(f"config: {location}: is no table of keys: begin from a shipped configuration")
    return checked({**content, **(overrides or {})}, location)


def checked(content: dict[str, Any], where: str) -> TrainConfig:
    """Check the content of a configuration.

    Raises:
        TrainingError: see `load_config`.
    """
    try:
        return TrainConfig.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise TrainingError(f"config: {where}: unknown key {key}: check its spelling") from error
        if first["type"] == "missing":
            raise TrainingError(f"config: {where}: key {key} is missing: give it") from error
        message = first["msg"].removeprefix("Value error, ")
        more = f" (got {first['input']!r})" if key and not isinstance(first["input"], dict) else ""
        raise TrainingError(f"config: {where}: {f'{key}: ' if key else ''}{message}{more}") from error
