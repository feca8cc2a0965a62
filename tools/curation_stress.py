"""Stress set of curation: made cases with known truth, and a table of recall and false alarms.

    python tools/curation_stress.py [--footage ../shared/footage] [--only transitions|copies|content]

Everything is made in memory or in a temporary folder, from drawn speakers and, where the folder is given,
from the footage. Nothing of it is kept.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from curation.detect import transnet
from curation.detect.measurements import Keypoints
from curation.detect.shots import ShotDetector
from curation.detect.transitions import TransitionDetector
from curation.records import ClipRecord, SourceRecord
from curation.synthetic.identity import draw_identity
from curation.synthetic.motion import Motion
from curation.synthetic.render import Scene
from curation.synthetic.render import frames as rendered
from talkingpose.io.image import Image
from talkingpose.media import VideoReader, VideoWriter
from talkingpose.pose import mirror

FPS = Fraction(25)
Frames = list[Image]
Talk = list[tuple[Image, Keypoints]]
SIZE = 128
# Frames of a found transition may lie this far from the made one.
TOLERANCE = 8
# The network takes seconds for a clip and sees this many of each case of the footage.
NETWORK_CLIPS = 4


@dataclass(frozen=True)
class Row:
    """Result of one case: how many of the made events were found."""

    case: str
    material: str
    found: int
    total: int
    means: str

    def line(self) -> str:
        """Return a line of the table."""
        share = f"{100 * self.found / self.total:.0f} %" if self.total else "-"
        return f"| {self.case} | {self.material} | {self.means} | {self.found} of {self.total} | {share} |"


def speaker(person: int, motion: int, count: int, size: int = SIZE, start: int = 0) -> Frames:
    """Frames of a drawn speaker."""
    scene, moves = Scene(draw_identity(person), size), Motion(motion)
    return [scene.render(moves.at(start + index))[0] for index in range(count)]


def read(path: Path, count: int, width: int = SIZE, start: int = 0) -> Frames:
    """Frames of a video, reduced to a width."""
    with VideoReader(path) as reader:
        info = reader.info
    size = (width, max(round(info.height * width / info.width), 1))
    frames = islice(VideoReader(path, size=size, downscaled=True), start, start + count)
    return [frame.image for frame in frames]


def dissolve(one: Frames, other: Frames, length: int) -> tuple[Frames, int, int]:
    """Both clips with their last and first `length` frames mixed; start and end of the mix."""
    start = len(one) - length
    mixed = [
        np.asarray((1 - w) * a + w * b + 0.5, np.uint8)
        for a, b, w in zip(
            (frame.astype(np.float32) for frame in one[start:]),
            (frame.astype(np.float32) for frame in other[:length]),
            (np.arange(length) + 1) / (length + 1),
            strict=True,
        )
    ]
    return [*one[:start], *mixed, *other[length:]], start, start + length


def fade(one: Frames, other: Frames, length: int) -> tuple[Frames, int, int]:
    """The first clip fades to black, the second from black, in `length` frames each."""
    weights = 1 - (np.arange(length) + 1) / length
    out = [np.asarray(w * frame, np.uint8) for w, frame in zip(weights, one[-length:], strict=True)]
    back = [np.asarray(w * frame, np.uint8) for w, frame in zip(weights[::-1], other[:length], strict=True)]
    return [*one[:-length], *out, *back, *other[length:]], len(one) - length, len(one) + length


def jump(one: Frames, other: Frames) -> tuple[Frames, int, int]:
    """One clip after the other."""
    return [*one, *other], len(one), len(one)


def ken_burns(picture: Image, count: int, width: int = SIZE) -> Frames:
    """Slow zoom into a still picture."""
    import cv2

    height, full = picture.shape[:2]
    frames = []
    for index in range(count):
        share = 1 - 0.25 * index / count
        h, w = height * share, full * share
        y, x = (height - h) * 0.4, (full - w) * 0.6
        matrix = np.array([[width / w, 0, -x * width / w], [0, width / w, -y * width / w]])
        frames.append(np.asarray(cv2.warpAffine(picture, matrix, (width, round(height * width / full)))))
    return frames


def found_by_pixels(frames: Frames) -> tuple[list[int], list[tuple[int, int]]]:
    """Hard cuts, and the transitions that the pixels show."""
    from curation.config import load_config

    cuts, transitions = ShotDetector(load_config().shots, FPS), TransitionDetector(FPS)
    for frame in frames:
        cuts.feed(frame)
        transitions.feed(frame)
    hard = cuts.finish()
    return hard, [(one.start, one.end) for one in transitions.finish(hard)]


def found_by_network(frames: Frames) -> list[tuple[int, int]]:
    """Transitions by TransNetV2."""
    import cv2

    small = np.stack([cv2.resize(frame, transnet.SIZE, interpolation=cv2.INTER_AREA) for frame in frames])
    return [(one.start, one.end) for one in transnet.transitions(small)]


def hits(spans: Sequence[tuple[int, int]], start: int, end: int) -> bool:
    """Return whether a span lies at the transition."""
    return any(a <= end + TOLERANCE and b >= start - TOLERANCE for a, b in spans)


def transitions(footage: Path | None) -> Iterator[Row]:
    """Dissolves, fades and jump cuts between made clips; false alarms on clips without any."""
    made: list[tuple[str, str, list[tuple[Frames, int, int]], bool]] = []
    for material, pairs, rooms in _pairs(footage):
        for seconds in (0.2, 0.5, 1.0):
            length = round(seconds * FPS)
            clips = [dissolve(one, other, length) for one, other in pairs]
            made.append((f"dissolve of {seconds} s{rooms}", material, clips, True))
        for seconds in (0.5, 1.0):
            clips = [fade(one, other, round(seconds * FPS)) for one, other in pairs]
            made.append((f"fade of {seconds} s{rooms}", material, clips, True))
    for material, clips in _jumps(footage):
        made.append(("jump cut of one person", material, clips, True))
    for material, whole in _whole(footage):
        made.append(
            ("no transition: false alarms", material, [(clip, 0, len(clip)) for clip in whole], False)
        )
    network = bool(transnet.versions())
    for case, material, clips, wanted in made:
        results: dict[str, list[bool]] = {"cuts only": [], "cuts, pixels": [], "cuts, network": []}
        for place, (frames, start, end) in enumerate(clips):
            hard, soft = found_by_pixels(frames)
            cut = [(one, one) for one in hard]
            ways = {"cuts only": cut, "cuts, pixels": [*cut, *soft]}
            if network and material == "footage" and place < NETWORK_CLIPS:
                ways["cuts, network"] = [*cut, *found_by_network(frames)]
            for means, spans in ways.items():
                results[means].append(hits(spans, start, end) if wanted else len(spans) > 0)
        for means, result in results.items():
            if result:
                yield Row(case, material, sum(result), len(result), means)


def _pairs(footage: Path | None) -> Iterator[tuple[str, list[tuple[Frames, Frames]], str]]:
    rooms = range(4)
    yield (
        "drawn",
        [(speaker(7000 + i, 7000 + i, 50), speaker(7100 + i, 7100 + i, 50)) for i in rooms],
        ", two rooms",
    )
    if footage is not None:
        names = ("again", "book", "brother", "help", "learn", "night", "school", "walk")
        signs = [read(footage / "upper_body_hands" / f"sign_{name}.mkv", 60) for name in names]
        yield "footage", list(pairwise(signs)), ", one room"


def _jumps(footage: Path | None) -> Iterator[tuple[str, list[tuple[Frames, int, int]]]]:
    yield "drawn", [jump(speaker(7000 + i, 7000 + i, 50), speaker(7000 + i, 7200 + i, 50)) for i in range(4)]
    if footage is not None:
        talks = [read(footage / "upper_body_hands" / f"stage_talk_{i}.mp4", 160) for i in (1, 2, 3)]
        signs = [read(path, 60) for path in sorted((footage / "upper_body_hands").glob("sign_*.mkv"))[:6]]
        clips = [
            jump(clip[start : start + 40], clip[start + 75 : start + 115])
            for clip in talks
            for start in (0, 40)
        ]
        yield "footage", [*clips, *(jump(clip[:20], clip[35:55]) for clip in signs)]


def _whole(footage: Path | None) -> Iterator[tuple[str, list[Frames]]]:
    yield "drawn", [speaker(7300 + i, 7300 + i, 60) for i in range(5)]
    yield "Ken Burns, drawn", [ken_burns(speaker(7400 + i, 7400, 1, 512)[0], 75) for i in range(3)]
    if footage is not None:
        paths = [
            path
            for folder in ("upper_body_hands", "head_only")
            for path in sorted((footage / folder).iterdir())
        ]
        yield "footage", [read(path, 120) for path in paths]


def copies(footage: Path | None) -> Iterator[Row]:
    """Copies of clips matched with their originals; false matches between clips that are no copies."""
    from curation.config import load_config
    from curation.dataset.dedup import find_duplicates

    settings = load_config().export.duplicates
    for material, groups in _talks(footage):
        clips = [clip for group in groups for clip in group]
        exact = material == "drawn"
        originals = [_hashed(f"original{index}", clip, exact) for index, clip in enumerate(clips)]
        for kind, change in COPIES.items():
            changed = [_hashed(f"copy{index}", change(clip), exact) for index, clip in enumerate(clips)]
            found = sum(
                bool(find_duplicates([one, other], settings))
                for one, other in zip(originals, changed, strict=True)
            )
            yield Row(f"{kind} copy", material, found, len(clips), "hashes")
        wrong = find_duplicates(originals, settings)
        pairs = len(originals) * (len(originals) - 1) // 2
        yield Row("other clips, same speaker and room: false matches", material, len(wrong), pairs, "hashes")


def _talks(footage: Path | None) -> Iterator[tuple[str, list[list[Talk]]]]:
    """Groups of clips of one speaker, ten frames a second, with keypoints (exact ones of drawn speakers)."""
    drawn = [
        [list(islice(rendered(7500 + i, 7500 + 10 * j, 30, 256, fps=10.0), 30)) for j in range(2)]
        for i in range(4)
    ]
    yield "drawn", drawn
    if footage is not None:
        folder = footage / "upper_body_hands"
        talks = [read(folder / f"stage_talk_{i}.mp4", 160, 384)[::3] for i in (1, 2, 3)]
        empty = np.zeros((133, 3), np.float32)
        halves = [[talk[:18], talk[30:48]] for talk in talks]
        yield "footage", [[[(frame, empty) for frame in half] for half in pair] for pair in halves]


def _hashed(name: str, talk: Talk, exact: bool) -> SourceRecord:
    """Record of a source with the hashes of one clip; keypoints by mediapipe unless they are exact."""
    from curation.dataset.perceptual_hash import PersonHashes, perceptual_hashes
    from curation.detect.letterbox import inside_letterbox
    from talkingpose.pose import HolisticEstimator

    clip = [frame for frame, _ in talk]
    times = [index / 10 for index in range(len(clip))]
    picture = inside_letterbox(np.asarray(clip[0].mean(axis=2), np.uint8))
    whole: list[str] = []
    persons = PersonHashes(times)
    with HolisticEstimator() as estimate:
        for frame, (_, known) in zip(perceptual_hashes(clip, times, picture, whole), talk, strict=True):
            persons.add(frame, known if exact else estimate(frame))
    height, width = clip[0].shape[:2]
    row = ClipRecord(
        clip_id=name, start_pts=0, end_pts=1, time_base_num=1, time_base_den=1, start_s=0, end_s=1, fps=10,
        width=width, height=height, num_frames=len(clip), crop_xyxy=(0, 0, 1, 1), scores={}, sha256="",
        phash="", num_bytes=0, looks=tuple(whole), person_looks=tuple(persons.hashes),
    )  # fmt: skip
    return SourceRecord(
        source="file", source_id=name, name=name, source_sha256=None, recipe="", config_hash="",
        tool_versions={}, error=None, clips=(row,),
    )  # fmt: skip


def _encoded(talk: Talk) -> Talk:
    """The clip after a strong compression at two thirds of its size."""
    import cv2

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "copy.mp4"
        height, width = (round(side * 2 / 3) // 2 * 2 for side in talk[0][0].shape[:2])
        with VideoWriter(path, fps=Fraction(10), crf=35, preset="veryfast") as writer:
            for frame, _ in talk:
                small = cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
                writer.write(np.asarray(small, np.uint8))
        frames = [frame.image for frame in VideoReader(path)]
    return [(frame, points) for frame, (_, points) in zip(frames, talk, strict=True)]


def _mirrored(talk: Talk) -> Talk:
    return [(np.ascontiguousarray(frame[:, ::-1]), mirror(points)) for frame, points in talk]


def _cropped(talk: Talk) -> Talk:
    """A fifth less high, a sixth less wide, off the centre."""
    height, width = talk[0][0].shape[:2]
    x0, y0, x1, y1 = width // 10, height // 20, 19 * width // 20, 9 * height // 10
    copy = []
    for frame, points in talk:
        moved = points.copy()
        moved[:, :2] = (points[:, :2] * (width, height) - (x0, y0)) / (x1 - x0, y1 - y0)
        copy.append((np.ascontiguousarray(frame[y0:y1, x0:x1]), moved))
    return copy


def _letterboxed(talk: Talk) -> Talk:
    height, width = talk[0][0].shape[:2]
    edge = height // 6
    bar = np.zeros((edge, width, 3), np.uint8)
    copy = []
    for frame, points in talk:
        moved = points.copy()
        moved[:, 1] = (points[:, 1] * height + edge) / (height + 2 * edge)
        copy.append((np.concatenate([bar, frame, bar]), moved))
    return copy


def _faster(talk: Talk) -> Talk:
    return [talk[int(index * 1.25)] for index in range(int(len(talk) / 1.25))]


COPIES: dict[str, Callable[[Talk], Talk]] = {
    "re-encoded": _encoded,
    "mirrored": _mirrored,
    "sped up (1.25)": _faster,
    "letterboxed": _letterboxed,
    "cropped": _cropped,
    "cropped and mirrored": lambda talk: _mirrored(_cropped(talk)),
}


def content(footage: Path | None) -> Iterator[Row]:
    """Spans that a person would not keep: kept seconds count as errors; whole clips that should be kept."""
    speakers = range(2)
    for case, wanted, make in CONTENT:
        good = 0
        for index in speakers:
            frames, start, end = make(7600 + index)
            kept = _kept(frames)
            inside = sum(max(0.0, min(b, end) - max(a, start)) for a, b in kept)
            length = max(end - start, 1e-6)
            good += inside >= 0.8 * length if wanted else inside <= 0.2 * length
        means = "kept" if wanted else "not kept"
        yield Row(case, "drawn", good, len(speakers), means)


def _kept(frames: Frames) -> list[tuple[float, float]]:
    """Seconds of the spans that pass all filters; no clip is written."""
    from curation.clips.trim import parts_of
    from curation.config import load_config
    from curation.detect.detectors import MEDIAPIPE
    from curation.detect.scan import scan

    config = load_config()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "case.mp4"
        with VideoWriter(path, fps=FPS, crf=18, preset="veryfast") as writer:
            for frame in frames:
                writer.write(frame)
        reader = VideoReader(path)
        analyser = MEDIAPIPE.analyser(reader.info, config.sampling.longer_side)
        try:
            scanned = scan(reader, config.shots, config.sampling, analyser)
        finally:
            analyser.close()
    parts = [part for shot in scanned.shots for part in parts_of(shot, config, scanned.times)]
    return [(scanned.times[part.shot.start], scanned.times[part.shot.end]) for part in parts if part.passed]


Case = tuple[Frames, float, float]
_LONG, _CASE_SIZE = 80, 384


def _plain(seed: int) -> Frames:
    return speaker(seed, seed, _LONG, _CASE_SIZE)


def _covered(seed: int, top: float, bottom: float) -> Case:
    """Rows of the picture are cut away in the second half, as if the camera moved."""
    frames = _plain(seed)
    rows = slice(round(top * _CASE_SIZE), round(bottom * _CASE_SIZE))
    half = _LONG // 2
    moved = [np.ascontiguousarray(frame[rows]) for frame in frames[half:]]
    import cv2

    full = [np.asarray(cv2.resize(frame, (_CASE_SIZE, _CASE_SIZE)), np.uint8) for frame in moved]
    return [*frames[:half], *full], half / 25, _LONG / 25


def _second_person(seed: int) -> Case:
    """Another speaker stands on the right from the second second on."""
    one, other = _plain(seed), speaker(seed + 50, seed + 50, _LONG, _CASE_SIZE)
    start = _LONG // 2
    frames = []
    for index, (left, right) in enumerate(zip(one, other, strict=True)):
        wide = np.concatenate([left, right if index >= start else np.full_like(right, right[0, 0])], axis=1)
        frames.append(wide)
    return frames, start / 25, _LONG / 25


def _picture_in_picture(seed: int) -> Case:
    import cv2

    wide = np.full((_CASE_SIZE, 2 * _CASE_SIZE, 3), 225, np.uint8)
    wide[::24] = 120
    frames = []
    for frame in _plain(seed):
        whole = wide.copy()
        whole[-140:, -140:] = cv2.resize(frame, (140, 140), interpolation=cv2.INTER_AREA)
        frames.append(whole)
    return frames, 0, _LONG / 25


def _captioned(style: int) -> Callable[[int], Case]:
    """Two lines of text across the hands, in one of six styles."""
    import cv2

    ink = [(255, 255, 255), (255, 230, 0), (0, 0, 0), (255, 255, 255), (255, 60, 60), (255, 255, 255)][style]
    fonts = ("SIMPLEX", "DUPLEX", "COMPLEX", "SIMPLEX", "TRIPLEX", "COMPLEX_SMALL")
    font = getattr(cv2, f"FONT_HERSHEY_{fonts[style]}")

    def make(seed: int) -> Case:
        frames = []
        for frame in _plain(seed):
            drawn = frame.copy()
            if style == 2:
                drawn[280:350, 20:364] = 255
            if style == 3:
                drawn[280:350, 20:364] //= 3
            for line, text in enumerate(("and this is what we", "measured last summer")):
                place = (30, 308 + 32 * line)
                if style in (0, 4, 5):
                    cv2.putText(drawn, text, place, font, 0.9, (0, 0, 0), 5, cv2.LINE_AA)
                cv2.putText(drawn, text, place, font, 0.9, ink, 2, cv2.LINE_AA)
            frames.append(drawn)
        return frames, 0, _LONG / 25

    return make


def _takeover(seed: int) -> Case:
    """The second half shows another speaker, after a dissolve of half a second."""
    frames, start, end = dissolve(
        _plain(seed)[:50], speaker(seed + 70, seed + 70, 50, _CASE_SIZE), round(0.5 * FPS)
    )
    return frames, start / 25, end / 25


CONTENT: list[tuple[str, bool, Callable[[int], Case]]] = [
    ("one speaker, nothing wrong", True, lambda seed: (_plain(seed), 0, _LONG / 25)),
    ("hands leave (picture ends above them)", False, lambda seed: _covered(seed, 0.0, 0.62)),
    ("head leaves (picture begins at the eyes)", False, lambda seed: _covered(seed, 0.3, 1.0)),
    ("second person comes in", False, _second_person),
    ("takeover by dissolve", False, _takeover),
    ("picture in picture", False, _picture_in_picture),
    (
        "Ken Burns",
        False,
        lambda seed: (ken_burns(speaker(seed, seed, 1, 768)[0], _LONG, _CASE_SIZE), 0, _LONG / 25),
    ),
    *((f"captions over the hands, style {style + 1}", False, _captioned(style)) for style in range(6)),
]


def main() -> None:
    """Print the table of docs/explanation/curation-stress.md."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--footage", type=Path)
    parser.add_argument("--only", choices=sorted(SECTIONS))
    options = parser.parse_args()
    print("| case | material | by | found | share |\n|---|---|---|---:|---:|")
    for name, rows in SECTIONS.items():
        if options.only in (None, name):
            for row in rows(options.footage):
                print(row.line(), flush=True)


SECTIONS: dict[str, Callable[[Path | None], Iterator[Row]]] = {
    "transitions": transitions,
    "copies": copies,
    "content": content,
}

if __name__ == "__main__":
    main()
