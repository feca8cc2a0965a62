"""Choice of the model for a portrait: `tp-animate --model auto`."""

from __future__ import annotations

from talkingpose.io.image import Image
from talkingpose.model.checkpoint_folder import HUB_CHECKPOINT, CheckpointError, checkpoint_folder

AUTO, TINY, WARP = "auto", "tiny", "warp"

# The drawn speakers that `tiny` was trained on are no larger. It makes a photograph a smear.
_DRAWN_SIDE = 128


def choose_model(requested: str, portrait: Image) -> tuple[str, str | None]:
    """Return the model for a portrait, and a line for the user where one is due.

    `auto` is the published weights if they are on this machine. Otherwise it is `tiny` for a portrait of the
    size of its drawn speakers, and `warp`, which has no weights, for any other.

    Args:
        requested: auto, tiny, hub, warp or a folder.
        portrait: uint8 RGB (H, W, 3).
    """
    small = max(portrait.shape[:2]) <= _DRAWN_SIDE
    if requested == TINY and not small:
        return TINY, (
            "warning: tiny knows only the drawn speakers of tp-mini, and makes a photograph a smear: "
            "for a photograph use --model warp or --model hub"
        )
    if requested != AUTO:
        return requested, None
    if published_weights_present():
        return HUB_CHECKPOINT, None
    if small:
        return TINY, (
            f"model tiny, because a portrait of at most {_DRAWN_SIDE} pixels is taken for a drawn speaker: "
            "for a photograph use --model warp"
        )
    return WARP, f"model warp, which moves the portrait in pieces. {how_to_fetch()}"


def published_weights_present() -> bool:
    """Return True if all published weight files are on this machine."""
    try:
        checkpoint_folder(HUB_CHECKPOINT)
    except CheckpointError:
        return False
    return True


def how_to_fetch() -> str:
    """Return the command that fetches the published weights, with their size and licences."""
    from talkingpose.weights import files_for

    entries = files_for("talkingpose")
    known = sum(entry.size or 0 for entry in entries) / 1e9
    unknown = sum(entry.size is None for entry in entries)
    licences = list(dict.fromkeys(entry.licence for entry in entries))
    return (
        "The published weights animate faces and hands: tp-eval weights fetch --for talkingpose "
        f"--accept-licence ({known:.1f} GB and {unknown} files of unpublished size; "
        f"licences: {'; '.join(licences)})"
    )
