"""Drawn speakers as a dataset: a clip for every seed, with the keypoints of the renderer itself."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np

from curation.clips.crop import SIDE_STEP, person_boxes
from curation.clips.writer import verify
from curation.dataset.card import CardText
from curation.dataset.export import export
from curation.dataset.splits import split_of
from curation.detect.measurements import Keypoints
from curation.executors.base import JobFailure, Limits
from curation.executors.local_executor import LocalExecutor
from curation.records import ClipRecord, ShotVerdict, SourceRecord
from curation.settings import ExportSettings
from curation.store import Store
from curation.synthetic.seeds import LARGEST_SEED, stream
from talkingpose.data.schema import SPLITS
from talkingpose.io.atomic import atomic_write
from talkingpose.io.errors import UserError
from talkingpose.media import VideoWriter

# A new number where the renderer draws other pictures of the same seeds.
RENDERER_VERSION = "1"
LICENSE = "CC0-1.0"
_PRESET = "veryslow"
_SIZES = (32, 2048)
_RATES = (1, 240)
_MAX_SHARD_MB = 500

_RIGHTS = """## Licence

CC0-1.0. Nobody is shown and no footage was used: every picture is drawn by a program from the seeds that the
column `source_id` names. `person_id` is the drawn identity.
"""


class SyntheticError(UserError):
    """A dataset of drawn speakers that cannot be made as asked."""


@dataclass(frozen=True)
class SyntheticSettings:
    """What to draw. Clip i has the identity and the motion of seed `first_seed + i`, its own speaker.

    Attributes:
        clips: how many.
        frames: (least, most) frames of a clip; each draws its length from its seed.
        size: side of the square pictures, in pixels, a multiple of 8.
        first_seed: of the first clip.
        rates: frames per second, taken in turn by the clips.
        splits: shares of train, validation and test; a speaker's is settled by the hash of its id.
        crf: x264's, 0 to 51, less is better.

    Raises:
        DrawnError: a value that cannot be.
    """

    clips: int
    frames: tuple[int, int]
    size: int
    first_seed: int
    rates: tuple[Fraction, ...]
    splits: tuple[tuple[str, float], ...]
    crf: int

    def __post_init__(self) -> None:
        least, most = self.frames
        checks = (
            ("--clips", self.clips, self.clips >= 1, "give 1 or more"),
            ("--frames", f"{least}-{most}", 2 <= least <= most, "give N or LEAST-MOST, from 2 on"),
            (
                "--size",
                self.size,
                _SIZES[0] <= self.size <= _SIZES[1] and self.size % SIDE_STEP == 0,
                f"give a multiple of {SIDE_STEP} from {_SIZES[0]} to {_SIZES[1]}",
            ),
            (
                "--seed",
                self.first_seed,
                0 <= self.first_seed <= LARGEST_SEED - self.clips,
                "give a whole number from 0 to 2**63 - 1 less the clips",
            ),
            (
                "--fps",
                ",".join(map(str, self.rates)),
                bool(self.rates) and all(_RATES[0] <= rate <= _RATES[1] for rate in self.rates),
                f"give rates from {_RATES[0]} to {_RATES[1]}, such as 25 or 30000/1001",
            ),
            (
                "--splits",
                ",".join(f"{name}={share:g}" for name, share in self.splits),
                {name for name, _ in self.splits} <= set(SPLITS)
                and all(share >= 0 for _, share in self.splits)
                and 0 < sum(share for _, share in self.splits) < float("inf"),
                f"give shares of {', '.join(SPLITS)} that are not all 0",
            ),
            ("--crf", self.crf, 0 <= self.crf <= 51, "give a whole number from 0 to 51"),
        )
        for option, value, possible, remedy in checks:
            if not possible:
                raise SyntheticError(f"{option} {value}: {remedy}")

    @property
    def speakers(self) -> list[Speaker]:
        """The clips to draw, in the order of their seeds."""
        return [self._speaker(self.first_seed + index, index) for index in range(self.clips)]

    def _speaker(self, seed: int, index: int) -> Speaker:
        least, most = self.frames
        num_frames = int(stream("length", seed).integers(least, most + 1))
        return Speaker(seed, num_frames, self.size, self.rates[index % len(self.rates)], self.crf)

    def split_of(self, speaker: Speaker) -> str:
        """The split in which a speaker's clip stands."""
        return split_of(speaker.source_id, dict(self.splits))

    def command(self) -> str:
        """The command line that makes the dataset again."""
        least, most = self.frames
        options = {
            "--out": "DIR",
            "--clips": self.clips,
            "--frames": least if least == most else f"{least}-{most}",
            "--size": self.size,
            "--seed": self.first_seed,
            "--fps": ",".join(map(str, self.rates)),
            "--splits": ",".join(f"{name}={share:g}" for name, share in self.splits),
            "--crf": self.crf,
        }
        words = [word for option, value in options.items() for word in (option, str(value))]
        return shlex.join(["tp-curate", "synth", *words])


@dataclass(frozen=True)
class Speaker:
    """One clip to draw: identity and motion of a seed, its length, size, rate and quality."""

    seed: int
    num_frames: int
    size: int
    fps: Fraction
    crf: int

    @property
    def source_id(self) -> str:
        """Names the identity; the endless film of a seed is the clip's source."""
        return f"drawn-{self.seed}"

    @property
    def clip_id(self) -> str:
        """Hash of source, span and size, 16 hex digits."""
        text = f"{self.source_id} 0 {self.num_frames} {self.fps} {self.size}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class _Job:
    speaker: Speaker
    recipe: str
    config_hash: str
    tool_versions: dict[str, str]
    folder: Path


def draw_dataset(
    drawing: SyntheticSettings,
    out: Path,
    *,
    workers: int,
    fresh: bool = False,
    on_plan: Callable[[int, int], None] = lambda total, left: None,
    on_clip: Callable[[SourceRecord], None] = lambda record: None,
) -> list[SourceRecord]:
    """Draw what is not drawn yet and write the dataset; the same drawing gives the same bytes.

    Args:
        out: its folder, made if need be; that of an interrupted or smaller drawing is completed.
        fresh: forget what earlier runs did here.
        on_plan: told how many clips there are and how many are left.

    Returns:
        One record per clip, in the order of their ids.

    Raises:
        StoreError: another run works in the folder, or it holds files of other hands.
        DrawnError: it holds another dataset, or a clip could not be drawn.
    """
    store = Store(out)
    versions = _tool_versions()
    jobs = [_job(speaker, versions, store) for speaker in drawing.speakers]
    with store.locked():
        if fresh:
            store.wipe()
        done = {record.source_id: record.recipe for record in store.records()}
        if done.items() - {(job.speaker.source_id, job.recipe) for job in jobs}:
            raise SyntheticError(
                f"output {out}: holds another dataset than this command draws: give a new folder, or --fresh"
            )
        left = [job for job in jobs if job.speaker.source_id not in done]
        on_plan(len(jobs), len(left))
        for number, result in LocalExecutor().run(left, _draw, Limits(workers, store.log)):
            if isinstance(result, JobFailure):
                raise SyntheticError(f"{left[number].speaker.source_id}: {result.message}")
            store.write(result)
            on_clip(result)
        records = store.records()
        store.tidy(records)
        settings = ExportSettings(splits=dict(drawing.splits), max_shard_mb=_MAX_SHARD_MB)
        export(store, records, settings, _wording(drawing))
    return records


def _job(speaker: Speaker, versions: dict[str, str], store: Store) -> _Job:
    settings = [speaker.num_frames, speaker.size, str(speaker.fps), speaker.crf, _PRESET]
    config_hash = _hash(settings)
    recipe = _hash([config_hash, versions])[:16]
    return _Job(speaker, recipe, config_hash, versions, store.clip_folder(speaker.source_id, recipe))


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _tool_versions() -> dict[str, str]:
    import av

    libraries = ("av", "ImageHash", "numpy", "opencv-contrib-python", "talkingpose")
    return {
        **{name: version(name) for name in libraries},
        "ffmpeg": str(av.ffmpeg_version_info),
        "renderer": RENDERER_VERSION,
    }


def _draw(job: _Job) -> SourceRecord:
    """Draw one clip; runs in a worker."""
    speaker = job.speaker
    job.folder.mkdir(parents=True, exist_ok=True)
    video = job.folder / f"{speaker.clip_id}.mp4"
    keypoints = _write_video(speaker, video)
    look = verify(video, speaker.num_frames, speaker.fps)
    with atomic_write(video.with_suffix(".npz")) as temporary, temporary.open("wb") as file:
        np.savez(file, keypoints=keypoints.astype(np.float16), boxes=person_boxes(keypoints))
    data = video.read_bytes()
    duration = float(speaker.num_frames / speaker.fps)
    clip = ClipRecord(
        clip_id=speaker.clip_id,
        start_pts=0,
        end_pts=speaker.num_frames,
        time_base_num=speaker.fps.denominator,
        time_base_den=speaker.fps.numerator,
        start_s=0.0,
        end_s=duration,
        fps=float(speaker.fps),
        width=speaker.size,
        height=speaker.size,
        num_frames=speaker.num_frames,
        crop_xyxy=(0.0, 0.0, 1.0, 1.0),
        # What the filters measure with detectors is left null; these two are known.
        scores={"brightness": look.brightness, "single_person": 1.0},
        sha256=hashlib.sha256(data).hexdigest(),
        phash=look.phash,
        num_bytes=len(data),
        person_id=speaker.source_id,
    )
    shot = ShotVerdict(
        start_frame=0,
        end_frame=speaker.num_frames,
        start_s=0.0,
        end_s=duration,
        shot_start=0,
        shot_end=speaker.num_frames,
        verdict="keep",
        step="clip",
        reason=None,
        findings=(),
        clip_id=clip.clip_id,
    )
    return SourceRecord(
        source="synthetic",
        source_id=speaker.source_id,
        name=speaker.source_id,
        source_sha256=None,
        license=LICENSE,
        rights_evidence="drawn by a program from seeds; nobody is shown, no footage was used",
        recipe=job.recipe,
        config_hash=job.config_hash,
        tool_versions=job.tool_versions,
        error=None,
        width=speaker.size,
        height=speaker.size,
        fps=float(speaker.fps),
        num_frames=speaker.num_frames,
        lost_frames=0,
        variable_frame_rate=False,
        shots=(shot,),
        clips=(clip,),
    )


def _write_video(speaker: Speaker, path: Path) -> Keypoints:
    """Write the clip and return its keypoints, float32 (T, 133, 3)."""
    from curation.synthetic import frames

    drawn = frames(speaker.seed, speaker.seed, speaker.num_frames, speaker.size, float(speaker.fps))
    keypoints = []
    with VideoWriter(path, fps=speaker.fps, crf=speaker.crf, preset=_PRESET) as writer:
        for image, points in drawn:
            writer.write(image)
            keypoints.append(points)
    return np.stack(keypoints)


def _wording(drawing: SyntheticSettings) -> CardText:
    return CardText(
        title="Drawn speakers with whole-body keypoints",
        introduction=(
            "Upper bodies of people who talk and gesture, drawn by a program, with the exact keypoints of\n"
            "every frame: confidence 1 for a point that is seen, 0.5 for one behind a nearer part of the\n"
            "speaker. "
            f"Identity and motion of a clip come from the seed in its `source_id`. Made by\n\n"
            f"```\n{drawing.command()}\n```\n\n"
            f"of TalkingPose Bench. Videos are H.264 yuv420p, crf {drawing.crf}, preset {_PRESET}.\n"
        ),
        rights=_RIGHTS,
        license=LICENSE.lower(),
    )


def parse_frames(text: str) -> tuple[int, int]:
    """`N` or `LEAST-MOST` as (least, most); raises DrawnError."""
    least, dash, most = text.partition("-")
    most = most if dash else least
    if not (least.isdecimal() and most.isdecimal()):
        raise SyntheticError(f"--frames {text}: give N or LEAST-MOST, from 2 on")
    return int(least), int(most)


def parse_rates(text: str) -> tuple[Fraction, ...]:
    """Rates with commas between them, such as `25,30000/1001`; raises DrawnError."""
    try:
        return tuple(Fraction(part) for part in text.split(","))
    except (ValueError, ZeroDivisionError) as error:
        raise SyntheticError(
            f"--fps {text}: give rates such as 25 or 30000/1001, commas between them"
        ) from error


def parse_splits(text: str) -> tuple[tuple[str, float], ...]:
    """`name=share` with commas between them; raises DrawnError."""
    try:
        shares = {name: float(share) for name, _, share in (part.partition("=") for part in text.split(","))}
    except ValueError as error:
        raise SyntheticError(f"--splits {text}: give name=share, commas between them") from error
    return tuple(shares.items())


def split_counts(drawing: SyntheticSettings, records: Sequence[SourceRecord]) -> dict[str, int]:
    """Clips by split, splits without any left out."""
    find = partial(split_of, shares=dict(drawing.splits))
    names = [find(record.source_id) for record in records]
    return {name: names.count(name) for name in SPLITS if name in names}
