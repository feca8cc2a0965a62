"""Choice of the pose estimator: `tp-animate --pose`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from talkingpose.model.checkpoint_folder import HUB_CHECKPOINT, OFFICIAL_FILE

if TYPE_CHECKING:
    from talkingpose.pose import PoseEstimator

PoseName = Literal["auto", "dwpose", "mediapipe"]

_DWPOSE_FILES = ("dwpose-detector", "dwpose")
# mediapipe finds faces and hands of a small picture only when it is enlarged.
SMALLEST_SIDE = 512


@dataclass(frozen=True)
class PoseChoice:
    """Estimator of a job.

    Attributes:
        name: of the estimator.
        line: for the user, None if there is nothing to say.
    """

    name: Literal["dwpose", "mediapipe"]
    line: str | None = None

    def open(self, *, picture: bool = False) -> PoseEstimator:
        """Create the estimator for one video, or for one picture.

        Raises:
            WeightsError, PoseError: its model is missing or damaged.
        """
        if self.name == "dwpose":
            from talkingpose.pose import DWPoseEstimator
            from talkingpose.weights import find

            detector, model = (find(name, needed_by="dwpose") for name in _DWPOSE_FILES)
            return DWPoseEstimator(detector, model)
        from talkingpose.pose import HolisticEstimator

        return HolisticEstimator(static_image_mode=picture)


def choose_pose(requested: PoseName, model: str) -> PoseChoice:
    """Return the estimator for a model.

    The published weights are trained on poses of DWPose. `auto` takes it for them if its files are on this
    machine; for every other model it is mediapipe, which needs no file.

    Args:
        requested: auto, dwpose or mediapipe.
        model: tiny, hub, warp or a folder.

    Raises:
        WeightsError: `dwpose` is requested and its files are missing.
    """
    published = model == HUB_CHECKPOINT or any(
        (Path(model) / place / OFFICIAL_FILE).is_file() for place in ("", "weights")
    )
    if requested == "dwpose" or (requested == "auto" and published and _dwpose_present()):
        if requested == "dwpose":
            _require_dwpose()
        return PoseChoice("dwpose")
    if not published:
        return PoseChoice("mediapipe")
    return PoseChoice(
        "mediapipe",
        "warning: these weights are trained on poses of DWPose, and mediapipe's differ in face and hands: "
        "tp-eval weights fetch dwpose-detector dwpose, then --pose dwpose",
    )


def _dwpose_present() -> bool:
    from talkingpose.weights import WeightsError

    try:
        _require_dwpose()
    except WeightsError:
        return False
    return True


def _require_dwpose() -> None:
    from talkingpose.weights import find

    for name in _DWPOSE_FILES:
        find(name, needed_by="dwpose")
