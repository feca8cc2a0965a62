"""Rebuilding of the clips of a release: cut, check by hash, search by perceptual hash."""

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
from curation.detect.detectors import Detectors, sample_size
from curation.executors.base import Executor, JobFailure, Limits
from curation.records import ClipRecord, SourceRecord
from curation.release.manifest import ManifestRow
from curation.run import recipe_of
from curation.sources import LocalSource
from curation.store import Store
from talkingpose.io.atomic import atomic_write, write_text
from talkingpose.io.image import Image
from talkingpose.media import MediaError, VideoReader, VideoWriter
from talkingpose.media.audio import cut_audio
from talkingpose.pose import PoseError, smooth

REPORT = "rebuild.json"
# Folder of results per source, in the state of an output folder.
MEMORY = "rebuilt"
# Perceptual hashes of the same picture in another encoding differ in few of 64 bits, those of different
# pictures in about half.
_SAME_LOOK_BITS = 10.0
_LONGEST_SIDE = 1280
# Hex digits of ImageHash's hash of one frame; the column `phash` has those of several, evenly spread.
_HASH_DIGITS = 16


@dataclass(frozen=True)
class Rebuilt:
    """Result for one row of the manifest.

    Attributes:
        verdict: `identical` (the same bytes), `same frames` (the same source, written by another encoder),
            `re-encoded, offset N frames`, `different` (no place in the source matches the clip), or
            `missing: CAUSE`.
        offset: frames by which the clip is later in the source than in the manifest.
        distance: mean number of differing bits of the perceptual hashes, of 64.
    """

    clip_id: str
    source_id: str
    verdict: str
    offset: int | None = None
    distance: float | None = None

    @property
    def is_there(self) -> bool:
        """True if the clip is in the dataset."""
        return self.verdict != "different" and not self.verdict.startswith("missing")


@dataclass(frozen=True)
class RebuildMaker:
    """Configuration and tools of rebuilt clips.

    Attributes:
        config: configuration.
        detectors: models.
        versions: versions of the tools, for the dataset.
        search_frames: search range around the place of a clip, in frames in both directions.
    """

    config: Config
    detectors: Detectors
    versions: dict[str, str]
    search_frames: int = 50

    @property
    def recipe(self) -> str:
        """Identifier of configuration and tools, see `curation.run.recipe_of`."""
        return recipe_of(self.config, self.versions)


@dataclass(frozen=True)
class _Job:
    """Job of a worker process: a downloaded source with its rows."""

    found: LocalSource
    rows: tuple[ManifestRow, ...]
    folder: Path
    maker: RebuildMaker


def rebuild_sources(
    store: Store,
    maker: RebuildMaker,
    sources: Sequence[tuple[LocalSource, tuple[ManifestRow, ...]]],
    workers: int,
    executor: Executor,
) -> Iterator[tuple[LocalSource, list[Rebuilt], bool]]:
    """Rebuild the clips of downloaded sources and store the results of each source when it ends.

    Yields:
        Source, results of its rows, and whether the results are final.
    """
    jobs = []
    for found, rows in sources:
        assert found.origin is not None
        # The id is that of the download, not that of the manifest: it names a folder.
        jobs.append(_Job(found, rows, store.clip_folder(found.origin.source_id, maker.recipe), maker))
    settings = maker.config.workers
    limits = Limits(workers, store.log, settings.source_limit_s, settings.sources_per_process)
    results = executor.run(jobs, _rebuild_source, limits)
    for number, result in results:
        rows = jobs[number].rows
        if isinstance(result, JobFailure):
            # The failure is not that of the source: the next run tries again.
            missing = [Rebuilt(r.clip_id, r.source_id, f"missing: {result.message}") for r in rows]
            yield jobs[number].found, missing, False
            continue
        made, record = result
        store.write(record)
        lines = [_digest(maker, record.source_sha256, rows), json.dumps([asdict(one) for one in made])]
        _results_file(store, record.source_id).parent.mkdir(exist_ok=True)
        write_text(_results_file(store, record.source_id), "".join(f"{line}\n" for line in lines))
        yield jobs[number].found, made, True


def remembered(
    store: Store, maker: RebuildMaker, source_id: str, source_sha256: str | None, rows: Sequence[ManifestRow]
) -> list[Rebuilt] | None:
    """Return the results of an earlier run for these rows; None if they are missing or outdated."""
    try:
        digest, results = _results_file(store, source_id).read_text(encoding="utf-8").splitlines()
        found = [Rebuilt(**result) for result in json.loads(results)]
    except (OSError, ValueError, TypeError):
        return None
    record = store.record(source_id)
    if record is None or digest != _digest(maker, source_sha256, rows):
        return None
    made = {result.clip_id for result in found if result.is_there}
    return found if made == {clip.clip_id for clip in record.clips} else None


def _results_file(store: Store, source_id: str) -> Path:
    return store.state / MEMORY / f"{source_id}.json"


def _digest(maker: RebuildMaker, source_sha256: str | None, rows: Sequence[ManifestRow]) -> str:
    """Return a digest of everything that affects the results of a source's rows.

    The representation of the rows is stored: their class and its fields keep their names.
    """
    parts: tuple[Any, ...] = (maker.recipe, maker.search_frames, source_sha256, list(rows))
    with_audio = [row.clip_id for row in rows if row.has_audio]
    if with_audio:
        parts += (with_audio,)
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _rebuild_source(job: _Job) -> tuple[list[Rebuilt], SourceRecord]:
    """Rebuild all clips of one source; clips that differ are not kept."""
    job.folder.mkdir(parents=True, exist_ok=True)
    results, clips = [], []
    for row in job.rows:
        try:
            result, clip = _rebuild(job, row)
        except (MediaError, PoseError, ClipError) as error:
            result, clip = Rebuilt(row.clip_id, row.source_id, f"missing: {error}"), None
        results.append(result)
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
    return results, record


def publish(out: Path, config: Config, results: Sequence[Rebuilt]) -> dict[str, Any]:
    """Write the dataset of all rebuilt clips, and the report; returns the report."""
    store = Store(out)
    records = store.records()
    store.tidy(records)
    export(store, records, config.export)
    report = {
        "clips": len(results),
        "rebuilt": sum(result.is_there for result in results),
        "verdicts": dict(Counter(result.verdict for result in results).most_common()),
        "rows": [asdict(result) for result in results],
    }
    write_text(out / REPORT, json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    return report


def _rebuild(job: _Job, row: ManifestRow) -> tuple[Rebuilt, ClipRecord | None]:
    found = job.found
    same_file = found.origin is not None and found.origin.sha256 == row.source_sha256
    source = Place(found, row)
    if same_file:
        result = Rebuilt(row.clip_id, row.source_id, "same frames", 0, 0.0)
    else:
        offset, distance = source.search(job.maker.search_frames)
        if distance > _SAME_LOOK_BITS:
            return Rebuilt(row.clip_id, row.source_id, "different", None, distance), None
        frames = "frame" if abs(offset) == 1 else "frames"
        verdict = f"re-encoded, offset {offset} {frames}"
        result = Rebuilt(row.clip_id, row.source_id, verdict, offset, distance)
    clip = _write(source, result.offset or 0, job.folder, job.maker.config, job.maker.detectors)
    if clip.sha256 == row.sha256:
        result = replace(result, verdict="identical", offset=0, distance=0.0)
    return result, clip


class Place:
    """Place of a row in a source whose file may have changed."""

    def __init__(self, found: LocalSource, row: ManifestRow) -> None:
        self.row = row
        self.path, self._name = found.path, found.name
        with VideoReader(self.path, name=self._name) as reader:
            self._info = reader.info
        x0, y0, x1, y1 = row.crop_xyxy
        # Size of the source when the clip was made; a file of another size is scaled to it.
        self.width, self.height = round(row.width / (x1 - x0)), round(row.height / (y1 - y0))
        left, top = round(x0 * self.width), round(y0 * self.height)
        self.crop = Crop(left, top, left + row.width, top + row.height)
        same = (self._info.width, self._info.height) == (self.width, self.height)
        self._size = None if same else (self.width, self.height)

    def search(self, frames: int) -> tuple[int, float]:
        """Search the clip; returns its offset in frames and the mean distance of the hashes in bits."""
        import imagehash
        from PIL import Image as Pictures

        row, interval = self.row, 1 / Fraction(self.row.fps).limit_denominator(100_000)
        begin = row.start_pts * row.time_base
        first = begin - (frames + Fraction(1, 2)) * interval
        last = begin + (row.num_frames + frames) * interval
        seen: dict[int, Any] = {}
        with VideoReader(self.path, name=self._name, size=self._size) as reader:
            tick = reader.info.time_base
            for frame in reader.frames(max(int(first / tick), 0), int(last / tick) + 1):
                image = frame.image[self.crop.y0 : self.crop.y1, self.crop.x0 : self.crop.x1]
                seen[round((frame.time - begin) / interval)] = imagehash.phash(Pictures.fromarray(image))
        hashes = [row.phash[i : i + _HASH_DIGITS] for i in range(0, len(row.phash), _HASH_DIGITS)]
        expected = {
            (2 * i + 1) * row.num_frames // (2 * len(hashes)): imagehash.hex_to_hash(text)
            for i, text in enumerate(hashes)
        }
        found = {
            offset: fmean(float(seen[place + offset] - look) for place, look in expected.items())
            for offset in range(-frames, frames + 1)
            if all(place + offset in seen for place in expected)
        }
        distance = min(found.values(), default=64.0)
        # With little motion several neighbouring places match; the middle one is most likely.
        alike = [offset for offset, own in found.items() if own == distance] or [0]
        return alike[(len(alike) - 1) // 2], round(distance, 3)

    def span(self, offset: int) -> tuple[int, int | None]:
        """Return the ticks from the first frame of the clip to its end; None: end of the file."""
        row, interval = self.row, 1 / Fraction(self.row.fps).limit_denominator(100_000)
        tick = self._info.time_base
        if offset == 0 and tick == row.time_base:
            return row.start_pts, None
        # Half a frame early: rounding to other ticks must not lose a frame.
        begin = row.start_pts * row.time_base + (offset - Fraction(1, 2)) * interval
        return max(int(begin / tick), 0), None

    def begin(self, offset: int) -> Fraction:
        """Return the time of the first frame of the clip, in seconds."""
        start, _ = self.span(offset)
        with VideoReader(self.path, name=self._name) as reader:
            first = next(reader.frames(start, None), None)
        return Fraction(start) * self._info.time_base if first is None else first.time

    def frames(self, offset: int, size: tuple[int, int] | None = None) -> Iterator[Image]:
        """Yield the frames of the row, or fewer if the file ends."""
        start, end = self.span(offset)
        with VideoReader(
            self.path, name=self._name, size=size or self._size, downscaled=size is not None
        ) as reader:
            for number, frame in enumerate(reader.frames(start, end)):
                if number == self.row.num_frames:
                    return
                yield frame.image

    @property
    def pose_size(self) -> tuple[int, int] | None:
        """Size of the frames for pose detection; None for the size of the file."""
        shown = replace(self._info, width=self.width, height=self.height)
        return sample_size(shown, _LONGEST_SIDE)


def _write(source: Place, offset: int, folder: Path, config: Config, detectors: Detectors) -> ClipRecord:
    row, crop = source.row, source.crop
    video = folder / f"{row.clip_id}.mp4"
    fps = Fraction(row.fps).limit_denominator(100_000)
    count = 0
    with VideoWriter(
        video, fps=fps, crf=config.encode.crf, preset=config.encode.preset, gop=config.encode.gop
    ) as writer:
        for image in source.frames(offset):
            writer.write(image[crop.y0 : crop.y1, crop.x0 : crop.x1])
            count += 1
    if count != row.num_frames:
        video.unlink()
        raise MediaError(f"the source has only {count} of {row.num_frames} frames")
    has_audio = row.has_audio
    if has_audio:
        has_audio = cut_audio(video, source.path, start=source.begin(offset), length=count / fps)
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
        has_audio=has_audio,
    )
