"""Dataset reader: clips one at a time, without loading the dataset into memory.

A dataset is a folder, or the Hub copy of one, with a card that names the Parquet files of each configuration
and split:

    README.md
    clips/SPLIT-00000-of-00001.parquet         default: video, annotations, metadata
    manifest/SPLIT-00000-of-00001.parquet      ids, spans, hashes, licences: no pixels, no keypoints
    annotations/SPLIT-00000-of-00001.parquet   keypoints and scores, no video
"""

from __future__ import annotations

import hashlib
import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast, overload

import numpy as np
import numpy.typing as npt

from talkingpose.data.card import clip_files
from talkingpose.data.schema import REQUIRED, DatasetError
from talkingpose.io.image import Image
from talkingpose.io.tables import parquet_errors
from talkingpose.pose.keypoints import NUM_KEYPOINTS

if TYPE_CHECKING:
    import pyarrow
    import pyarrow.dataset

    from talkingpose.data.pairs import RandomPairs

# Named datasets of installed packages: each entry point is the Path of a dataset folder.
ENTRY_POINT_GROUP = "talkingpose.datasets"

# Far above any dataset of this field; a few kilobytes of Parquet can claim any number of rows.
_MAX_CLIPS = 5_000_000


@dataclass(frozen=True)
class Clip:
    """One clip of a dataset. Its video and keypoints are read on access.

    Attributes:
        clip_id: stable id; the same source, span and crop give the same id.
        split: one of `SPLITS`.
        fps: frames per second, the exact ratio nearest to the stored float64.
        width, height, num_frames: of the stored video.
        group: the person where known, else the source; clips of one group are not independent.
        sha256: of the stored video file, None where the dataset has no such column.
        source_id: id of the source video, None where the dataset has no such column.
        dataset: the dataset that the clip was read from.

    Example:
        >>> from talkingpose import load_clips
        >>> clip = load_clips("tp-mini", split="test")[0]
        >>> frames = list(clip.frames())
        >>> len(frames) == len(clip.keypoints) == clip.num_frames
        True
    """

    clip_id: str
    split: str
    fps: Fraction
    width: int
    height: int
    num_frames: int
    group: str
    sha256: str | None
    source_id: str | None = None
    dataset: ClipDataset | None = field(default=None, repr=False, compare=False)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.width, self.height

    @property
    def keypoints(self) -> npt.NDArray[np.float32]:
        """Keypoints, float32 (num_frames, 133, 3): x, y, confidence in [0, 1]."""
        return self._opened().keypoints(self)

    @property
    def portrait(self) -> Image:
        """First frame, uint8 RGB (height, width, 3): the reference image of the benchmark protocols."""
        return next(self.frames())

    @property
    def metadata(self) -> dict[str, Any]:
        """All columns except `video` and `keypoints`, as Python values."""
        return self._opened().row(self)

    def frames(self) -> Iterator[Image]:
        """Decode the video lazily with PyAV.

        Yields:
            uint8 RGB (height, width, 3).

        Raises:
            DatasetError: the row holds no video bytes.
            MediaError: the video cannot be decoded.
        """
        return _decoded(self._opened().video(self), f"clip {self.clip_id}")

    def frames_at(self, indices: Sequence[int]) -> list[Image]:
        """Decode single frames, each from the key frame before it.

        Args:
            indices: frame numbers, ascending, from 0.

        Returns:
            uint8 RGB (height, width, 3) for each.

        Raises:
            DatasetError: the row holds no video bytes, or the video lacks a frame.
            MediaError: the video cannot be decoded.
        """
        from talkingpose.media import VideoReader

        found = []
        with VideoReader(self._opened().video(self), name=f"clip {self.clip_id}") as reader:
            base, start = reader.info.time_base, reader.first_pts
            for index in indices:
                # Half a frame earlier, as containers round times to ticks.
                wanted = start + int((index - Fraction(1, 2)) / (self.fps * base)) if index else start
                frame = next(reader.frames(wanted), None)
                if frame is None:
                    raise DatasetError(f"clip {self.clip_id}: no frame {index}: curate the clip again")
                found.append(frame.image)
        return found

    def _opened(self) -> ClipDataset:
        if self.dataset is None:
            raise DatasetError(f"clip {self.clip_id}: not read from a dataset: use load_clips")
        return self.dataset


@overload
def load_clips(
    location: str | Path, split: str | None = None, *, shuffle: int | None = None, frames: None = None
) -> list[Clip]: ...


@overload
def load_clips(
    location: str | Path,
    split: str | None = None,
    *,
    shuffle: int | None = None,
    frames: Literal["random pair"],
) -> RandomPairs: ...


def load_clips(
    location: str | Path,
    split: str | None = None,
    *,
    shuffle: int | None = None,
    frames: Literal["random pair"] | None = None,
) -> list[Clip] | RandomPairs:
    """List the clips of a dataset without reading their videos.

    Args:
        location: a folder, a Hub repository (`owner/name` or `owner/name@revision`), or the name of an
            installed dataset, such as the bundled `tp-mini`.
        split: `train`, `validation` or `test`; all splits if None.
        shuffle: seed of a random order over all splits; None sorts.
        frames: `random pair` for two frames of each clip, as training needs; see `RandomPairs`.

    Returns:
        The clips of each split, sorted by clip id unless shuffled; or their pairs of frames.

    Raises:
        DatasetError: as `ClipDataset`, there is no such split, or `frames` is unknown.

    Example:
        >>> from talkingpose import load_clips
        >>> clip = load_clips("tp-mini", split="test")[0]
        >>> frame = next(clip.frames())
        >>> frame.shape == (clip.height, clip.width, 3), clip.keypoints.shape[1:]
        (True, (133, 3))
    """
    dataset = ClipDataset(str(location))
    splits = dataset.splits if split is None else (split,)
    clips = [clip for name in splits for clip in dataset.clips(name)]
    if shuffle is not None:
        random.Random(shuffle).shuffle(clips)
    if frames is None:
        return clips
    if frames != "random pair":
        raise DatasetError(f"frames {frames!r}: unknown: give 'random pair', or None")
    from talkingpose.data.pairs import RandomPairs

    return RandomPairs(clips, seed=shuffle or 0)


class ClipDataset:
    """Dataset opened for reading, one clip at a time.

    Args:
        location: as in `load_clips`. A Hub repository is downloaded completely into the Hub's cache, once.
        folder: the folder of a dataset that `location` names.

    Raises:
        DatasetError: there is no such dataset, its card is invalid, or a required column is missing.
    """

    def __init__(self, location: str, folder: Path | None = None) -> None:
        self.location = location
        self.folder, self.revision = (folder, None) if folder else _resolve(location)
        self._tables = {split: _open(self.folder, files) for split, files in clip_files(self.folder).items()}
        for split, table in self._tables.items():
            if table.count_rows() > _MAX_CLIPS:
                raise DatasetError(
                    f"dataset {location}, split {split}: more than {_MAX_CLIPS} clips: split it"
                )
            missing = [name for name in REQUIRED if name not in table.schema.names]
            if missing:
                raise DatasetError(
                    f"dataset {location}, split {split}: no column {', '.join(missing)}: "
                    "make it with tp-curate, or add the columns of docs/reference/dataset.md"
                )

    @property
    def splits(self) -> tuple[str, ...]:
        """Splits that have files, in the order train, validation, test, others."""
        return tuple(self._tables)

    def clips(self, split: str) -> list[Clip]:
        """List the clips of a split, sorted by clip id, without reading a video.

        Raises:
            DatasetError: there is no such split, a clip id occurs twice, or a value is out of range.
        """
        if split not in self._tables:
            known = ", ".join(self.splits) or "none"
            raise DatasetError(f"dataset {self.location}: no split {split!r}: choose one of {known}")
        table = self._tables[split]
        optional = [n for n in ("person_id", "source_id", "sha256") if n in table.schema.names]
        names = ["clip_id", "fps", "width", "height", "num_frames", *optional]
        with parquet_errors(f"dataset {self.location}, split {split}", DatasetError):
            rows = table.to_table(columns=names).to_pylist()
        clips = sorted((self._clip(row, split) for row in rows), key=lambda clip: clip.clip_id)
        for before, after in itertools.pairwise(clips):
            if before.clip_id == after.clip_id:
                raise DatasetError(
                    f"dataset {self.location}: clip id {after.clip_id} occurs twice in {split}: remove one"
                )
        return clips

    def video(self, clip: Clip) -> bytes:
        """Return the bytes of the clip's video file.

        Raises:
            DatasetError: the row holds no bytes, for example only a path.
        """
        value = self._cell(clip, "video")[0].as_py()
        data = value.get("bytes") if isinstance(value, dict) else None
        if not data:
            raise DatasetError(
                f"dataset {self.location}, clip {clip.clip_id}: the row holds no video bytes, only a path: "
                "write bytes and path into the column, as tp-curate does"
            )
        return bytes(data)

    def row(self, clip: Clip) -> dict[str, Any]:
        """Return all columns of the clip except `video` and `keypoints`, as Python values."""
        import pyarrow.compute as pc

        table = self._tables[clip.split]
        names = [name for name in table.schema.names if name not in ("video", "keypoints")]
        with parquet_errors(f"dataset {self.location}, split {clip.split}", DatasetError):
            rows = table.to_table(columns=names, filter=pc.field("clip_id") == clip.clip_id)
            return cast(dict[str, Any], rows.to_pylist()[0])

    def keypoints(self, clip: Clip) -> npt.NDArray[np.float32]:
        """Return the clip's keypoints, float32 (num_frames, 133, 3): x, y, confidence in [0, 1].

        Raises:
            DatasetError: their number differs from `num_frames`, or they are not 133 x 3 finite numbers.
        """
        where = f"dataset {self.location}, clip {clip.clip_id}"
        try:
            values = _numbers(self._cell(clip, "keypoints"))
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
        # A clip id becomes a file name: a separator or a leading dot could leave the run's folder.
        if not isinstance(clip_id, str) or not _is_file_name(clip_id):
            raise DatasetError(
                f"dataset {self.location}: clip id {str(clip_id)[:80]!r}: use 200 letters, digits, - _ ."
            )
        whole = all(isinstance(v, int) and 0 < v < 2**31 for v in (width, height, frames))
        if not whole or not isinstance(fps, int | float) or not 0.01 <= fps <= 1000:
            raise DatasetError(
                f"dataset {self.location}, clip {clip_id}: {fps} fps, {width}x{height}, {frames} frames: "
                "out of range, curate the clip again"
            )
        # Frame rates are ratios such as 30000/1001; float64 separates them far beyond this bound.
        rate = Fraction(fps).limit_denominator(100_000)
        group = row.get("person_id") or row.get("source_id") or clip_id
        sha256, source = (None if row.get(key) is None else str(row[key]) for key in ("sha256", "source_id"))
        return Clip(clip_id, split, rate, width, height, frames, str(group), sha256, source, self)

    def _cell(self, clip: Clip, column: str) -> pyarrow.Array:
        """Read the cell of a clip in a column, as an array of length 1."""
        import pyarrow.compute as pc

        with parquet_errors(f"dataset {self.location}, clip {clip.clip_id}", DatasetError):
            table = self._tables[clip.split].to_table(
                columns=[column], filter=pc.field("clip_id") == clip.clip_id
            )
            return table.column(column).combine_chunks()


def decodable(data: Any) -> Any:
    """Make the `video` column of a dataset from `datasets.load_dataset` readable by `video_frames`.

    `datasets` decodes videos with torchcodec, which needs an installed FFmpeg; this turns that off, so that
    rows hold the bytes of the file.

    Args:
        data: a `Dataset`, an `IterableDataset` or a dictionary of them.
    """
    from datasets import Video

    return data.cast_column("video", Video(decode=False))


def video_frames(video: Any) -> Iterator[Image]:
    """Decode the `video` of a row of a `decodable` dataset.

    Args:
        video: dictionary with the bytes of the file.

    Yields:
        uint8 RGB (height, width, 3).

    Raises:
        DatasetError: `video` holds no bytes.
        MediaError: the bytes cannot be decoded.
    """
    if not isinstance(video, dict) or not video.get("bytes"):
        raise DatasetError("video: no bytes: pass the dataset through talkingpose.data.clips.decodable first")
    return _decoded(video["bytes"], "video")


def fingerprint(clips: list[Clip]) -> str:
    """Return the SHA-256, in hex, of ids, lengths and file hashes of the clips, in the order of their ids."""
    digest = hashlib.sha256()
    for clip in sorted(clips, key=lambda c: c.clip_id):
        digest.update(f"{clip.clip_id} {clip.num_frames} {clip.fps} {clip.sha256}\n".encode())
    return digest.hexdigest()


def _decoded(content: bytes, name: str) -> Iterator[Image]:
    from talkingpose.media import VideoReader

    with VideoReader(content, name=name) as reader:
        for frame in reader:
            yield frame.image


def _is_file_name(name: str) -> bool:
    short = 0 < len(name.encode()) <= 200
    return short and not name.startswith(".") and all(c.isalnum() or c in "-_." for c in name)


def _numbers(array: pyarrow.Array) -> npt.NDArray[Any]:
    """Flatten nested lists into a vector of their numbers, without one Python object per number.

    Raises:
        ValueError: there is a null, or the values are not numbers.
    """
    import pyarrow

    if isinstance(array, pyarrow.ExtensionArray):  # `datasets` stores multi-dimensional arrays this way
        array = array.storage
    while pyarrow.types.is_nested(array.type):
        if array.null_count:
            raise ValueError("null")
        array = array.flatten()
    if array.null_count or not (
        pyarrow.types.is_floating(array.type) or pyarrow.types.is_integer(array.type)
    ):
        raise ValueError("null or not a number")
    return cast(npt.NDArray[Any], array.to_numpy(zero_copy_only=False))


def _resolve(location: str) -> tuple[Path, str | None]:
    """Return the folder of a dataset and its Hub commit, None for a local one."""
    from importlib.metadata import entry_points

    if "/" not in location:
        for entry in entry_points(group=ENTRY_POINT_GROUP, name=location):
            return entry.load(), None
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
    except Exception as error:  # offline, missing, gated and proxy errors have no common base class
        raise DatasetError(
            f"dataset {location}: no such folder, and the Hub download failed ({type(error).__name__}): "
            "check the name and the network, or copy the dataset here and give its folder"
        ) from error
    return Path(snapshot), Path(snapshot).name


def _open(folder: Path, files: list[Path]) -> pyarrow.dataset.Dataset:
    import pyarrow
    import pyarrow.dataset

    try:
        return pyarrow.dataset.dataset([str(path) for path in files], format="parquet")
    except (pyarrow.ArrowInvalid, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DatasetError(f"dataset {folder}: invalid Parquet ({reason}): copy or write it again") from error
