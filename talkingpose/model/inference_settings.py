"""How a checkpoint is meant to be run: settings that lie beside its weights, in `inference.json`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from talkingpose.io.errors import UserError

if TYPE_CHECKING:
    import numpy as np

INFERENCE_FILE = "inference.json"


class InferenceSettingsError(UserError):
    """The inference settings of a checkpoint cannot be read."""


class InferenceSettings(BaseModel):
    """Defaults of a checkpoint; whoever runs it may override the first two.

    Those of the published model stand here and hold for every checkpoint that has no such file.

    Attributes:
        num_inference_steps: DDIM steps per frame.
        guidance_scale: classifier-free guidance; 1 or less runs without.
        pose_picture: how the poses were drawn in training. `dwpose`: lines and discs of fixed size in pixels,
            at every size, as the official code. `proportional`: in proportion below 512 pixels.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    num_inference_steps: Annotated[int, Field(ge=1)] = 30
    guidance_scale: Annotated[float, Field(ge=0)] = 3.5
    pose_picture: Literal["dwpose", "proportional"] = "dwpose"

    def draw(self, keypoints: np.ndarray, height: int, width: int) -> np.ndarray:
        """The pose picture, uint8 (height, width, 3) RGB, of keypoints (133, 3), as the model knows it."""
        if self.pose_picture == "dwpose":
            from talkingpose.pose import draw_pose

            return draw_pose(keypoints, height, width)
        from talkingpose.pose.pose_image import pose_image

        return pose_image(keypoints, height, width)

    def write(self, folder: Path) -> None:
        """Write the settings into the folder of a checkpoint."""
        (folder / INFERENCE_FILE).write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")


def read_inference(folder: Path) -> InferenceSettings:
    """The settings of a checkpoint; those of the published model where it has none.

    Raises:
        InferenceError: the file is damaged, or says what cannot be.
    """
    path = folder / INFERENCE_FILE
    if not path.is_file():
        return InferenceSettings()
    try:
        return InferenceSettings.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "content"
        raise InferenceSettingsError(
            f"checkpoint {path}: {where}: {first['msg']}: mend the file, or remove it"
        ) from error
