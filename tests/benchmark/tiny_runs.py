"""Runs that take a moment: clips of a dozen small frames under a protocol made for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.protocols.protocol import Protocol, load_protocol
from benchmark.results import Run
from benchmark.runner.evaluate import RunSettings, evaluate
from talkingpose.media import VideoWriter
from tests.benchmark.drawn_clips import Drawn, picture, row, video_bytes, write_dataset

CLIPS = tuple(
    Drawn(f"tiny-{name}", f"person {index}", Fraction(25), length, (48, 48))
    for index, (name, length) in enumerate(zip("abc", (12, 17, 14), strict=True))
)
IDS = [clip.clip_id for clip in CLIPS]
METRICS = {"psnr": 1, "ssim": 1, "tje": 1}
USERS_OF_PROTOCOLS = (
    *("runner.prepared_run", "analysis.compare", "rescore.rescore", "rescore.verify"),
    *("validation", "validation.run", "run_check.summaries", "runner.predictions.cases"),
    *("report.run_page", "report.pictures"),
)


def tiny_protocol() -> Protocol:
    """`tp-long@1` for clips of 8 frames and more, with three metrics."""
    long = load_protocol("tp-long@1").model_dump()
    return Protocol.model_validate(
        long | {"metrics": METRICS, "deltas": (1, 2), "admission": {"min_frames": 8}}
    )


@pytest.fixture(scope="session")
def tiny_rows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("tiny")
    return {clip.clip_id: row(clip, video_bytes(clip, folder)) for clip in CLIPS}


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory, tiny_rows: dict[str, dict[str, Any]]) -> Path:
    """A dataset of three people with a clip each."""
    return write_dataset(tmp_path_factory.mktemp("data") / "tiny", {"test": list(tiny_rows.values())})


@contextmanager
def protocol_everywhere(protocol: Protocol) -> Iterator[Protocol]:
    """Make every module find a protocol under the name of any other."""
    with pytest.MonkeyPatch.context() as patch:
        for module in USERS_OF_PROTOCOLS:
            patch.setattr(f"benchmark.{module}.load_protocol", lambda name: protocol)
        yield protocol


@pytest.fixture
def tiny_rules() -> Iterator[Protocol]:
    """The small protocol in place of any other."""
    with protocol_everywhere(tiny_protocol()) as protocol:
        yield protocol


def frames(clip: Drawn, change: int = 0) -> list[np.ndarray]:
    """Output of a fair model: the clip, a little brighter."""
    return [
        np.clip(picture(clip, t).astype(int) + change, 0, 255).astype(np.uint8)
        for t in range(clip.num_frames)
    ]


def write_video(
    path: Path, images: Sequence[np.ndarray], fps: Fraction = Fraction(25), **options: Any
) -> Path:
    """A finished video."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(path, fps=fps, preset="veryfast", **options) as writer:
        for image in images:
            writer.write(image)
    return path


def write_pngs(folder: Path, images: Sequence[np.ndarray], name: str = "{:04}.png") -> Path:
    """A folder of PNG frames."""
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    for index, image in enumerate(images):
        Image.fromarray(image).save(folder / name.format(index))
    return folder


def run(model: str, dataset: Path, out: Path, **options: Any) -> Run:
    """Generate and score; in this process, which starts faster."""
    given = {"device": "cpu", "in_process": True, "protocol": "tp-long@1", **options}
    settings = RunSettings(model=model, dataset=str(dataset), out=out, **given)
    return evaluate(settings)


def score(predictions: Path, dataset: Path, out: Path, **options: Any) -> Run:
    """Score finished videos."""
    return run("mine", dataset, out, predictions=predictions, **options)
