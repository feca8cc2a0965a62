"""Speed of `tp-eval score` against the same metrics one after another, and its memory against length.

    .venv/bin/python tests/perf/scoring.py [--frames 640] [--side 512] [--clips 3] [--only speed|memory]

Every measurement runs in its own process. For `tp-eval score` everything counts, including its start and the
video of the run; for the baseline only the metrics count, after all libraries are loaded. OpenMP has one
thread in both, because two threads mostly wait for each other on a busy machine.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# For the packages of this checkout.
sys.path.insert(0, str(ROOT))

SHORT, TIMES = 200, 10


@dataclass(frozen=True)
class Usage:
    """Resources of a process: seconds and MiB."""

    cpu_s: float
    wall_s: float
    peak_mb: float


def measure(words: list[str], log: Path) -> Usage:
    """Run a command; an exit code other than 0 ends this script."""
    started = time.perf_counter()
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    actions = [
        (os.POSIX_SPAWN_OPEN, fd, str(log) + end, flags, 0o600) for fd, end in ((1, ".out"), (2, ".err"))
    ]
    environment = dict(os.environ) | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    pid = os.posix_spawn(words[0], words, environment, file_actions=actions)
    _, status, usage = os.wait4(pid, 0)
    if os.waitstatus_to_exitcode(status):
        sys.exit(f"{' '.join(words)}: failed:\n{Path(str(log) + '.err').read_text()}")
    return Usage(usage.ru_utime + usage.ru_stime, time.perf_counter() - started, usage.ru_maxrss / 1024)


def make(folder: Path, clips: int, frames: int, side: int) -> tuple[Path, Path]:
    """Return a dataset of drawn talks and a folder of predictions for it, made by another process.

    This process must stay small: Linux counts a parent's memory in the peak of a child.
    """
    folder.mkdir(parents=True)
    words = [sys.executable, __file__, "--make", str(folder)]
    sizes = ["--clips", str(clips), "--frames", str(frames), "--side", str(side)]
    measure([*words, *sizes], folder / "make")
    return folder / "dataset", folder / "made"


def draw(folder: Path, clips: int, frames: int, side: int) -> None:
    """Draw dataset and predictions, in the process that `make` starts."""
    import synthetic_talk as drawn

    talks = [drawn.Talk(f"talk-{number}", frames, side) for number in range(clips)]
    rows = [
        drawn.row(t, drawn.write_video(folder / f"real/{t.clip_id}.mp4", drawn.pictures(t))) for t in talks
    ]
    for talk in talks:
        drawn.write_video(folder / f"made/{talk.clip_id}.mp4", drawn.worse(drawn.pictures(talk)))
    drawn.write_dataset(folder / "dataset", rows)


def score(folder: Path, dataset: Path, made: Path) -> Usage:
    """Measure `tp-eval score` with the metrics of tp-long@1, start-up included."""
    command = "import sys; from benchmark.cli.app import main; sys.exit(main())"
    words = [sys.executable, "-c", command, "score", "--predictions", str(made), "--name", "drawn"]
    return measure([*words, "--dataset", str(dataset), "--out", str(folder / "run")], folder / "score")


def separately(folder: Path, group: str) -> tuple[Usage, dict[str, float]]:
    """Measure one group of metrics of the baseline without start-up; return its values too."""
    log = folder / f"separately-{group.replace('*', 'all')}"
    whole = measure([sys.executable, __file__, "--separately", group, str(folder)], log)
    found = json.loads(Path(f"{log}.out").read_text())
    return Usage(found["cpu_s"], found["wall_s"], whole.peak_mb), found["values"]


def compute(group: str, folder: Path) -> None:
    """Print seconds and metric id -> mean over clips as JSON, in the process that `separately` starts."""
    import torchmetrics.image  # noqa: F401 - loaded before the clock starts
    from separately import GROUPS

    from talkingpose.data.clips import ClipDataset

    dataset = ClipDataset(str(folder / "dataset"))
    clips = [(clip.clip_id, dataset.keypoints(clip)) for clip in dataset.clips("test")]
    found: dict[str, list[float]] = {}
    cpu, wall = time.process_time(), time.perf_counter()
    for metric in GROUPS[group]:
        for clip_id, keypoints in clips:
            real, generated = (folder / part / f"{clip_id}.mp4" for part in ("real", "made"))
            for name, value in metric(real, generated, keypoints).items():
                found.setdefault(name, []).append(value)
    taken = {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall}
    print(json.dumps({**taken, "values": {name: sum(v) / len(v) for name, v in found.items()}}))


def speed(folder: Path, clips: int, frames: int, side: int) -> None:
    """Print the table of both and their ratio."""
    from separately import GROUPS

    ours = score(folder, *make(folder, clips, frames, side))
    metrics = json.loads((folder / "run/run.json").read_text())["metrics"]
    print(
        f"{clips} x {frames} frames of {side}x{side}; load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores"
    )
    print(f"{'':28}{'CPU s':>9}{'wall s':>9}{'peak MiB':>10}   largest difference of a value", flush=True)
    cpu = wall = 0.0
    for group in GROUPS:
        usage, values = separately(folder, group)
        apart = max(abs(value / metrics[name]["value"] - 1) for name, value in values.items())
        cpu, wall = cpu + usage.cpu_s, wall + usage.wall_s
        print(
            f"{group:28}{usage.cpu_s:9.2f}{usage.wall_s:9.2f}{usage.peak_mb:10.0f}   {apart:.1e}", flush=True
        )
    print(f"{'one after another':28}{cpu:9.2f}{wall:9.2f}")
    print(f"{'tp-eval score':28}{ours.cpu_s:9.2f}{ours.wall_s:9.2f}{ours.peak_mb:10.0f}")
    print(f"{'ratio':28}{cpu / ours.cpu_s:9.2f}{wall / ours.wall_s:9.2f}   required: at least 3")


def memory(folder: Path, side: int) -> None:
    """Print the peak memory of `tp-eval score` at two lengths of one clip."""
    peaks = []
    for frames in (SHORT, SHORT * TIMES):
        usage = score(folder / str(frames), *make(folder / str(frames), 1, frames, side))
        peaks.append(usage.peak_mb)
        print(
            f"{frames:5} frames of {side}x{side}: peak {usage.peak_mb:.1f} MiB, {usage.cpu_s:.1f} s CPU",
            flush=True,
        )
    more = 100 * (peaks[1] / peaks[0] - 1)
    print(f"{TIMES} times the length: {more:+.1f} %; required: within 5 %")


def main() -> None:
    """Measure speed, memory, or both."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--clips", type=int, default=3)
    parser.add_argument("--frames", type=int, default=640)
    parser.add_argument("--side", type=int, default=512, help="side of the clips of the comparison, pixels")
    parser.add_argument(
        "--memory-side", type=int, default=256, help="side of the clip of the measurement of memory, pixels"
    )
    parser.add_argument("--only", choices=["speed", "memory"])
    parser.add_argument("--separately", nargs=2, metavar=("GROUP", "FOLDER"), help=argparse.SUPPRESS)
    parser.add_argument("--make", type=Path, metavar="FOLDER", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.make:
        return draw(args.make, args.clips, args.frames, args.side)
    if args.separately:
        return compute(args.separately[0], Path(args.separately[1]))
    with tempfile.TemporaryDirectory() as folder:
        if args.only != "memory":
            speed(Path(folder) / "speed", args.clips, args.frames, args.side)
        if args.only != "speed":
            memory(Path(folder) / "memory", args.memory_side)
    return None


if __name__ == "__main__":
    main()
