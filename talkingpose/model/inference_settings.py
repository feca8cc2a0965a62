"""Settings with which a checkpoint is run, stored beside its weights in `inference.json`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from talkingpose.io.atomic import write_text
from talkingpose.io.documents import read_json
from talkingpose.io.errors import UserError

if TYPE_CHECKING:
    import numpy.typing as npt

    from talkingpose.io.image import Image

INFERENCE_FILE = "inference.json"


class InferenceSettingsError(UserError):
    """Inference settings of a checkpoint that cannot be used."""


class InferenceSettings(BaseModel):
    """Defaults of a checkpoint; the caller may override the first two.

    The default values are those of the published model and of every checkpoint without the file.

    Attributes:
        num_inference_steps: DDIM steps per frame.
        guidance_scale: classifier-free guidance; 1 or less runs without.
        pose_picture: drawing of the poses in training. `dwpose`: lines and discs of fixed size in pixels, at
            every size, as the official code. `proportional`: in proportion below 512 pixels.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    num_inference_steps: Annotated[int, Field(ge=1)] = 30
    guidance_scale: Annotated[float, Field(ge=0)] = 3.5
    pose_picture: Literal["dwpose", "proportional"] = "dwpose"

    def draw(self, keypoints: npt.NDArray[Any], height: int, width: int) -> Image:
        """Draw keypoints (133, 3) as in training: uint8 (height, width, 3) RGB."""
        if self.pose_picture == "dwpose":
            from talkingpose.pose import draw_pose

            return draw_pose(keypoints, height, width)
        from talkingpose.pose.overlay import pose_image

        return pose_image(keypoints, height, width)

    def write(self, folder: Path) -> None:
        """Write the settings into the folder of a checkpoint."""
        write_text(folder / INFERENCE_FILE, self.model_dump_json(indent=1) + "\n")


def read_inference(folder: Path) -> InferenceSettings:
    """Return the settings of a checkpoint; those of the published model if it has none.

    Raises:
        InferenceSettingsError: a setting is unknown or out of range.
        DocumentError: the file is no JSON document within the limits.
    """
    path = folder / INFERENCE_FILE
    if not path.exists():
        return InferenceSettings()
    content = read_json(path, "checkpoint")
    try:
        return InferenceSettings.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part)[:100] for part in first["loc"]) or "content"
        raise InferenceSettingsError(
            f"checkpoint {path}: {where}: {first['msg']}: correct the file or remove it"
        ) from error
