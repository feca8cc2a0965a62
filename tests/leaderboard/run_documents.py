"""Synthetic documents of runs: controls, models, missing values, limits."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmark.protocols.protocol import load_protocol
from benchmark.results import (
    CaseCost,
    CaseResult,
    CaseScore,
    ContestantRef,
    Cost,
    Curve,
    DatasetRef,
    MetricSummary,
    ProtocolRef,
    Run,
    Video,
    WeightRef,
    read_case,
    read_run,
    write_document,
)
from benchmark.run_check import CheckedRun
from leaderboard.entries.runs import RefusedRun
from leaderboard.site import SiteReport, build_site
from talkingpose.data.contestant import case_seed

DELTAS = (1, 2, 8, 64)
RULES = load_protocol("tp-long@1").sha256()
CLIPS = hashlib.sha256(b"clips").hexdigest()
# Typical values: PSNR (None: infinite), SSIM, TJE at delta 2, growth of TJE over delta, decay per second.
LOOKS = {
    "ground-truth": (None, 1.0, 0.0, 0.0, 0.0),
    "reencode": (38.2, 0.962, 1.05, 0.25, 0.0),
    "frozen": (18.1, 0.68, 3.1, 1.0, -0.05),
    "talkingpose": (21.9, 0.79, 1.62, 0.55, -0.03),
    "open-loop": (21.4, 0.775, 2.6, 0.62, -0.02),
}


def summary(
    value: float | None, unit: str, direction: str, *, spread: float = 0.05, n_cases: int = 6, **more
):
    interval = None
    if value is not None:
        interval = (value - abs(value) * spread, value + abs(value) * spread * 1.2)
    fields = {"value": value, "ci95": interval, "version": 1, "unit": unit, "direction": direction}
    fields |= {
        "aggregation": "mean over clips",
        "n_cases": n_cases,
        "n_clusters": 4,
        "n_frames": 300 * n_cases,
    }
    return MetricSummary(**(fields | {"state": "ok"} | more))


def metrics_of(look: tuple, n_cases: int = 6) -> dict[str, MetricSummary]:
    psnr, ssim, tje, growth, _ = look
    frames = 300 * n_cases
    infinite = {"n_infinite": frames, "reason": "identical frames"} if psnr is None else {}
    found = {
        "psnr": summary(psnr, "dB", "higher", n_cases=n_cases, **infinite),
        "ssim": summary(ssim, "", "higher", spread=0.02, n_cases=n_cases),
        "csim": summary(
            None,
            "cosine",
            "higher",
            n_cases=0,
            n_frames=0,
            n_clusters=0,
            state="unavailable",
            reason="no weights: tp-eval weights fetch sface",
        ),
    }
    for delta in DELTAS:
        value = tje * (delta / 2) ** (growth * 0.7)
        found[f"tje@{delta}"] = summary(value, "levels", "lower", spread=0.08, n_cases=n_cases)
    return found


def curve(start: float | None, slope: float, seconds: int, spread: float = 0.04) -> Curve:
    time = [second + 0.5 for second in range(seconds)]
    mean = [
        None if start is None else start + slope * t + abs(start) * 0.02 * math.sin(1.3 * t + start)
        for t in time
    ]
    low = [None if m is None else m - abs(m) * spread for m in mean]
    high = [None if m is None else m + abs(m) * spread for m in mean]
    clips = [6] * seconds
    interval = None if start is None else (slope * 4 - 0.01, slope * 4 + 0.012)
    return Curve(
        time_s=time,
        mean=mean,
        low=low,
        high=high,
        n_clips=clips,
        slope_per_100_frames=None if start is None else slope * 4,
        ci95=interval,
    )


def drift_of(look: tuple, seconds: int = 12) -> dict[str, Curve]:
    psnr, ssim, tje, growth, slope = look
    curves = {
        "psnr": curve(psnr, slope * 3, seconds),
        "ssim": curve(ssim, slope * 0.05, seconds, 0.02),
    }
    for delta in DELTAS:
        curves[f"tje@{delta}"] = curve(tje * (delta / 2) ** (growth * 0.7), -slope, seconds, 0.08)
    return curves


def make_run(name: str = "talkingpose", *, look: tuple | None = None, n_cases: int = 6, **more) -> Run:
    """Make a run of a known contestant, or of any name with a look; `more` replaces fields of the run."""
    look = look or LOOKS[name]
    control = name in ("ground-truth", "frozen", "reencode")
    clips = [f"clip{number:02d}" for number in range(n_cases)]
    contestant = ContestantRef(
        name=name,
        revision="1.0" if control else "a1b2c3d4e5f6",
        args={} if control else {"gain": 0.05 if name == "talkingpose" else 0.0, "steps": 30},
        parameters=0 if control else 2_100_000_000,
        licence="Apache-2.0",
        control=control,
        saw_driving_frames=name in ("ground-truth", "reencode"),
        isolated=name == "talkingpose",
    )
    cost = Cost(
        seconds_per_frame=0.002 if control else 0.41 + len(name) / 50,
        generation_s=12.5,
        scoring_s=40.25,
        peak_rss_mb=812.4,
        peak_device_mb=None if control else 9120.0,
        device="cpu" if control else "cuda (NVIDIA H200)",
    )
    fields = {
        "status": "complete",
        "protocol": ProtocolRef(id="tp-long", version=1, sha256=RULES),
        "dataset": DatasetRef(
            location="org/talking-clips", revision="4f1c", split="test", cases_sha256=CLIPS, n_cases=n_cases
        ),
        "contestant": contestant,
        "seed": 0,
        "comparable": True,
        "command": f"tp-eval --model {name} --dataset org/talking-clips --out runs/{name}",
        "finished_at": "2026-02-03T10:20:30Z",
        "env": {"python": "3.11.9", "talkingpose": "0.1.0", "packages": {"torch": "2.6.0"}},
        "weights": [] if control else [WeightRef(name="denoising_unet.pth", sha256="ab" * 32)],
        "cases": clips,
        "metrics": metrics_of(look, n_cases),
        "drift": drift_of(look),
        "cost": cost,
    }
    return Run(**(fields | more))


def make_case(run: Run, number: int, video: Video | None = None) -> CaseResult:
    """Make one clip of a run: values spread around those of the run."""
    shift = 1 + 0.06 * math.sin(7.1 * number + len(run.contestant.name))
    scores = {
        name: CaseScore(
            value=None if found.value is None else found.value * (min(shift, 1) if name == "ssim" else shift),
            n_frames=300,
            n_infinite=300 if found.n_infinite else 0,
            state=found.state,
            reason=found.reason,
        )
        for name, found in run.metrics.items()
    }
    return CaseResult(
        key="k",
        clip_id=run.cases[number],
        split="test",
        cluster=f"person{number}",
        seed=case_seed(run.seed, run.cases[number]),
        num_frames=300,
        width=256,
        height=256,
        fps="25/1",
        metrics=scores,
        video=video,
        frames_sha256="cd" * 32,
        audit=[],
        generation_s=2.0,
        scoring_s=3.0,
        cost=CaseCost(
            seconds_per_frame=2 / 300,
            scoring_s_per_frame=0.01,
            peak_rss_mb=700.0 + number,
            peak_device_mb=None,
        ),
    )


def write_run(
    folder: Path,
    run: Run,
    *,
    cases: bool = True,
    video: bool = False,
    frames: bool = False,
    seconds: float = 1.0,
    size: int = 256,
) -> Path:
    """Write the folder of a run, with its clips and optionally a short H.264 video of each."""
    (folder / "cases").mkdir(parents=True)
    write_document(run, folder / "run.json")
    for number in range(len(run.cases)) if cases else ():
        found = None
        if video:
            (folder / "videos").mkdir(exist_ok=True)
            path = f"videos/{run.cases[number]}.mp4"
            encode(folder / path, hue=len(run.contestant.name) * 40 + number * 25, seconds=seconds, size=size)
            if frames:
                write_frames(folder, run, number)
            found = Video(path=path, sha256=hashlib.sha256((folder / path).read_bytes()).hexdigest())
        write_document(make_case(run, number, found), folder / "cases" / f"{run.cases[number]}.json")
    return folder


def write_frames(folder: Path, run: Run, number: int) -> None:
    """Write frame scores of a clip: a steady value with one bad frame, 100 + 10 * number."""
    (folder / "frames").mkdir(exist_ok=True)
    columns: dict[str, np.ndarray] = {"t": np.arange(300)}
    for name, found in run.metrics.items():
        if found.value is not None:
            values = np.full(300, found.value)
            values[100 + 10 * number] *= 0.5 if found.direction == "higher" else 2
            columns[name] = values
    pq.write_table(pa.table(columns), folder / f"frames/{run.cases[number]}.parquet")


def encode(path: Path, *, hue: int, seconds: float, size: int = 256) -> None:
    """Write a moving gradient as H.264."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(25))
        stream.width = stream.height = size
        stream.pix_fmt = "yuv420p"
        rows, columns = np.mgrid[0:size, 0:size]
        for number in range(round(25 * seconds)):
            image = np.stack(
                [(rows + hue) % 256, (columns + 4 * number) % 256, (rows + columns + hue) % 256], axis=-1
            )
            image[: size // 8, : size * number // max(1, round(25 * seconds))] = 255
            for packet in stream.encode(av.VideoFrame.from_ndarray(image.astype(np.uint8), format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


def checked(run: Run, cases: list[CaseResult] | None = None, folder: Path = Path("run")) -> CheckedRun:
    """Return a run as a check without any problem leaves it."""
    return CheckedRun(folder, run, {case.clip_id: case for case in cases or ()})


def trusted(folders: Sequence[Path], progress: object = None) -> tuple[list[CheckedRun], list[RefusedRun]]:
    """Stand in for `check_runs`: read the documents and believe them."""
    runs = [read_run(folder) for folder in folders]
    cases = [
        [read_case(path) for path in sorted((folder / "cases").glob("*.json")) if path.stem in run.cases]
        for folder, run in zip(folders, runs, strict=True)
    ]
    found = [checked(*one) for one in zip(runs, cases, folders, strict=True)]
    return sorted(found, key=lambda one: one.run.model_dump_json()), []


def build_trusted(paths: list[Path], out: Path, title: str = "t") -> SiteReport:
    """Build a site without the check of the runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("leaderboard.site.check_runs", trusted)
        return build_site(paths, out, title)
