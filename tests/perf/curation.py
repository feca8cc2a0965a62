"""Measure the CPU time of `tp-curate` for rejecting and keeping a 1080p source, against baselines.

    .venv/bin/python tests/perf/curation.py [--seconds 60] [--footage FOLDER] [--only reject|keep]

All in one process with loaded models, as a worker processes many sources. The kept source is made from a
stage talk of the footage, enlarged to 1920x1080 at 25 frames per second; the rejected one is synthetic.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np

from talkingpose.io.image import Image

ROOT = Path(__file__).resolve().parents[2]

SIZE, FPS = (1920, 1080), Fraction(25)
TALK = "upper_body_hands/stage_talk_3.mp4"


def cpu_s(work: Callable[[], object]) -> float:
    """CPU seconds of all threads of this process."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def nobody(count: int) -> Iterator[Image]:
    """Drifting blotches: no face, no cut."""
    import cv2

    rng = np.random.default_rng(0)
    coarse = rng.integers(30, 220, (40, 120, 3)).astype(np.uint8)
    wide = cv2.resize(coarse, (SIZE[0] + 2 * count, SIZE[1]), interpolation=cv2.INTER_CUBIC)
    for index in range(count):
        yield np.ascontiguousarray(wide[:, 2 * index : 2 * index + SIZE[0]])


def talk(footage: Path, count: int) -> Iterator[Image]:
    """Repeated stage talk, enlarged to the full height, with replicated edges."""
    import cv2

    from talkingpose.media import VideoReader

    side = (SIZE[0] - SIZE[1]) // 2
    made = 0
    while made < count:
        for frame in VideoReader(footage / TALK):
            square = cv2.resize(frame.image, (SIZE[1], SIZE[1]), interpolation=cv2.INTER_CUBIC)
            yield cv2.copyMakeBorder(square, 0, 0, side, side, cv2.BORDER_REPLICATE)
            made += 1
            if made == count:
                return


def write(path: Path, pictures: Iterator[Image]) -> Path:
    """Write a video with x264's own key frames, at least every 250 frames."""
    from talkingpose.media import VideoWriter

    with VideoWriter(path, fps=FPS, preset="veryfast", crf=20) as writer:
        for picture in pictures:
            writer.write(picture)
    return path


def curated(path: Path, folder: Path) -> tuple[float, dict[str, float], list[tuple[str, str | None]]]:
    """CPU seconds of one source in total and per step, and its verdicts."""
    from curation.config import load_config
    from curation.detect.detectors import MEDIAPIPE
    from curation.sources import find_sources, identify
    from curation.worker import Job, process

    (found,) = find_sources([path])
    job = Job(identify(found), load_config(), "perf", {}, MEDIAPIPE, folder)
    begun = time.process_time()
    record = process(job)
    spent = time.process_time() - begun
    return spent, dict(record.seconds), [(shot.verdict, shot.reason) for shot in record.shots]


def dense_pose_alone(path: Path) -> float:
    """CPU seconds of the pose model over every frame, at the size of the cascade, without decoding."""
    from curation.detect.detectors import sample_size
    from talkingpose.media import VideoReader
    from talkingpose.pose import HolisticEstimator

    with VideoReader(path) as reader:
        size = sample_size(reader.info, 1280)
    spent = 0.0
    with HolisticEstimator() as estimator, VideoReader(path, size=size) as reader:
        for frame in reader:
            begun = time.process_time()
            estimator(frame.image)
            spent += time.process_time() - begun
    return spent


def naive(path: Path, per_second: float) -> dict[str, float]:
    """CPU seconds per step if each step decodes by itself and works on frames of full size."""
    steps = {
        "shots": _shots,
        "faces": _faces,
        "body, hands": _body,
        "bystanders": _bystanders,
        "sharpness": _sharpness,
        "text": _text,
        "motion": _motion,
        "hashes": _hashes,
    }
    return {name: cpu_s(lambda step=step: step(path, per_second)) for name, step in steps.items()}


def _frames(path: Path) -> Iterator[tuple[float, Image]]:
    import av

    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        for frame in container.decode(stream):
            yield float(frame.time), frame.to_ndarray(format="rgb24")


def _sampled(path: Path, per_second: float) -> Iterator[Image]:
    due = 0.0
    for moment, image in _frames(path):
        if moment >= due:
            due += 1 / per_second
            yield image


def _shots(path: Path, per_second: float) -> None:
    from scenedetect import FrameTimecode
    from scenedetect.detectors import AdaptiveDetector

    detector = AdaptiveDetector()
    for index, (_, image) in enumerate(_frames(path)):
        detector.process_frame(FrameTimecode(index, FPS), np.ascontiguousarray(image[:, :, ::-1]))


def _faces(path: Path, per_second: float) -> None:
    from mediapipe.python.solutions import face_detection

    with face_detection.FaceDetection(model_selection=1) as model:
        for image in _sampled(path, per_second):
            model.process(image)


def _body(path: Path, per_second: float) -> None:
    from mediapipe.python.solutions import holistic

    with holistic.Holistic(static_image_mode=True) as model:
        for image in _sampled(path, per_second):
            model.process(image)


def _sharpness(path: Path, per_second: float) -> None:
    import cv2

    for image in _sampled(path, per_second):
        cv2.Laplacian(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.CV_32F).var()


def _text(path: Path, per_second: float) -> None:
    import cv2

    from curation.detect.text_overlay import TextFinder

    find = TextFinder()
    for image in _sampled(path, 1.0):
        find(np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8))


def _bystanders(path: Path, per_second: float) -> None:
    from mediapipe.python.solutions import selfie_segmentation

    with selfie_segmentation.SelfieSegmentation(model_selection=0) as model:
        for image in _sampled(path, 1.0):
            for strip in (image[:, :480], image[:, -480:]):
                model.process(np.ascontiguousarray(strip))


def _motion(path: Path, per_second: float) -> None:
    import cv2

    from curation.detect.measurements import WHOLE
    from curation.detect.person_motion import PersonMotion

    motion = PersonMotion()
    for image in _sampled(path, 1.0):
        motion(np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8), WHOLE)


def _hashes(path: Path, per_second: float) -> None:
    import imagehash
    from PIL import Image as Pictures

    for image in _sampled(path, per_second):
        imagehash.phash(Pictures.fromarray(image), hash_size=16)


def main() -> None:
    """Print lines for docs/explanation/performance.md."""
    import cv2

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--footage", type=Path, default=ROOT / "../shared/footage")
    parser.add_argument("--only", choices=["reject", "keep"])
    chosen = parser.parse_args()
    cv2.setNumThreads(1)
    count = chosen.seconds * int(FPS)
    print(f"{chosen.seconds} s of 1920x1080 at 25; load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if chosen.only in (None, "reject"):
            path = write(folder / "nobody.mp4", nobody(count))
            curated(path, folder / "warm")
            spent, steps, verdicts = curated(path, folder / "reject")
            share = 100 * spent / chosen.seconds
            print(
                f"reject: {spent:.2f} CPU s, {share:.2f} % of its duration; {steps}; {verdicts}", flush=True
            )
        if chosen.only in (None, "keep"):
            keep(folder, chosen.footage, count)


def keep(folder: Path, footage: Path, count: int) -> None:
    """Compare a kept source with the pose model alone, and the steps before it with the naive way."""
    if not (footage / TALK).is_file():
        sys.exit(f"footage {footage}: no {TALK}: a kept source needs a real person; give --footage")
    # Models are loaded once per process.
    curated(write(folder / "warm.mp4", talk(footage, 80)), folder / "warm")
    path = write(folder / "talk.mp4", talk(footage, count))
    spent, steps, verdicts = curated(path, folder / "keep")
    print(f"keep: {spent:.2f} CPU s; {steps}; {verdicts}", flush=True)
    alone = dense_pose_alone(path)
    print(f"dense pose alone: {alone:.2f} CPU s; keeping takes {spent / alone:.2f} times that", flush=True)
    before = sum(steps.get(step, 0.0) for step in ("index", "gate", "scan"))
    apart = naive(path, 5.0)
    total = sum(apart.values())
    each = ", ".join(f"{name} {seconds:.2f}" for name, seconds in apart.items())
    print(f"before dense pose: {before:.2f} CPU s; naive {total:.2f} ({each}): {total / before:.2f} times")


if __name__ == "__main__":
    main()
