"""Stress set of curation: made cases with known truth, and a table of recall and false alarms.

    python tools/curation_stress.py [--footage ../shared/footage] [--only transitions|copies|content]

Everything is made in memory or in a temporary folder, from drawn speakers and, where the folder is given,
from the footage. Nothing of it is kept.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from curation.detect import transnet
from curation.detect.shots import ShotDetector
from curation.detect.transitions import TransitionDetector
from curation.synthetic.identity import draw_identity
from curation.synthetic.motion import Motion
from curation.synthetic.render import Scene
from talkingpose.io.image import Image
from talkingpose.media import VideoReader

FPS = Fraction(25)
Frames = list[Image]
SIZE = 256
# Frames of a found transition may lie this far from the made one.
TOLERANCE = 8


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
        counts = {"cuts only": 0, "cuts, pixels": 0, "cuts, network": 0}
        for frames, start, end in clips:
            hard, soft = found_by_pixels(frames)
            cut = [(one, one) for one in hard]
            ways = {"cuts only": cut, "cuts, pixels": [*cut, *soft]}
            if network:
                ways["cuts, network"] = [*cut, *found_by_network(frames)]
            for means, spans in ways.items():
                counts[means] += hits(spans, start, end) if wanted else len(spans) > 0
        for means, count in counts.items():
            if means != "cuts, network" or network:
                yield Row(case, material, count, len(clips), means)


def _pairs(footage: Path | None) -> Iterator[tuple[str, list[tuple[Frames, Frames]], str]]:
    rooms = range(6)
    yield (
        "drawn",
        [(speaker(7000 + i, 7000 + i, 50), speaker(7100 + i, 7100 + i, 50)) for i in rooms],
        ", two rooms",
    )
    if footage is not None:
        names = ("again", "book", "brother", "help", "learn", "night", "school", "sister", "student", "walk")
        signs = [read(footage / "upper_body_hands" / f"sign_{name}.mkv", 60) for name in names]
        yield "footage", list(pairwise(signs)), ", one room"


def _jumps(footage: Path | None) -> Iterator[tuple[str, list[tuple[Frames, int, int]]]]:
    yield "drawn", [jump(speaker(7000 + i, 7000 + i, 50), speaker(7000 + i, 7200 + i, 50)) for i in range(8)]
    if footage is not None:
        talks = [read(footage / "upper_body_hands" / f"stage_talk_{i}.mp4", 200) for i in (1, 2, 3)]
        signs = [read(path, 60) for path in sorted((footage / "upper_body_hands").glob("sign_*.mkv"))[:10]]
        clips = [
            jump(clip[start : start + 40], clip[start + 75 : start + 115])
            for clip in talks
            for start in (0, 40, 80)
        ]
        yield "footage", [*clips, *(jump(clip[:20], clip[35:55]) for clip in signs)]


def _whole(footage: Path | None) -> Iterator[tuple[str, list[Frames]]]:
    yield "drawn", [speaker(7300 + i, 7300 + i, 100) for i in range(10)]
    yield "Ken Burns, drawn", [ken_burns(speaker(7400 + i, 7400, 1, 512)[0], 75) for i in range(6)]
    if footage is not None:
        paths = [
            path
            for folder in ("upper_body_hands", "head_only")
            for path in sorted((footage / folder).iterdir())
        ]
        yield "footage", [read(path, 250) for path in paths]


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


SECTIONS: dict[str, Callable[[Path | None], Iterator[Row]]] = {"transitions": transitions}

if __name__ == "__main__":
    main()
