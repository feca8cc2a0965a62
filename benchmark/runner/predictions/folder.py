"""Finished videos as a contestant: matched to clips by name or by a map, and never changed."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from benchmark.errors import EvaluationError
from benchmark.results import AuditEntry
from benchmark.runner.predictions.case_map import CaseMap, find_prediction, printable
from talkingpose.data.contestant import Case, ContestantInfo, FramesSeen
from talkingpose.io.image import Image
from talkingpose.media import DecodeReport, VideoInfo, VideoReader, read_image

VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi")
_MAX_FOREIGN = 20
_PNG_START = b"\x89PNG\r\n\x1a\n"
_PNG_RGB = 2  # the colour type of plain RGB
_FRAME_NAME = re.compile(r"[^\d]*(?:\d+[^\d]+)*?(\d+)\.png", re.ASCII | re.IGNORECASE)


class PredictionError(EvaluationError):
    """A finished video that cannot be scored: one line that says which, why, and what to do."""


@dataclass(frozen=True)
class Matches:
    """Content of a folder of predictions.

    Attributes:
        found: clip id -> its video file or its folder of PNG frames.
        missing: ids of clips without either, sorted.
        foreign: names that belong to no clip, printable, sorted.
    """

    found: Mapping[str, Path]
    missing: tuple[str, ...]
    foreign: tuple[str, ...]


def match(folder: Path, clip_ids: Sequence[str]) -> Matches:
    """Find CLIP.mp4 (or another of `VIDEO_SUFFIXES`), or a folder CLIP of PNG frames, for each clip.

    A file CLIP with another suffix is matched as well, so that it is refused by name when it is opened.

    Raises:
        PredictionError: the folder cannot be read, or a clip has two predictions.
    """
    try:
        entries = sorted(folder.iterdir(), key=lambda path: path.name)
    except OSError as error:
        raise PredictionError(
            f"--predictions {folder}: cannot be read ({error.strerror}): give the folder of the videos"
        ) from error
    known = set(clip_ids)
    found: dict[str, Path] = {}
    foreign: list[str] = []
    for path in entries:
        clip_id = _clip_of(path, known)
        if clip_id is None:
            foreign.append(printable(path.name))
        elif clip_id in found:
            both = f"{printable(found[clip_id].name)} and {printable(path.name)}"
            raise PredictionError(f"--predictions {folder}: two for clip {clip_id}: {both}: keep one")
        else:
            found[clip_id] = path
    missing = tuple(sorted(known - found.keys()))
    return Matches(found, missing, tuple(foreign))


def match_by_map(folder: Path, case_map: CaseMap, clip_ids: Sequence[str]) -> Matches:
    """Find the prediction that a map names for each clip.

    Raises:
        PredictionError: the folder cannot be read.
        CaseMapError: a name leads out of the folder by a link.
    """
    try:
        entries = sorted(path.name for path in folder.iterdir())
    except OSError as error:
        raise PredictionError(
            f"--predictions {folder}: cannot be read ({error.strerror}): give the folder of the videos"
        ) from error
    known = set(clip_ids)
    found = {}
    for clip_id, relative in case_map.predictions.items():
        path = find_prediction(folder, relative) if relative and clip_id in known else None
        if path is not None:
            found[clip_id] = path
    named = {relative.partition("/")[0] for relative in case_map.predictions.values()}
    named |= {path.relative_to(folder).parts[0] for path in found.values()} | {case_map.path.name}
    foreign = [printable(name) for name in entries if name not in named]
    foreign += [
        f"{printable(name)} (in {case_map.path.name})" for name in case_map.predictions.keys() - known
    ]
    return Matches(found, tuple(sorted(known - found.keys())), tuple(sorted(foreign)))


class Predictions:
    """Finished videos as a contestant that takes one clip at a time.

    Args:
        folder: holds CLIP.mp4, or CLIP/ with PNG frames, for each clip; with a map, what the map names.
        lengths: clip id -> number of frames of the whole clip, for the clips to score.
        name: name on the leaderboard.
        revision: revision of the model that made the videos; None for a hash of the videos.
        case_map: names of the predictions.
        inputs: clip id -> hash of the inputs that the protocol gives, to compare with those of the map.
        driving_frames: frames of the driving clip that the model saw.
        backbone: pretrained model that the model is built on.

    Raises:
        PredictionError: the folder cannot be read, a clip has two predictions, or no clip has one.
    """

    def __init__(
        self,
        folder: Path,
        lengths: Mapping[str, int],
        *,
        name: str,
        revision: str | None,
        case_map: CaseMap | None = None,
        inputs: Mapping[str, str] | None = None,
        driving_frames: FramesSeen = "none",
        backbone: str | None = None,
    ) -> None:
        for text in (name, *(given for given in (revision, backbone) if given is not None)):
            if not text.strip() or not text.isprintable():
                raise PredictionError(
                    f"--name {printable(name)!r}: give a printable name, revision and backbone"
                )
        self.folder = folder
        self._lengths, self._map, self._inputs = lengths, case_map, inputs or {}
        ids = list(lengths)
        self.matches = match(folder, ids) if case_map is None else match_by_map(folder, case_map, ids)
        if not self.matches.found:
            hint = f"name the videos by clip id, such as {min(lengths)}.mp4, or give --map"
            if case_map is not None:
                hint = f"correct the column prediction of {case_map.path}"
            raise PredictionError(
                f"--predictions {folder}: holds nothing for any of {len(lengths)} clips: {hint}"
            )
        self._sha256 = {clip_id: _content_hash(path) for clip_id, path in self.matches.found.items()}
        together = hashlib.sha256(repr(sorted(self._sha256.items())).encode())
        self._notes: dict[str, list[AuditEntry]] = {}
        # Filled by whoever can read the portraits of the clips.
        self.swapped: list[AuditEntry] = []
        self.info = ContestantInfo(
            name=name,
            revision=together.hexdigest()[:12] if revision is None else revision,
            parameters=0,
            licence="unknown",
            window=None,
            driving_frames=driving_frames,
            backbone=backbone,
        )

    def content(self, clip_id: str) -> str:
        """Return the hash of the prediction of a clip, `missing` if there is none."""
        return self._sha256.get(clip_id, "missing")

    def audit(self) -> list[AuditEntry]:
        """Return an entry for each prediction that looks swapped, and for names that belong to no clip."""
        names = self.matches.foreign
        entries = [
            *self.swapped,
            *(
                AuditEntry(kind="foreign", message=f"no clip of this run: {name}")
                for name in names[:_MAX_FOREIGN]
            ),
        ]
        if len(names) > _MAX_FOREIGN:
            more = f"{len(names) - _MAX_FOREIGN} more names that belong to no clip of this run"
            entries.append(AuditEntry(kind="foreign", message=more))
        return entries

    def notes(self, clip_id: str) -> list[AuditEntry]:
        """Return the audit entries of one prediction, made while it was read."""
        return self._notes.get(clip_id, [])

    def animate(self, cases: Sequence[Case], *, seed: int) -> Iterator[list[Image]]:
        """Decode the prediction of one clip.

        Raises:
            PredictionError: there is none, or it does not fit the clip.
            MediaError: it cannot be decoded.
        """
        (case,) = cases
        path = self.matches.found.get(case.clip_id)
        if path is None:
            raise PredictionError(missing(case.clip_id, self._map))
        check_inputs(case.clip_id, self._map, self._inputs)
        notes = [_entry(case, "prediction", f"{printable(path.name)}, sha256 {self.content(case.clip_id)}")]
        self._notes[case.clip_id] = notes
        frames = read_prediction(path, case, notes)
        # With --max-frames the rest of the video is not read; the run names the limit.
        limit = case.num_frames if case.num_frames < self._lengths[case.clip_id] else None
        for image in itertools.islice(frames, limit):
            yield [image]


def missing(clip_id: str, case_map: CaseMap | None) -> str:
    """Return the message for a clip without a prediction."""
    if case_map is None:
        return f"no prediction: neither {clip_id}.mp4 nor a folder of that name"
    named = case_map.predictions.get(clip_id)
    if named:
        return f"no prediction: {printable(named)}, which {case_map.path.name} names, is not there"
    return f"no prediction: {case_map.path.name} names none"


def check_inputs(clip_id: str, case_map: CaseMap | None, inputs: Mapping[str, str]) -> None:
    """Check that a prediction was made from the inputs of this protocol, if the map states its inputs.

    Raises:
        PredictionError: it was made from others.
    """
    stated = None if case_map is None else case_map.inputs.get(clip_id)
    if stated is not None and stated != inputs.get(clip_id, stated):
        raise PredictionError(
            f"made from other inputs ({stated[:16]}, the protocol gives {inputs[clip_id]}): use the dataset "
            "and protocol of tp-eval cases"
        )


def read_prediction(path: Path, case: Case, notes: list[AuditEntry]) -> Iterator[Image]:
    """Read all frames of a prediction.

    Args:
        path: video file or folder of PNG frames.
        case: the case; its size, rate and number of frames are required of the prediction.
        notes: audit entries are appended.

    Yields:
        uint8 RGB (H, W, 3).

    Raises:
        PredictionError: size, rate or number of frames differ from the case, or the video has errors.
        MediaError: it cannot be opened or decoded.
    """
    name = printable(path.name)
    frames = _folder_frames(path, case, notes) if path.is_dir() else _video_frames(path, case, notes)
    count = 0
    for count, image in enumerate(frames, start=1):
        if count > case.num_frames:
            raise PredictionError(
                f"{name}: more than the {case.num_frames} frames of the clip: give as many frames"
            )
        if image.shape[:2] != (case.height, case.width):
            raise PredictionError(_wrong_size(name, image.shape[1], image.shape[0], case))
        yield image
    if count < case.num_frames:
        raise PredictionError(f"{name}: {count} frames, the clip has {case.num_frames}: give as many frames")


def first_frame(path: Path) -> Image:
    """Return the first frame of a prediction of any size, uint8 RGB (H, W, 3).

    Raises:
        PredictionError: it is neither a video nor a folder of PNG frames, or has no frame.
        MediaError: it cannot be decoded.
    """
    name = printable(path.name)
    if path.is_dir():
        paths = _in_order(path)
        if paths:
            return read_image(paths[0])
    elif path.is_file() and path.suffix.lower() in VIDEO_SUFFIXES:
        with VideoReader(path, name=name) as reader:
            for frame in reader:
                return frame.image
    raise PredictionError(f"{name}: no frame")


def _clip_of(path: Path, known: set[str]) -> str | None:
    for name in (path.name, path.name.removesuffix(path.suffix)):
        # A file without a suffix is not a prediction.
        if name in known and (name != path.name or path.is_dir()):
            return name
    return None


def _content_hash(path: Path) -> str:
    """Return the SHA-256 of a file, or of the names and contents of a folder."""
    digest = hashlib.sha256()
    parts = sorted(path.iterdir(), key=lambda part: part.name) if path.is_dir() else [path]
    for part in parts:
        digest.update(printable(part.name).encode() + b"\0")
        if part.is_file():
            with part.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _video_frames(path: Path, case: Case, notes: list[AuditEntry]) -> Iterator[Image]:
    name = printable(path.name)
    if path.suffix.lower() not in VIDEO_SUFFIXES:
        raise PredictionError(
            f"{name}: not a finished video: give {case.clip_id}.mp4, or a folder {case.clip_id} of PNG frames"
        )
    if not path.is_file():  # opening a pipe blocks
        raise PredictionError(f"{name}: not a regular file: give the video itself")
    with VideoReader(path, name=name) as reader:
        _check_info(reader.info, case, notes)
        # The caller checks and counts the frames, and stops at the first surplus one.
        for frame in reader:
            yield frame.image
        _check_report(reader.report, name)


def _check_info(info: VideoInfo, case: Case, notes: list[AuditEntry]) -> None:
    if info.rotation or info.mirrored or info.sample_aspect_ratio != 1:
        raise PredictionError(
            f"{info.name}: rotated, mirrored or stretched by its metadata: write upright square pixels"
        )
    if (info.width, info.height) != (case.width, case.height):
        raise PredictionError(_wrong_size(info.name, info.width, info.height, case))
    rates = f"{_rate(info.fps)} frames per second, the clip has {_rate(case.fps)}"
    if rates_differ(info.fps, case.fps, case.num_frames):
        raise PredictionError(
            f"{info.name}: {rates}: frames may have been dropped or doubled; if they are one for one, "
            "write the clip's rate or give PNG frames"
        )
    if info.fps != case.fps:
        notes.append(_entry(case, "rate", f"{rates}: less than half a frame apart at the end"))


def rates_differ(one: Fraction, other: Fraction, num_frames: int) -> bool:
    """Return whether two frame rates differ by more than 0.2 %, or by half a frame over the clip."""
    apart = abs(one / other - 1)
    return apart > Fraction(1, 500) or apart * num_frames >= Fraction(1, 2)


def _check_report(report: DecodeReport, name: str) -> None:
    faults = list(report.messages)
    if report.variable_frame_rate:
        faults.append("the frame rate is not constant")
    if faults:
        raise PredictionError(f"{name}: not a clean video ({'; '.join(faults)}): write it again")


def _folder_frames(folder: Path, case: Case, notes: list[AuditEntry]) -> Iterator[Image]:
    notes.append(_entry(case, "rate", "PNG frames have no frame rate: that of the clip is assumed"))
    for path in _in_order(folder):
        name = f"{printable(folder.name)}/{printable(path.name)}"
        try:
            data = path.read_bytes()
        except OSError as error:
            raise PredictionError(f"{name}: cannot be read ({error.strerror}): write it again") from error
        _check_png(data, name)
        yield read_image(data, name=name)


def _in_order(folder: Path) -> list[Path]:
    """Return the frames of a folder in the order of the number that ends each name."""
    numbered: dict[int, Path] = {}
    for path in folder.iterdir():
        found = _FRAME_NAME.fullmatch(path.name)
        name = f"{printable(folder.name)}/{printable(path.name)}"
        if found is None or len(found[1]) > 12 or not path.is_file():
            raise PredictionError(f"{name}: not a numbered PNG frame, such as 000012.png: remove it")
        number = int(found[1])
        if number in numbered:
            raise PredictionError(f"{name}: a second frame {number}: keep one")
        numbered[number] = path
    for number, following in itertools.pairwise(sorted(numbered)):
        if following != number + 1:
            raise PredictionError(
                f"{printable(folder.name)}: no frame between {number} and {following}: add it"
            )
    if numbered and min(numbered) > 1:
        raise PredictionError(
            f"{printable(folder.name)}: frames are numbered from {min(numbered)}: number them from 0 or 1"
        )
    return [numbered[number] for number in sorted(numbered)]


def _check_png(data: bytes, name: str) -> None:
    if not data.startswith(_PNG_START) or len(data) < 26:
        raise PredictionError(f"{name}: not a PNG file: write it again")
    depth, colour_type = data[24], data[25]
    # Any other format would have to be converted to 8-bit RGB.
    if depth != 8 or colour_type != _PNG_RGB or b"tRNS" in data[:4096]:
        raise PredictionError(f"{name}: not 8-bit RGB without transparency: write uint8 RGB frames")


def _wrong_size(name: str, width: int, height: int, case: Case) -> str:
    return (
        f"{name}: {width}x{height}, the protocol generates this clip at {case.width}x{case.height}: "
        "generate it at that size"
    )


def _rate(fps: Fraction) -> str:
    return str(fps.numerator) if fps.denominator == 1 else f"{float(fps):.4f}"


def _entry(case: Case, kind: str, message: str) -> AuditEntry:
    return AuditEntry(kind=kind, clip_id=case.clip_id, message=message)
