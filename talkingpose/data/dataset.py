"""Contract 1: the dataset. Its columns, and reading it clip by clip without loading it whole.

`tp-curate` writes it, `tp-eval` and `tp-train` read it, `datasets.load_dataset` reads it too. A dataset is
a folder (or the Hub copy of one) with a card, `README.md`, that names the Parquet files of each
configuration and split:

    README.md
    clips/SPLIT-00000-of-00001.parquet         default: video, annotations, metadata
    manifest/SPLIT-00000-of-00001.parquet      ids, spans, hashes, licences: no pixel, no keypoint
    annotations/SPLIT-00000-of-00001.parquet   keypoints and scores, no video
"""

from __future__ import annotations

import functools
import hashlib
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ValidationError

from talkingpose.io.errors import UserError

if TYPE_CHECKING:
    import datasets
    import pyarrow
    import pyarrow.dataset

CONFIGS = ("clips", "manifest", "annotations")
SPLITS = ("train", "validation", "test")
NUM_KEYPOINTS = 133

# Measured per clip by the filters; null where a filter did not run. All float32.
SCORES = (
    "face_height_px",  # median height of the main face, pixels of the source
    "face_area",  # median area of the main face, share of the frame as stored
    "yaw_deg",  # median absolute yaw of the head, degrees
    "hands_visible",  # share of the sampled frames with at least one usable hand
    "both_hands_visible",  # share of the sampled frames with both
    "shoulders_visible",  # share of the sampled frames with both shoulders
    "hand_sharpness",  # median energy of the Laplacian per variance of brightness, of the sharper hand
    "face_sharpness",  # the same of the main face
    "motion",  # median change of the person in a second, in standard deviations of the person's brightness
    "brightness",  # mean luma, 0 to 255
    "text_area",  # share of the frame under burnt-in text
    "single_person",  # share of the sampled frames with exactly one person
    "identity_min",  # smallest similarity of a face to the clip's mean one; null where no identity model ran
    "face_speed_max",  # greatest speed of the face, in its own heights a second; null where that model ran
    "left_hand_usability",  # mean of in frame x confidence x sharpness of the person's left hand, 0 to 1
    "right_hand_usability",
    "face_share",  # median height of the main face, share of the shorter side
    "face_luma",  # median luma of the main face, 0 to 255
    "text_covered",  # share of the face, or of a hand, under burnt-in text
    "picture_area",  # share of the source's frame inside borders
    "others_area",  # greatest area of people beside the main one, share of the main person's box
    "cut_max",  # greatest change of scene within a second, 0 to 1
)

_ID = ("clip_id", "source", "source_id", "url")
_SPAN = ("start_pts", "end_pts", "time_base_num", "time_base_den", "start_s", "end_s")
_SHAPE = ("fps", "width", "height", "num_frames", "crop_xyxy")
_ANNOTATION = ("keypoints", "boxes", "scores")
_RIGHTS = ("person_id", "license", "uploader_id", "fetched_at", "rights_evidence")
_HASHES = ("sha256", "phash", "source_sha256", "config_hash", "tool_versions")

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "clips": (*_ID, *_SPAN, *_SHAPE, "video", *_ANNOTATION, *_RIGHTS, *_HASHES),
    "manifest": (*_ID, *_SPAN, *_SHAPE, *_RIGHTS, *_HASHES),
    "annotations": ("clip_id", "source_id", "fps", "width", "height", "num_frames", *_ANNOTATION),
}

# What a reader cannot do without; everything else may be absent in data sets of other hands.
REQUIRED = ("clip_id", "fps", "width", "height", "num_frames", "video", "keypoints")


class DatasetError(UserError):
    """A dataset cannot be found, opened or used."""


def features(config: str) -> datasets.Features:
    """The columns of a configuration as Hugging Face features.

    keypoints are [T, 133, 3] float16 (x, y, confidence, all in [0, 1]), boxes [T, 4] float32 (normalised
    xyxy of the person); `video` holds the bytes of the file and a file name.

    Raises:
        KeyError: there is no configuration of that name.
    """
    from datasets import Array3D, Features, List, Value, Video

    types = {
        **{name: Value("string") for name in (*_ID, *_RIGHTS, *_HASHES)},
        **{name: Value("int64") for name in ("start_pts", "end_pts", "time_base_num", "time_base_den")},
        **{name: Value("float64") for name in ("start_s", "end_s", "fps")},
        **{name: Value("int32") for name in ("width", "height", "num_frames")},
        "crop_xyxy": List(Value("float32")),
        "fetched_at": Value("timestamp[us, tz=UTC]"),
        "keypoints": Array3D(shape=(None, NUM_KEYPOINTS, 3), dtype="float16"),
        "boxes": List(List(Value("float32"))),
        "scores": {name: Value("float32") for name in SCORES},
        "video": Video(),
    }
    return Features({name: types[name] for name in COLUMNS[config]})


def decodable(data: Any) -> Any:
    """A loaded dataset whose `video` column `video_frames` can read on this machine.

    torchcodec decodes lazily where it works; elsewhere the column gives the bytes of the file.

    Args:
        data: a `Dataset`, `IterableDataset` or a dictionary of them, with a column `video`.
    """
    from datasets import Video

    return data.cast_column("video", Video(decode=_torchcodec_works()))


def video_frames(video: Any) -> Iterator[npt.NDArray[np.uint8]]:
    """The frames of a row's `video`, RGB uint8 (H, W, 3), in order.

    Args:
        video: what the column gives: a decoder of torchcodec, or a dictionary with the bytes of the file. The
            two differ by rounding in the conversion of colours; scores are made with the latter.

    Raises:
        DatasetError: neither of them.
        MediaError: the bytes cannot be decoded.
    """
    if isinstance(video, dict):
        from talkingpose.media import VideoReader

        if not video.get("bytes"):
            raise DatasetError(
                "video: the row holds no bytes, only a path: write bytes and path into the column"
            )
        with VideoReader(video["bytes"]) as reader:
            for frame in reader:
                yield frame.image
    elif hasattr(video, "metadata") and hasattr(video, "__len__"):
        for index in range(len(video)):
            yield video[index].permute(1, 2, 0).numpy()
    else:
        raise DatasetError(
            f"video: {type(video).__name__}: give the column of a loaded dataset, see `decodable`"
        )


@functools.cache
def _torchcodec_works() -> bool:
    """Whether torchcodec decodes: it can be imported also where it finds no FFmpeg, and fails later."""
    import tempfile

    from talkingpose.media import VideoWriter

    try:
        decoders = import_module("torchcodec.decoders")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "probe.mp4"
            with VideoWriter(path, fps=Fraction(25)) as writer:
                writer.write(np.zeros((16, 16, 3), np.uint8))
            return len(decoders.VideoDecoder(path.read_bytes())) == 1
    except (ImportError, OSError, RuntimeError, ValueError):
        return False


@dataclass(frozen=True)
class Clip:
    """One row without its video and keypoints.

    Attributes:
        clip_id: stable; the same source, span and crop give the same id.
        split: one of `SPLITS`.
        fps: frames per second, the exact ratio nearest to the stored float64.
        width, height, num_frames: of the clip as stored.
        cluster: what makes clips dependent on one another: the person where one is known, else the source.
        sha256: of the stored video file, None where the dataset does not say.
        source_id: of the footage that it was cut from, None where the dataset does not say.
    """

    clip_id: str
    split: str
    fps: Fraction
    width: int
    height: int
    num_frames: int
    cluster: str
    sha256: str | None
    source_id: str | None = None


class ClipDataset:
    """A dataset opened for reading, one clip at a time.

    Args:
        location: a folder, or a Hub repository as `owner/name` or `owner/name@revision`. The Hub copy is
            fetched whole, once, into the Hub's own cache, and only if the environment allows network use.
        folder: where it lies, for a dataset that is known by a name; `location` is that name then.

    Raises:
        DatasetError: nothing is there, it is no dataset of this schema, or a needed column is missing.
    """

    def __init__(self, location: str, folder: Path | None = None) -> None:
        self.location = location
        self.folder, self.revision = (folder, None) if folder else _resolve(location)
        self._tables = {split: _open(self.folder, files) for split, files in _data_files(self.folder).items()}
        for split, table in self._tables.items():
            missing = [name for name in REQUIRED if name not in table.schema.names]
            if missing:
                raise DatasetError(
                    f"dataset {location}, split {split}: no column {', '.join(missing)}: "
                    "make it with tp-curate, or add the columns of docs/reference/dataset.md"
                )

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that have files, in the order train, validation, test, others."""
        return tuple(self._tables)

    def clips(self, split: str) -> list[Clip]:
        """All clips of a split, sorted by clip id, without reading a video.

        Raises:
            DatasetError: no such split, a clip id twice, or a value that no clip can have.
        """
        if split not in self._tables:
            known = ", ".join(self.splits) or "none"
            raise DatasetError(f"dataset {self.location}: no split {split!r}: it has {known}")
        table = self._tables[split]
        optional = [n for n in ("person_id", "source_id", "sha256") if n in table.schema.names]
        names = ["clip_id", "fps", "width", "height", "num_frames", *optional]
        rows = table.to_table(columns=names).to_pylist()
        clips = sorted((self._clip(row, split) for row in rows), key=lambda clip: clip.clip_id)
        for before, after in itertools.pairwise(clips):
            if before.clip_id == after.clip_id:
                raise DatasetError(
                    f"dataset {self.location}: clip id {after.clip_id} stands twice in {split}"
                )
        return clips

    def video(self, clip: Clip) -> bytes:
        """The bytes of the clip's video file.

        Raises:
            DatasetError: the row holds a path instead of bytes, or nothing.
        """
        value = self._column(clip, "video")[0].as_py()
        data = value.get("bytes") if isinstance(value, dict) else None
        if not data:
            raise DatasetError(
                f"dataset {self.location}, clip {clip.clip_id}: the row holds no video bytes, only a path: "
                "write bytes and path into the column, as tp-curate does"
            )
        return bytes(data)

    def row(self, clip: Clip) -> dict[str, Any]:
        """Every column of the clip but its video and keypoints, as Python values."""
        table = self._tables[clip.split]
        names = [name for name in table.schema.names if name not in ("video", "keypoints")]
        import pyarrow.compute as pc

        found = table.to_table(columns=names, filter=pc.field("clip_id") == clip.clip_id)
        row: dict[str, Any] = found.to_pylist()[0]
        return row

    def keypoints(self, clip: Clip) -> npt.NDArray[np.float32]:
        """The clip's keypoints, float32 (num_frames, 133, 3), x, y, confidence in [0, 1].

        Raises:
            DatasetError: their number differs from `num_frames`, or they are not 133 x 3 finite numbers.
        """
        where = f"dataset {self.location}, clip {clip.clip_id}"
        try:
            values = _numbers(self._column(clip, "keypoints"))
            keypoints = values.astype(np.float32).reshape(-1, NUM_KEYPOINTS, 3)
        except (ValueError, TypeError) as error:
            raise DatasetError(f"{where}: keypoints are not [T, 133, 3]: curate the clip again") from error
        if len(keypoints) != clip.num_frames:
            raise DatasetError(
                f"{where}: {len(keypoints)} rows of keypoints for {clip.num_frames} frames: curate it again"
            )
        if not np.isfinite(keypoints).all():
            raise DatasetError(f"{where}: keypoints hold NaN or infinity: curate the clip again")
        return keypoints

    def _clip(self, row: dict[str, Any], split: str) -> Clip:
        fps, width, height, frames = (row[name] for name in ("fps", "width", "height", "num_frames"))
        clip_id = row["clip_id"]
        # A clip id becomes a file name; one with a separator or a leading dot could leave the run's folder.
        if not isinstance(clip_id, str) or not _is_file_name(clip_id):
            raise DatasetError(
                f"dataset {self.location}: clip id {clip_id!r} is no file name: use letters, digits, - _ ."
            )
        whole = all(isinstance(v, int) and 0 < v < 2**31 for v in (width, height, frames))
        if not whole or not isinstance(fps, int | float) or not 0.01 <= fps <= 1000:
            raise DatasetError(
                f"dataset {self.location}, clip {clip_id}: fps {fps}, size {width}x{height}, "
                f"{frames} frames cannot be: curate the clip again"
            )
        # Rates of video are ratios such as 30000/1001; float64 keeps them apart far beyond this bound.
        rate = Fraction(fps).limit_denominator(100_000)
        cluster = row.get("person_id") or row.get("source_id") or clip_id
        sha256, source = (None if row.get(key) is None else str(row[key]) for key in ("sha256", "source_id"))
        return Clip(clip_id, split, rate, width, height, frames, str(cluster), sha256, source)

    def _column(self, clip: Clip, column: str) -> pyarrow.Array:
        """The one cell of a clip in a column, as an array of length 1."""
        import pyarrow.compute as pc

        table = self._tables[clip.split].to_table(
            columns=[column], filter=pc.field("clip_id") == clip.clip_id
        )
        return table.column(column).combine_chunks()


def _is_file_name(name: str) -> bool:
    short = 0 < len(name.encode()) <= 200
    return short and not name.startswith(".") and all(c.isalnum() or c in "-_." for c in name)


def _numbers(array: pyarrow.Array) -> npt.NDArray[Any]:
    """All numbers of nested lists, flat and in order, without a Python object for each.

    Raises:
        ValueError: a null stands among them, or they are no numbers.
    """
    import pyarrow

    if isinstance(array, pyarrow.ExtensionArray):  # how `datasets` stores arrays of several dimensions
        array = array.storage
    while pyarrow.types.is_nested(array.type):
        if array.null_count:
            raise ValueError("null")
        array = array.flatten()
    if array.null_count or not (
        pyarrow.types.is_floating(array.type) or pyarrow.types.is_integer(array.type)
    ):
        raise ValueError("null, or no number")
    numbers: npt.NDArray[Any] = array.to_numpy(zero_copy_only=False)
    return numbers


def fingerprint(clips: list[Clip]) -> str:
    """SHA-256, in hex, over ids, lengths and file hashes of the clips in the order of their ids."""
    digest = hashlib.sha256()
    for clip in sorted(clips, key=lambda c: c.clip_id):
        digest.update(f"{clip.clip_id} {clip.num_frames} {clip.fps} {clip.sha256}\n".encode())
    return digest.hexdigest()


def _resolve(location: str) -> tuple[Path, str | None]:
    """A local folder as it is; a Hub repository as its snapshot folder and commit."""
    folder = Path(location)
    if folder.is_dir():
        return folder, None
    name, _, revision = location.partition("@")
    if folder.exists() or name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise DatasetError(
            f"dataset {location}: no such folder: give a folder that tp-curate wrote or owner/name"
        )
    from huggingface_hub import snapshot_download

    try:
        snapshot = snapshot_download(
            name,
            repo_type="dataset",
            revision=revision or None,
            allow_patterns=["README.md", "clips/*.parquet", "data/*.parquet"],
        )
    except (
        Exception
    ) as error:  # the hub library has no common base for offline, missing, gated and proxy errors
        raise DatasetError(
            f"dataset {location}: no such folder, and the Hub gave nothing ({type(error).__name__}): "
            "check the name and the network, or copy the dataset here and give its folder"
        ) from error
    return Path(snapshot), Path(snapshot).name


class _DataFiles(BaseModel):
    split: str
    path: str | list[str]


class _Config(BaseModel):
    config_name: str
    data_files: list[_DataFiles]


class _Card(BaseModel):
    """What is needed of the YAML header of a dataset card."""

    configs: list[_Config] = []


def _data_files(folder: Path) -> dict[str, list[Path]]:
    """Parquet files of the configuration `clips` by split, as the card names them."""
    import yaml

    card = folder / "README.md"
    if not card.is_file():
        raise DatasetError(f"dataset {folder}: no README.md: give the folder that tp-curate wrote (--out)")
    text = card.read_text(encoding="utf-8")
    header = text.split("---", 2)[1] if text.startswith("---") and text.count("---") >= 2 else ""
    try:
        configs = _Card.model_validate(yaml.safe_load(header) or {}).configs
    except (yaml.YAMLError, ValidationError) as error:
        raise DatasetError(
            f"dataset {card}: its YAML header cannot be read: write the dataset again"
        ) from error
    clips = next((config for config in configs if config.config_name == "clips"), None)
    if clips is None:
        raise DatasetError(
            f"dataset {card}: its header names no configuration 'clips': write it with tp-curate"
        )
    files = {entry.split: sorted(_matches(folder, entry.path)) for entry in clips.data_files}
    for split, paths in files.items():
        if not paths:
            raise DatasetError(
                f"dataset {folder}, split {split}: the card names files that are not there: copy it whole"
            )
    return dict(sorted(files.items(), key=lambda item: (*SPLITS, item[0]).index(item[0])))


def _matches(folder: Path, patterns: str | list[str]) -> Iterator[Path]:
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        yield from folder.glob(pattern)


def _open(folder: Path, files: list[Path]) -> pyarrow.dataset.Dataset:
    import pyarrow
    import pyarrow.dataset

    try:
        return pyarrow.dataset.dataset([str(path) for path in files], format="parquet")
    except (pyarrow.ArrowInvalid, OSError) as error:
        raise DatasetError(
            f"dataset {folder}: its Parquet cannot be read ({error}): copy or write it again"
        ) from error
