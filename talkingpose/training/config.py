"""Configuration of a training: one YAML file of what differs from `default.yaml`.

Three stages share one vocabulary: `vae` trains the autoencoder on single frames, `denoiser` trains reference
UNet, denoising UNet, pose guider and optionally the image encoder on pairs of frames, `perceptual` trains
them and the decoder of the autoencoder end to end on the pictures of the sampler.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from talkingpose.io.documents import parse_yaml, read_yaml
from talkingpose.training.errors import TrainingError

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class PartConfig(_Section):
    """Origin of a part of the model: a folder, a Hub repository, or a configuration for random weights.

    Attributes:
        pretrained: folder, `owner/name`, or `tiny` for the bundled checkpoint.
        subfolder, revision: inside it.
        config: arguments of the diffusers or transformers class for random weights.
        zero_output: the last layer of a pose guider starts at zero, so that it adds nothing at first.
    """

    pretrained: str | None = None
    subfolder: str | None = None
    revision: str | None = None
    config: dict[str, Any] | None = None
    zero_output: bool = False

    @model_validator(mode="after")
    def _one_origin(self) -> PartConfig:
        if (self.pretrained is None) == (self.config is None):
            raise ValueError("give either pretrained or config")
        return self


class ModelConfig(_Section):
    """Parts of the model. `reference_unet` starts as `unet` if it is not given.

    Attributes:
        freeze: parts, or prefixes of parameter names (`reference_unet.up_blocks.3`), that are not trained.
    """

    vae: PartConfig
    unet: PartConfig | None = None
    reference_unet: PartConfig | None = None
    image_encoder: PartConfig | None = None
    pose_guider: PartConfig | None = None
    freeze: tuple[str, ...] = ()


class SourceConfig(_Section):
    """Training source by its name in the entry-point group `talkingpose.training_sources`.

    Attributes:
        options: its arguments.
        validation: arguments that differ for the fixed validation set.
    """

    name: str
    options: dict[str, Any] = {}
    validation: dict[str, Any] = {}


class AugmentationConfig(_Section):
    """Augmentation of the frames of a group.

    Attributes:
        crop_scale: area of a random crop, as a share, common to portrait, target and pose.
        crop: share of the groups that are cropped.
        flip: share of the groups that are mirrored, keypoints included.
        separate_reference: share of the groups whose portrait gets a separate crop.
        min_distance: minimum number of frames between portrait and target.
    """

    crop_scale: tuple[Share, Share] = (0.9, 1.0)
    crop: Share = 1.0
    flip: Share = 0.0
    separate_reference: Share = 0.0
    min_distance: Count = 10


class PoolConfig(_Section):
    """Groups that are prepared once and used again, for sources that are slower than a training step.

    Attributes:
        folder: of the prepared pictures; two stages of one configuration may share it.
        groups: number of groups, each of one person.
        frames: number of frames per group; every ordered pair of them is a sample.
    """

    folder: str
    groups: Count
    frames: Annotated[int, Field(ge=2)]


class OptimizerConfig(_Section):
    """AdamW and its schedule. With `decay: cosine` the rate falls to `final` of its value at the end.

    Attributes:
        rates: learning rate of a part, by a prefix of its parameter names; the longest prefix wins.
    """

    learning_rate: Positive
    rates: dict[str, Positive] = {}
    weight_decay: Annotated[float, Field(ge=0)] = 1e-2
    betas: tuple[Share, Share] = (0.9, 0.999)
    warmup_steps: Annotated[int, Field(ge=0)] = 0
    decay: Literal["constant", "cosine"] = "constant"
    final: Share = 0.0
    max_grad_norm: Positive = 1.0


class DiffusionConfig(_Section):
    """Objective of the denoiser. The schedule is written into the checkpoint for inference.

    Attributes:
        condition_dropout: share of the samples of a batch without their portrait.
        sample_latents: draw latents from the posterior of the autoencoder instead of taking its mean.
        face_weight, hand_weight: weight of a latent of a face or hand; 1 is that of any other.
    """

    beta_schedule: Literal["scaled_linear", "linear"] = "scaled_linear"
    min_snr_gamma: Positive = 5.0
    noise_offset: Annotated[float, Field(ge=0)] = 0.05
    condition_dropout: Share = 0.1
    sample_latents: bool = False
    face_weight: Annotated[float, Field(ge=1)] = 1.0
    hand_weight: Annotated[float, Field(ge=1)] = 1.0


class AutoencoderConfig(_Section):
    """Objective of the autoencoder.

    Attributes:
        edge_weight: additional weight of a pixel on a strong edge.
        face_weight, hand_weight: weight of a pixel of a face or hand; 1 is that of any other.
        gradient_weight: of the L1 distance of the picture gradients.
        kl_weight: of the mean KL divergence per latent value.
    """

    edge_weight: Annotated[float, Field(ge=0)] = 4.0
    face_weight: Annotated[float, Field(ge=1)] = 2.0
    hand_weight: Annotated[float, Field(ge=1)] = 2.0
    gradient_weight: Annotated[float, Field(ge=0)] = 1.0
    kl_weight: Annotated[float, Field(ge=0)] = 1e-5


class PictureConfig(_Section):
    """Objective on pictures, of stage `perceptual`, and of stage `vae` if a weight of LPIPS is above 0.

    Attributes:
        lpips_weight: of LPIPS with more weight on regions.
        face_weight, hand_weight, mouth_weight: added to the weight of a pixel of a region; 0 adds nothing.
        closeup_weight: of LPIPS of a square around a face or hand, enlarged to twice its side.
        closeup_side: of the square, in pixels.
        mse_weight: of the squared error of pixels in [-1, 1].
        background_weight: of the root of the squared error of the background.
    """

    lpips_weight: Annotated[float, Field(ge=0)] = 0.0
    face_weight: Annotated[float, Field(ge=0)] = 2.0
    hand_weight: Annotated[float, Field(ge=0)] = 3.0
    mouth_weight: Annotated[float, Field(ge=0)] = 2.0
    closeup_weight: Annotated[float, Field(ge=0)] = 0.0
    closeup_side: Annotated[int, Field(ge=16)] = 48
    mse_weight: Annotated[float, Field(ge=0)] = 0.0
    background_weight: Annotated[float, Field(ge=0)] = 0.0

    @property
    def is_used(self) -> bool:
        """True if any of its terms counts."""
        return any((self.lpips_weight, self.closeup_weight, self.mse_weight, self.background_weight))


class SamplingConfig(_Section):
    """Sampler of stage `perceptual`, and the objective that keeps the denoiser a denoiser.

    Attributes:
        steps: of the sampler; the last has a gradient. Give the number of steps of inference.
        latent_weight: of the squared error of the latents, and of the error of v.
        v_share: share of the samples that also get the error of v, at one noise level each.
        last_timestep_share: share of these at the last timestep, which the sampler starts from.
    """

    steps: Count = 2
    latent_weight: Annotated[float, Field(ge=0)] = 0.5
    v_share: Share = 0.25
    last_timestep_share: Share = 0.6


class ValidationConfig(_Section):
    """Fixed validation set: a sample sheet and a PSNR every `every` steps."""

    every: Count = 1000
    samples: Count = 16
    inference_steps: Count = 10
    guidance_scale: Annotated[float, Field(ge=0)] = 1.0


class TrainConfig(_Section):
    """Configuration of a training.

    Attributes:
        size: side of the square pictures, in pixels.
        batch_size: samples per process and micro-batch; a step takes batch_size x accumulate x processes.
        targets_per_portrait: consecutive samples with the same portrait and different targets; the reference
            UNet runs once for all of them.
        workers: processes that prepare samples, at most one less than there are cores; 0 prepares them in
            the process of the training.
        save_every: steps between two states to resume from; the checkpoint is written at each validation.
        save_dtype: type of the weights of the checkpoint.
        threads: of torch on the CPU; null leaves the choice to torch.
    """

    stage: Literal["vae", "denoiser", "perceptual"]
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
    picture: PictureConfig = PictureConfig()
    sampling: SamplingConfig = SamplingConfig()
    validation: ValidationConfig = ValidationConfig()

    @model_validator(mode="after")
    def _complete(self) -> TrainConfig:
        if self.stage != "vae":
            for name in ("unet", "image_encoder", "pose_guider"):
                if getattr(self.model, name) is None:
                    raise ValueError(f"model.{name}: required by stage {self.stage}")
            if self.model.vae.pretrained is None:
                raise ValueError(f"model.vae: stage {self.stage} needs a trained one: give pretrained")
        for name in ("vae", "unet", "reference_unet", "image_encoder"):
            part = getattr(self.model, name)
            if part is not None and part.zero_output:
                raise ValueError(f"model.{name}: zero_output is for a pose guider: remove it")
        if self.diffusion.sample_latents and self.pool is not None:
            raise ValueError(
                "diffusion.sample_latents: latents of a pool are stored: set pool: null or false"
            )
        if self.stage == "perceptual" and not self.picture.is_used:
            raise ValueError("picture: every weight is 0: start from base: tiny-perceptual")
        closeup = self.picture.closeup_side
        if self.picture.is_used and self.stage != "denoiser" and not (closeup <= self.size >= 32):
            raise ValueError(f"size: {self.size} must be at least 32 and picture.closeup_side {closeup}")
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
        """Return the effective configuration, defaults included, as a file that gives the same training."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)


def shipped() -> tuple[str, ...]:
    """Return the names of the configurations in the package."""
    folder = resources.files("talkingpose.training").joinpath("configs")
    return tuple(sorted(Path(f.name).stem for f in folder.iterdir() if f.name.endswith(".yaml")))


def load_config(
    location: str, overrides: Mapping[str, Any] | None = None, *, start: Mapping[str, Any] | None = None
) -> TrainConfig:
    """Read a configuration: a YAML file, or the name of a shipped one.

    A file with `base: NAME` contains only what differs from the shipped configuration NAME. Sections are
    merged key by key; a part of the model and a source of another name replace those of the base.

    Args:
        location: path, or one of `shipped()`.
        overrides: keys that override the file, merged like it.
        start: keys that override the shipped configuration, and that the file overrides.

    Raises:
        TrainingError: no such file or base, no base for `start`, an unknown key, or an invalid value; names
            the key.
        DocumentError: the file is not YAML within the limits.
    """
    path = Path(location)
    if location in shipped() and not path.is_file():
        content: Any = {"base": location}
    elif path.exists():
        content = read_yaml(path, "config")
    else:
        raise TrainingError(f"config {location}: no such file: give a YAML file or {', '.join(shipped())}")
    if not isinstance(content, dict):
        raise TrainingError(f"config {location}: not a table of keys: start from a shipped configuration")
    base = content.pop("base", None)
    if base is not None:
        if base not in shipped():
            raise TrainingError(f"config {location}: base {base}: unknown: give {', '.join(shipped())}")
        content = _merged(_merged(_read_shipped(base), start or {}), content)
    elif start is not None:
        raise TrainingError(f"config {location}: key base is missing: add base: finetune")
    return checked(_merged(content, overrides or {}), location)


def checked(content: Mapping[str, Any], where: str) -> TrainConfig:
    """Check the content of a configuration.

    Raises:
        TrainingError: an unknown or missing key, or an invalid value; names the key.
    """
    try:
        return TrainConfig.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            similar = difflib.get_close_matches(str(first["loc"][-1]), _keys(first["loc"][:-1]), n=1)
            hint = f"did you mean {similar[0]}?" if similar else "remove it"
            raise TrainingError(f"config {where}: unknown key {key}: {hint}") from error
        if first["type"] == "missing":
            raise TrainingError(f"config {where}: key {key} is missing: add it") from error
        message = first["msg"].removeprefix("Value error, ")
        given = f" (got {first['input']!r:.200})" if key and not isinstance(first["input"], dict) else ""
        raise TrainingError(f"config {where}: {f'{key}: ' if key else ''}{message}{given}") from error


def _read_shipped(name: str) -> dict[str, Any]:
    file = resources.files("talkingpose.training").joinpath(f"configs/{name}.yaml")
    content: dict[str, Any] = parse_yaml(file.read_text(encoding="utf-8"), f"config {name}")
    return content


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in changes.items():
        old = base.get(key)
        # The arguments of another source or of another kind of part make no sense for this one.
        replaced = isinstance(value, dict) and bool({"name", "pretrained", "config"} & value.keys())
        if isinstance(value, dict) and isinstance(old, dict) and not replaced:
            result[key] = _merged(old, value)
        else:
            result[key] = value
    return result


def _keys(path: tuple[int | str, ...]) -> list[str]:
    """Return the keys of the section at a path."""
    section: Any = TrainConfig
    for part in path:
        annotation = section.model_fields[part].annotation
        section = next(
            kind
            for kind in (annotation, *get_args(annotation))
            if isinstance(kind, type) and issubclass(kind, BaseModel)
        )
    return list(section.model_fields)
