"""Dataset of synthetic speakers: one clip per seed, with the exact keypoints of the renderer."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
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
from talkingpose.io.progress import SILENT, Progress
from talkingpose.media import VideoWriter

# Bump when the renderer draws other pictures of the same seeds.
RENDERER_VERSION = "1"
LICENSE = "CC0-1.0"
_PRESET = "veryslow"
_SIZES = (32, 2048)
_RATES = (1, 240)
_MAX_SHARD_MB = 500

_RIGHTS = """## Licence

CC0-1.0. The clips show no real person and use no footage: a program renders every picture from the seeds in
the column `source_id`. `person_id` is the synthetic identity.
"""


class SyntheticError(UserError):
    """An invalid option of a synthetic dataset, or a clip that cannot be drawn."""


@dataclass(frozen=True)
class SyntheticSettings:
    """Content of a dataset. Clip i shows the speaker and the motion of seed `first_seed + i`.

    Attributes:
        clips: Number of clips.
        frames: (lowest, highest) number of frames of a clip; the seed determines it.
        size: Side of the square pictures in pixels, a multiple of 8.
        first_seed: Seed of the first clip.
        rates: Frames per second; clips use them in turn.
        splits: Shares of train, validation and test; the hash of a speaker's id selects its split.
        crf: x264 CRF (0-51); lower is better quality and a larger file.

    Raises:
        SyntheticError: An invalid value.
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
        shares = [share for _, share in self.splits]
        valid = {
            "--clips": (self.clips >= 1, "give 1 or more"),
            "--frames": (2 <= least <= most, "give N or MIN-MAX, from 2"),
            "--size": (
                _SIZES[0] <= self.size <= _SIZES[1] and self.size % SIDE_STEP == 0,
                f"give a multiple of {SIDE_STEP} from {_SIZES[0]} to {_SIZES[1]}",
            ),
            "--seed": (
                0 <= self.first_seed <= LARGEST_SEED - self.clips,
                "give a whole number from 0 to 2**63 - 1 minus the number of clips",
            ),
            "--fps": (
                bool(self.rates) and all(_RATES[0] <= rate <= _RATES[1] for rate in self.rates),
                f"give rates from {_RATES[0]} to {_RATES[1]}, such as 25 or 30000/1001",
            ),
            "--splits": (
                {name for name, _ in self.splits} <= set(SPLITS)
                and all(share >= 0 for share in shares)
                and 0 < sum(shares) < float("inf"),
                f"give shares of {', '.join(SPLITS)} that are not all 0",
            ),
            "--crf": (0 <= self.crf <= 51, "give a whole number from 0 to 51"),
        }
        for option, (ok, remedy) in valid.items():
            if not ok:
                raise SyntheticError(f"{option} {self.options()[option]}: {remedy}")

    @classmethod
    def parse(
        cls, clips: int, frames: str, size: int, seed: int, fps: str, splits: str, crf: int
    ) -> SyntheticSettings:
        """Settings from the options of `tp-curate synth`.

        Args:
            clips, size, seed, crf: See the attributes.
            frames: `N` or `MIN-MAX`.
            fps: Rates separated by commas, such as `25,30000/1001`.
            splits: `name=share` separated by commas.

        Raises:
            SyntheticError: An invalid value.
        """
        least, dash, most = frames.partition("-")
        most = most if dash else least
        if not (least.isdecimal() and most.isdecimal()):
            raise SyntheticError(f"--frames {frames}: give N or MIN-MAX, from 2")
        try:
            rates = tuple(Fraction(rate) for rate in fps.split(","))
        except (ValueError, ZeroDivisionError) as error:
            raise SyntheticError(f"--fps {fps}: give rates such as 25 or 30000/1001, with commas") from error
        try:
            parts = (part.partition("=") for part in splits.split(","))
            shares = {name: float(share) for name, _, share in parts}
        except ValueError as error:
            raise SyntheticError(f"--splits {splits}: give name=share, with commas") from error
        return cls(clips, (int(least), int(most)), size, seed, rates, tuple(shares.items()), crf)

    def options(self) -> dict[str, str]:
        """Options of `tp-curate synth` that give these settings."""
        least, most = self.frames
        return {
            "--clips": str(self.clips),
            "--frames": str(least) if least == most else f"{least}-{most}",
            "--size": str(self.size),
            "--seed": str(self.first_seed),
            "--fps": ",".join(map(str, self.rates)),
            "--splits": ",".join(f"{name}={share:g}" for name, share in self.splits),
            "--crf": str(self.crf),
        }

    def command(self) -> str:
        """Command line that makes the dataset."""
        words = [word for option in self.options().items() for word in option]
        return shlex.join(["tp-curate", "synth", "--out", "DIR", *words])

    @property
    def speakers(self) -> list[Speaker]:
        """Clips to draw, in the order of their seeds."""
        return [self._speaker(self.first_seed + index, index) for index in range(self.clips)]

    def _speaker(self, seed: int, index: int) -> Speaker:
        least, most = self.frames
        num_frames = int(stream("length", seed).integers(least, most + 1))
        return Speaker(seed, num_frames, self.size, self.rates[index % len(self.rates)], self.crf)


@dataclass(frozen=True)
class Speaker:
    """Clip to draw: seed of identity and motion, length in frames, size, frame rate and quality."""

    seed: int
    num_frames: int
    size: int
    fps: Fraction
    crf: int

    @property
    def source_id(self) -> str:
        """Name of the identity."""
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
    settings: SyntheticSettings,
    out: Path,
    *,
    workers: int,
    fresh: bool = False,
    progress: Progress = SILENT,
) -> list[SourceRecord]:
    """Draw the missing clips and write the dataset; equal settings give equal bytes.

    Args:
        settings: Content of the dataset.
        out: Folder of the dataset, created if needed; an interrupted or smaller dataset is completed.
        workers: Number of processes.
        fresh: Delete the results of earlier runs.
        progress: Receives one step per clip.

    Returns:
        One record per clip, in the order of their ids.

    Raises:
        StoreError: Another run works in the folder, or it holds other files.
        SyntheticError: The folder holds another dataset, or a clip cannot be drawn.
    """
    store = Store(out)
    versions = _tool_versions()
    jobs = [_job(speaker, versions, store) for speaker in settings.speakers]
    with store.locked():
        if fresh:
            store.wipe()
        done = {record.source_id: record.recipe for record in store.records()}
        if done.items() - {(job.speaker.source_id, job.recipe) for job in jobs}:
            raise SyntheticError(f"output {out}: holds another dataset: give a new folder, or --fresh")
        missing = [job for job in jobs if job.speaker.source_id not in done]
        progress.start("clips", len(jobs))
        progress.advance(len(jobs) - len(missing))
        for number, result in LocalExecutor().run(missing, _draw, Limits(workers, store.log)):
            if isinstance(result, JobFailure):
                raise SyntheticError(f"{missing[number].speaker.source_id}: {result.message}")
            store.write(result)
            progress.advance()
        records = store.records()
        store.tidy(records)
        layout = ExportSettings(splits=dict(settings.splits), max_shard_mb=_MAX_SHARD_MB)
        export(store, records, layout, _card_text(settings))
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
    """Draw one clip, in a worker."""
    speaker = job.speaker
    job.folder.mkdir(parents=True, exist_ok=True)
    video = job.folder / f"{speaker.clip_id}.mp4"
    keypoints = _write_video(speaker, video)
    appearance = verify(video, speaker.num_frames, speaker.fps)
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
        # Scores that need detectors are null; these two are known.
        scores={"brightness": appearance.brightness, "single_person": 1.0},
        sha256=hashlib.sha256(data).hexdigest(),
        phash=appearance.phash,
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
    """Write the clip; its keypoints are float32 (T, 133, 3)."""
    from curation.synthetic import frames

    drawn = frames(speaker.seed, speaker.seed, speaker.num_frames, speaker.size, float(speaker.fps))
    keypoints = []
    with VideoWriter(path, fps=speaker.fps, crf=speaker.crf, preset=_PRESET) as writer:
        for image, points in drawn:
            writer.write(image)
            keypoints.append(points)
    return np.stack(keypoints)


def _card_text(settings: SyntheticSettings) -> CardText:
    return CardText(
        title="Synthetic speakers with whole-body keypoints",
        introduction=(
            "Upper bodies of people who talk and gesture, rendered by a program, with exact keypoints for\n"
            "every frame: confidence 1 for a visible point, 0.5 for a point behind a nearer part of the\n"
            "speaker. The seed in `source_id` determines identity and motion of a clip. Made by\n\n"
            f"```\n{settings.command()}\n```\n\n"
            f"of TalkingPose Bench. Videos are H.264 yuv420p, crf {settings.crf}, preset {_PRESET}.\n"
        ),
        rights=_RIGHTS,
        license=LICENSE.lower(),
    )


def split_counts(settings: SyntheticSettings, records: Sequence[SourceRecord]) -> dict[str, int]:
    """Number of clips per split, without empty splits."""
    names = [split_of(record.source_id, dict(settings.splits)) for record in records]
    return {name: names.count(name) for name in SPLITS if name in names}
