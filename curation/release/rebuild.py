"""From a release of ids back to the clips: fetch, cut, check by hash, search by look."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from curation.clips.crop import Crop, boxes_in, keypoints_in, person_boxes
from curation.clips.writer import ClipError, dense_keypoints, verify
from curation.config import Config
from curation.dataset.export import export
from curation.detect.detectors import Detectors, Image, sample_size
from curation.executors.base import JobFailure, Limits
from curation.executors.local_executor import LocalExecutor
from curation.records import ClipRecord, SourceRecord
from curation.release.manifest import ManifestRow
from curation.run import recipe
from curation.sources import LocalSource
from curation.store import Store
from talkingpose.io.atomic import atomic_write, write_text
from talkingpose.media import MediaError, VideoReader, VideoWriter
from talkingpose.pose import PoseError, smooth

REPORT = "rebuild.json"
# Under the folder's state: what came of the rows of a source.
MEMORY = "rebuilt"
# Perceptual hashes of the same picture after another encoding differ in few of their 64 bits, those of
# different pictures in about half.
_SAME_LOOK_BITS = 10.0
_LONGEST_SIDE = 1280
# ImageHash's hash of one frame; the column `phash` has those of several, evenly spread.
_HASH_DIGITS = 16


@dataclass(frozen=True)
class Rebuilt:
    """What became of one row of the manifest.

    Attributes:
        verdict: `identical` (the same bytes), `same frames` (the same source, written by another encoder),
            `re-encoded, offset N frames`, `different` (no place in the source looks like the clip), or
            `missing: CAUSE`.
        offset: frames by which the clip lies later in the source than the manifest says.
        distance: mean bits by which the perceptual hashes differ, of 64.
    """

    clip_id: str
    source_id: str
    verdict: str
    offset: int | None = None
    distance: float | None = None

    @property
    def is_there(self) -> bool:
        """Whether the clip is in the dataset."""
        return self.verdict != "different" and not self.verdict.startswith("missing")


@dataclass(frozen=True)
class RebuildMaker:
    """What clips are made anew with.

    Attributes:
        versions: of the tools, for the column of that name.
        search_frames: how far from its place a clip is searched, in both directions.
    """

    config: Config
    detectors: Detectors
    versions: dict[str, str]
    search_frames: int = 50

    @property
    def recipe(self) -> str:
        """See `curation.run.recipe`."""
        return recipe(self.config, self.versions)


@dataclass(frozen=True)
class _Job:
    """A fetched source with its rows; travels to worker processes."""

    found: LocalSource
    rows: tuple[ManifestRow, ...]
    folder: Path
    maker: RebuildMaker


def rebuild_sources(
    store: Store,
    maker: RebuildMaker,
    sources: Sequence[tuple[LocalSource, tuple[ManifestRow, ...]]],
    workers: int,
) -> Iterator[tuple[LocalSource, list[Rebuilt], bool]]:
    """Make the clips of fetched sources; what came of each is remembered as soon as it has ended.

    Yields each source with what came of its rows, and whether the next run need not try again.
    """
    jobs = []
    for found, rows in sources:
        assert found.origin is not None
        # Its own id, not the manifest's word for it: it names a folder.
        jobs.append(_Job(found, rows, store.clip_folder(found.origin.source_id, maker.recipe), maker))
    settings = maker.config.workers
    limits = Limits(workers, store.log, settings.source_limit_s, settings.sources_per_process)
    results = LocalExecutor().run(jobs, _rebuild_source, limits)
    for number, result in results:
        rows = jobs[number].rows
        if isinstance(result, JobFailure):
            # A fault of this machine or project: the next run tries again.
            missing = [Rebuilt(r.clip_id, r.source_id, f"missing: {result.message}") for r in rows]
            yield jobs[number].found, missing, False
            continue
        answers, record = result
        store.write(record)
        lines = [_digest(maker, record.source_sha256, rows), json.dumps([asdict(one) for one in answers])]
        _memory(store, record.source_id).parent.mkdir(exist_ok=True)
        write_text(_memory(store, record.source_id), "".join(f"{line}\n" for line in lines))
        yield jobs[number].found, answers, True


def remembered(
    store: Store, maker: RebuildMaker, source_id: str, source_sha256: str | None, rows: Sequence[ManifestRow]
) -> list[Rebuilt] | None:
    """What an earlier run made of these rows; None where there is something left to do."""
    try:
        digest, answers = _memory(store, source_id).read_text(encoding="utf-8").splitlines()
        found = [Rebuilt(**answer) for answer in json.loads(answers)]
    except (OSError, ValueError, TypeError):
        return None
    record = store.record(source_id)
    if record is None or digest != _digest(maker, source_sha256, rows):
        return None
    there = {answer.clip_id for answer in found if answer.is_there}
    return found if there == {clip.clip_id for clip in record.clips} else None


def _memory(store: Store, source_id: str) -> Path:
    return store.state / MEMORY / f"{source_id}.json"


def _digest(maker: RebuildMaker, source_sha256: str | None, rows: Sequence[ManifestRow]) -> str:
    """Names everything that decides what is made of a source's rows."""
    parts = (maker.recipe, maker.search_frames, source_sha256, list(rows))
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _rebuild_source(job: _Job) -> tuple[list[Rebuilt], SourceRecord]:
    """Make all clips of one source; what looks different is not kept."""
    job.folder.mkdir(parents=True, exist_ok=True)
    answers, clips = [], []
    for row in job.rows:
        try:
            answer, clip = _rebuild(job, row)
        except (MediaError, PoseError, ClipError) as error:
            answer, clip = Rebuilt(row.clip_id, row.source_id, f"missing: {error}"), None
        answers.append(answer)
        clips += [clip] if clip else []
    origin, maker = job.found.origin, job.maker
    assert origin is not None
    record = SourceRecord(
        source=origin.source,
        source_id=origin.source_id,
        name=job.found.name,
        source_sha256=origin.sha256,
        recipe=maker.recipe,
        config_hash=maker.config.hash,
        tool_versions=maker.versions,
        error=None,
        url=origin.url,
        license=origin.license,
        uploader_id=origin.uploader_id,
        fetched_at=origin.fetched_at,
        rights_evidence=origin.rights_evidence,
        clips=tuple(clips),
    )
    return answers, record


def publish(out: Path, config: Config, answers: Sequence[Rebuilt]) -> dict[str, Any]:
    """Write the dataset of everything that was rebuilt, and the report; returns the report."""
    store = Store(out)
    records = store.records()
    store.tidy(records)
    export(store, records, config.export)
    report = {
        "clips": len(answers),
        "rebuilt": sum(answer.is_there for answer in answers),
        "verdicts": dict(Counter(answer.verdict for answer in answers).most_common()),
        "rows": [asdict(answer) for answer in answers],
    }
    write_text(out / REPORT, json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    return report


def _rebuild(job: _Job, row: ManifestRow) -> tuple[Rebuilt, ClipRecord | None]:
    found = job.found
    same_file = found.origin is not None and found.origin.sha256 == row.source_sha256
    source = Place(found, row)
    if same_file:
        answer = Rebuilt(row.clip_id, row.source_id, "same frames", 0, 0.0)
    else:
        offset, distance = source.search(job.maker.search_frames)
        if distance > _SAME_LOOK_BITS:
            return Rebuilt(row.clip_id, row.source_id, "different", None, distance), None
        frames = "frame" if abs(offset) == 1 else "frames"
        verdict = f"re-encoded, offset {offset} {frames}"
        answer = Rebuilt(row.clip_id, row.source_id, verdict, offset, distance)
    clip = _write(source, answer.offset or 0, job.folder, job.maker.config, job.maker.detectors)
    if clip.sha256 == row.sha256:
        answer = replace(answer, verdict="identical", offset=0, distance=0.0)
    return answer, clip


class Place:
    """A row's place in a source whose file may be another one than it was."""

    def __init__(self, found: LocalSource, row: ManifestRow) -> None:
        self.row = row
        self._path, self._name = found.path, found.name
        with VideoReader(self._path, name=self._name) as reader:
            self._info = reader.info
        x0, y0, x1, y1 = row.crop_xyxy
        # The source's size when the clip was made; a file of another size is scaled to it.
        self.width, self.height = round(row.width / (x1 - x0)), round(row.height / (y1 - y0))
        left, top = round(x0 * self.width), round(y0 * self.height)
        self.crop = Crop(left, top, left + row.width, top + row.height)
        same = (self._info.width, self._info.height) == (self.width, self.height)
        self._size = None if same else (self.width, self.height)

    def search(self, frames: int) -> tuple[int, float]:
        """Where the clip is: (offset in frames, mean distance of the hashes in bits)."""
        import imagehash
        from PIL import Image as Pictures

        row, interval = self.row, 1 / Fraction(self.row.fps).limit_denominator(100_000)
        begin = row.start_pts * row.time_base
        first = begin - (frames + Fraction(1, 2)) * interval
        last = begin + (row.num_frames + frames) * interval
        seen: dict[int, Any] = {}
        with VideoReader(self._path, name=self._name, size=self._size) as reader:
            tick = reader.info.time_base
            for frame in reader.frames(max(int(first / tick), 0), int(last / tick) + 1):
                image = frame.image[self.crop.y0 : self.crop.y1, self.crop.x0 : self.crop.x1]
                seen[round((frame.time - begin) / interval)] = imagehash.phash(Pictures.fromarray(image))
        hashes = [row.phash[i : i + _HASH_DIGITS] for i in range(0, len(row.phash), _HASH_DIGITS)]
        looks = {
            (2 * i + 1) * row.num_frames // (2 * len(hashes)): imagehash.hex_to_hash(text)
            for i, text in enumerate(hashes)
        }
        found = {
            offset: fmean(float(seen[place + offset] - look) for place, look in looks.items())
            for offset in range(-frames, frames + 1)
            if all(place + offset in seen for place in looks)
        }
        distance = min(found.values(), default=64.0)
        # Where little moves, several places in a row look the same; it is most likely the middle one.
        alike = [offset for offset, own in found.items() if own == distance] or [0]
        return alike[(len(alike) - 1) // 2], round(distance, 3)

    def span(self, offset: int) -> tuple[int, int | None]:
        """Ticks of this file from the clip's first frame to its end (None: the end of the file)."""
        row, interval = self.row, 1 / Fraction(self.row.fps).limit_denominator(100_000)
        tick = self._info.time_base
        if offset == 0 and tick == row.time_base:
            return row.start_pts, None
        # Half a frame early, so that rounding of times to other ticks loses no frame.
        begin = row.start_pts * row.time_base + (offset - Fraction(1, 2)) * interval
        return max(int(begin / tick), 0), None

    def frames(self, offset: int, size: tuple[int, int] | None = None) -> Iterator[Image]:
        """Exactly the row's number of frames, or fewer where the file ends."""
        start, end = self.span(offset)
        with VideoReader(
            self._path, name=self._name, size=size or self._size, downscaled=size is not None
        ) as reader:
            for number, frame in enumerate(reader.frames(start, end)):
                if number == self.row.num_frames:
                    return
                yield frame.image

    @property
    def pose_size(self) -> tuple[int, int] | None:
        """The size at which poses are looked for."""
        shown = replace(self._info, width=self.width, height=self.height)
        return sample_size(shown, _LONGEST_SIDE)


def _write(source: Place, offset: int, folder: Path, config: Config, detectors: Detectors) -> ClipRecord:
    row, crop = source.row, source.crop
    video = folder / f"{row.clip_id}.mp4"
    fps = Fraction(row.fps).limit_denominator(100_000)
    count = 0
    with VideoWriter(video, fps=fps, crf=config.encode.crf, preset=config.encode.preset) as writer:
        for image in source.frames(offset):
            writer.write(image[crop.y0 : crop.y1, crop.x0 : crop.x1])
            count += 1
    if count != row.num_frames:
        video.unlink()
        raise MediaError(f"only {count} of {row.num_frames} frames are in the source")
    look = verify(video, count, fps)
    keypoints = dense_keypoints(source.frames(offset, source.pose_size), detectors.estimator)
    keypoints = smooth(keypoints, row.fps, source.width, source.height, window_s=config.pose.smooth_s)
    boxes = person_boxes(keypoints)
    with atomic_write(folder / f"{row.clip_id}.npz") as temporary, temporary.open("wb") as file:
        np.savez(
            file,
            keypoints=keypoints_in(crop, keypoints, source.width, source.height).astype(np.float16),
            boxes=boxes_in(crop, boxes, source.width, source.height),
        )
    data = video.read_bytes()
    return ClipRecord(
        clip_id=row.clip_id,
        start_pts=row.start_pts,
        end_pts=row.end_pts,
        time_base_num=row.time_base_num,
        time_base_den=row.time_base_den,
        start_s=row.start_s,
        end_s=row.end_s,
        fps=row.fps,
        width=row.width,
        height=row.height,
        num_frames=count,
        crop_xyxy=row.crop_xyxy,
        scores={"brightness": look.brightness},
        sha256=hashlib.sha256(data).hexdigest(),
        phash=look.phash,
        num_bytes=len(data),
        person_id=row.person_id,
    )
