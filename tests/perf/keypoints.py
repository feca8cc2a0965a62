"""Measure keypoints of two estimators: error, coverage, swapped and repeated hands, CPU time.

    python tests/perf/keypoints.py --speakers 24 --frames 25 --renders ../shared/footage --videos FILE...

Drawn speakers have exact keypoints. DWPose's drawings of real videos give the distance of hands and faces to
their discs. Other videos give what needs no truth: coverage and coinciding hands.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from talkingpose.io.image import Image
from talkingpose.media import VideoReader
from talkingpose.pose import BODY, FACE, LEFT_HAND, RIGHT_HAND, HolisticEstimator, RefinedHolisticEstimator

ESTIMATORS = {"before": HolisticEstimator, "after": RefinedHolisticEstimator}
PARTS = {"body": BODY, "face": FACE, "left hand": LEFT_HAND, "right hand": RIGHT_HAND}
# Points below this confidence are not drawn and count as missing.
PRESENT = 0.3
# A point is correct (PCK) within this share of the shoulder width.
PCK = 0.1


class Figures:
    """Sums over frames, by part."""

    def __init__(self) -> None:
        self.seconds, self.frames = 0.0, 0
        self.errors: dict[str, list[float]] = defaultdict(list)
        self.expected: dict[str, int] = defaultdict(int)
        self.events: dict[str, int] = defaultdict(int)

    def add_truth(self, found: np.ndarray, truth: np.ndarray) -> None:
        """Compare a frame with exact keypoints; hidden points (0.5) do not count."""
        width = float(np.hypot(*(truth[5, :2] - truth[6, :2])))
        for part, rows in PARTS.items():
            seen = truth[rows, 2] == 1
            self.expected[part] += int(seen.sum())
            both = seen & (found[rows, 2] >= PRESENT)
            errors = np.hypot(*(found[rows, :2] - truth[rows, :2])[both].T) / max(width, 1e-6)
            self.errors[part] += errors.tolist()
        if (truth[[91, 112], 2] > 0).all() and not coincide(truth, (1, 1)):
            shown = all((found[rows, 2] >= PRESENT).any() for rows in (LEFT_HAND, RIGHT_HAND))
            self.events["repeated"] += shown and coincide(found, (1, 1))
        for own, other in ((LEFT_HAND, RIGHT_HAND), (RIGHT_HAND, LEFT_HAND)):
            if (found[own, 2] >= PRESENT).all() and (truth[[own.start, other.start], 2] > 0).all():
                distances = [
                    np.hypot(*(found[own.start, :2] - truth[hand.start, :2])) for hand in (own, other)
                ]
                self.events["swapped"] += bool(distances[1] < distances[0])

    def add_alone(self, found: np.ndarray, size: tuple[int, int]) -> None:
        """Count what needs no truth."""
        self.frames += 1
        shown = [(found[rows, 2] >= PRESENT).any() for rows in (LEFT_HAND, RIGHT_HAND)]
        self.events["left"] += shown[0]
        self.events["right"] += shown[1]
        self.events["face"] += bool((found[FACE, 2] >= PRESENT).any())
        self.events["wrists"] += int((found[[9, 10], 2] >= PRESENT).sum())
        self.events["coinciding"] += all(shown) and coincide(found, size)


def coincide(found: np.ndarray, size: tuple[int, int]) -> bool:
    """Return whether the joints of both hands lie in one place, in the mean within 0.35 of a hand's size."""
    one, other = (found[rows, :2] * size for rows in (LEFT_HAND, RIGHT_HAND))
    scale = max(float(np.ptp(points, axis=0).max()) for points in (one, other))
    return float(np.hypot(*(one - other).T).mean()) < 0.35 * scale


def speakers(count: int, frames: int, size: int) -> Iterator[Iterator[tuple[Image, np.ndarray]]]:
    """Clips of drawn speakers, with their keypoints."""
    from curation.synthetic.render import frames as drawn

    for seed in range(count):
        yield drawn(5_000_000 + seed, 5_000_000 + seed, frames, size)


def measure(clips: Iterable[Iterable[tuple[Image, np.ndarray | None]]]) -> dict[str, Figures]:
    """Run both estimators over the same frames, frame by frame."""
    figures = {name: Figures() for name in ESTIMATORS}
    for clip in clips:
        estimators = {name: new() for name, new in ESTIMATORS.items()}
        for image, truth in clip:
            for name, estimate in estimators.items():
                begun = time.process_time()
                found = estimate(image)
                figures[name].seconds += time.process_time() - begun
                figures[name].add_alone(found, (image.shape[1], image.shape[0]))
                if truth is not None:
                    figures[name].add_truth(found, truth)
        for estimate in estimators.values():
            estimate.close()
    return figures


def truth_table(figures: dict[str, Figures]) -> None:
    """Print errors against exact keypoints."""
    print("| | points found | PCK@0.1 | mean error, % of the shoulder width |\n|---|---:|---:|---:|")
    for part in PARTS:
        for name, own in figures.items():
            errors, expected = np.array(own.errors[part]), max(own.expected[part], 1)
            print(
                f"| {part}, {name} | {100 * len(errors) / expected:.1f} % | "
                f"{100 * (errors <= PCK).sum() / expected:.1f} % | "
                f"{100 * errors.mean() if len(errors) else float('nan'):.1f} |"
            )
    for name, own in figures.items():
        print(
            f"\n{name}: hands on the other side {own.events['swapped']}, one hand drawn twice "
            f"{own.events['repeated']}",
            end="",
        )
    print()


COLUMNS = ("", "frames", "left hand", "right hand", "face", "coinciding hands", "CPU ms a frame", "ratio")


def coverage_lines(label: str, figures: dict[str, Figures]) -> None:
    """Print what needs no truth."""
    first = figures["before"].seconds
    for name, own in figures.items():
        n = max(own.frames, 1)
        shares = " | ".join(
            f"{100 * own.events[e] / n:.1f} %" for e in ("left", "right", "face", "coinciding")
        )
        print(
            f"| {label}, {name} | {own.frames} | {shares} | {1000 * own.seconds / n:.1f} "
            f"| {own.seconds / max(first, 1e-9):.2f} |",
            flush=True,
        )


def render_table(folder: Path, count: int) -> None:
    """Print the distance of hands and faces to the discs of DWPose's drawings, in % of the picture."""
    import cv2

    distances: dict[tuple[str, str], list[float]] = defaultdict(list)
    shown: dict[tuple[str, str], int] = defaultdict(int)
    total = 0
    for drawing in sorted((folder / "pose_renders").iterdir()):
        estimators = {name: new() for name, new in ESTIMATORS.items()}
        pairs = zip(
            VideoReader(folder / "upper_body_hands" / drawing.name), VideoReader(drawing), strict=True
        )
        for frame, drawn in islice(pairs, count):
            total += 1
            discs = {
                "face": (drawn.image > 200).all(axis=2),
                "hands": (drawn.image[..., 2] > 180) & (drawn.image[..., :2] < 90).all(axis=2),
            }
            for name, estimate in estimators.items():
                found = estimate(frame.image)
                for part, rows in (("face", [FACE]), ("hands", [LEFT_HAND, RIGHT_HAND])):
                    points = np.concatenate([found[r] for r in rows])
                    points = points[points[:, 2] >= PRESENT, :2]
                    shown[part, name] += len(points)
                    mask = discs[part]
                    if mask.any() and len(points):
                        away = cv2.distanceTransform(np.uint8(~mask), cv2.DIST_L2, 5)
                        x, y = (points * mask.shape[::-1]).astype(int).T
                        distances[part, name] += (100 * away[y, x] / max(mask.shape)).tolist()
        for estimate in estimators.values():
            estimate.close()
    print(f"\n{total} frames beside DWPose's drawings\n")
    print("| | points a frame | median distance | 95th percentile |\n|---|---:|---:|---:|")
    for (part, name), values in distances.items():
        print(
            f"| {part}, {name} | {shown[part, name] / total:.1f} | {np.median(values):.2f} % "
            f"| {np.percentile(values, 95):.2f} % |"
        )
    print()


def main() -> None:
    """Print tables for docs/explanation/keypoints.md."""
    # This folder holds another curation.py.
    sys.path[0] = str(Path(__file__).parents[2])
    from curation.detect.detectors import sample_size

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--speakers", type=int, default=24)
    parser.add_argument("--frames", type=int, default=25)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--renders", type=Path, help="Folder with upper_body_hands/ and pose_renders/.")
    parser.add_argument("--videos", type=Path, nargs="*", default=[])
    parser.add_argument("--longest-side", type=int, default=1280)
    options = parser.parse_args()
    if options.speakers:
        figures = measure(speakers(options.speakers, options.frames, options.size))
        truth_table(figures)
        print()
    print(f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|")
    if options.speakers:
        coverage_lines("drawn speakers", figures)
    if options.renders:
        render_table(options.renders, options.frames)
    for path in options.videos:
        with VideoReader(path) as reader:
            size = sample_size(reader.info, options.longest_side)
        frames = VideoReader(path, size=size, downscaled=True)
        clip = ((frame.image, None) for frame in islice(frames, options.frames))
        coverage_lines(path.stem, measure([clip]))


if __name__ == "__main__":
    main()
