"""Evaluate every feedback controller and the controls against the loop of the paper.

    .venv/bin/python tests/perf/feedback.py --out work/feedback [--checkpoint tiny] [--only NAME ...]

Runs are ordinary runs of `tp-eval` in folders of --out; finished runs are kept. The table has the means and,
for every row, the paired difference to the loop of the paper with its 95 % interval over persons, as
`tp-eval compare` computes it. --only, --limit and --max-frames are for trials; conclusions need the full
length. --plot FILE draws the loop of the paper over its gain.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

PAPER = "proportional"
OPEN = "fixed noise"
GAINS = {0.0: OPEN, 0.02: "gain 0.02", 0.05: PAPER, 0.1: "gain 0.1", 0.2: "gain 0.2", 0.4: "gain 0.4"}
# Jitter, and the metrics that a lower jitter may cost.
METRICS = ("tje@2", "psnr", "ssim", "flicker", "sharpness", "motion_ratio")


@dataclass(frozen=True)
class Variant:
    """Row of the table: a contestant and its settings."""

    model: str = "talkingpose"
    args: dict[str, str] = field(default_factory=dict)


def loop(name: str, **settings: float) -> Variant:
    """Return the reference model with a controller and its settings."""
    return Variant(args={"feedback": name, **{key: str(value) for key, value in settings.items()}})


VARIANTS = {
    # The loop of the paper and the controls.
    PAPER: Variant(),
    "fresh noise": Variant("fresh-noise"),
    OPEN: Variant("open-loop"),
    "shrunk noise": loop("shrunk-noise", scale=0.95),
    # The loop with other gains; fixed noise is gain 0, and the paper has 0.05.
    **{name: loop("proportional", gain=gain) for gain, name in GAINS.items() if name.startswith("gain")},
    # The controllers.
    "variance-preserving": loop("variance-preserving", gain=0.05),
    "region-gain": loop("region-gain"),
    "motion-gain": loop("motion-gain"),
    "integral-statistics": loop("integral-statistics"),
    "first-frame-anchor": loop("first-frame-anchor"),
    "low-pass": loop("low-pass", gain=0.05),
    "temporal-filter": loop("temporal-filter"),
    # Other noise, guidance and steps without feedback.
    "no noise": loop("shrunk-noise", scale=0),
    "temporal-filter, no noise": loop("temporal-filter", scale=0),
    "guidance 1": Variant("open-loop", {"guidance": "1"}),
    "1 step": Variant("open-loop", {"steps": "1"}),
}


def main() -> None:
    """Make the missing runs, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--checkpoint", default="tiny")
    parser.add_argument("--only", nargs="+", choices=sorted(VARIANTS), help="besides the paper's loop")
    parser.add_argument("--limit", type=int, help="maximum number of clips")
    parser.add_argument("--max-frames", type=int, help="maximum number of frames of a clip")
    parser.add_argument("--split", help="of tp-mini; default: test")
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--plot", type=Path, help="SVG of TJE@2 and PSNR over the gain")
    options = parser.parse_args()
    names = [PAPER, *(n for n in VARIANTS if n != PAPER and (not options.only or n in options.only))]
    for name in names:
        run(name, options)
        print(f"{name}: {cpu_seconds():.0f} s of CPU so far", file=sys.stderr, flush=True)
    print("\n".join(table(names, options.out)))
    if options.plot:
        plot_gains(options.out, options.plot)


def run(name: str, options: argparse.Namespace) -> None:
    """Generate and score one row; finished clips are kept."""
    from benchmark.data.bundled import TP_MINI, protocol_of
    from benchmark.runner.evaluate import RunSettings, evaluate

    variant = VARIANTS[name]
    evaluate(
        RunSettings(
            model=variant.model,
            dataset=TP_MINI,
            out=run_dir(options.out, name),
            checkpoint=options.checkpoint,
            model_args=variant.args,
            split=options.split,
            protocol=protocol_of(TP_MINI),
            limit=options.limit,
            max_frames=options.max_frames,
            device="cpu",
            batch_size=options.batch_size,
        )
    )


def run_dir(out: Path, name: str) -> Path:
    """Return the run directory of a row."""
    return out / name.replace(", ", "-").replace(" ", "-")


def table(names: list[str], out: Path) -> list[str]:
    """Return the table in Markdown: means and paired differences to the loop of the paper."""
    from benchmark.analysis.compare import compare

    lines = [
        f"| | {' | '.join(METRICS)} | tje@2 against the paper's loop | psnr against it |",
        f"|---|{'---:|' * (len(METRICS) + 2)}",
    ]
    for name in names:
        comparison = compare(run_dir(out, PAPER), run_dir(out, name), metrics=METRICS)
        found = {row.metric: row for row in comparison.metrics}
        means = " | ".join(mean(found[metric].b) for metric in METRICS)
        jitter, psnr = found["tje@2"], found["psnr"]
        share = "" if not jitter.a or jitter.difference is None else f" ({jitter.difference / jitter.a:+.1%})"
        lines.append(f"| {name} | {means} | {difference(jitter)}{share} | {difference(psnr)} |")
    return lines


def plot_gains(out: Path, file: Path) -> None:
    """Draw the paired differences between each gain and fixed noise."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "feedback", "font.size": 9})
    from matplotlib import pyplot

    from benchmark.analysis.compare import compare

    gains = [gain for gain in GAINS if gain]
    rows = {
        gain: {
            row.metric: row
            for row in compare(run_dir(out, OPEN), run_dir(out, GAINS[gain]), metrics=METRICS).metrics
        }
        for gain in gains
    }
    figure, axes = pyplot.subplots(1, 2, figsize=(7.2, 2.6), layout="constrained")
    places = range(1, len(gains) + 1)
    for axis, metric, title in zip(
        axes, ("tje@2", "psnr"), ("TJE@2, lower is better", "PSNR in dB, higher is better"), strict=True
    ):
        found = [rows[gain][metric] for gain in gains]
        axis.axhline(0, color="0.6", linewidth=0.8)
        axis.errorbar(
            [0, *places],
            [0, *(row.difference for row in found)],
            yerr=[
                [0, *(row.difference - row.ci95[0] for row in found)],
                [0, *(row.ci95[1] - row.difference for row in found)],
            ],
            marker="o",
            markersize=4,
            capsize=3,
            color="#1f5fa8",
        )
        axis.set_xticks([0, *places], ["0", *(f"{gain:g}" for gain in gains)])
        axis.set_xlabel("gain (the paper: 0.05)")
        axis.set_title(f"{title}\nmean without feedback: {found[0].a:.2f}", fontsize=9)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("difference to gain 0, 95 % interval")
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, metadata={"Date": None})
    pyplot.close(figure)


def mean(value: float | None) -> str:
    """Format a mean."""
    return "-" if value is None else f"{value:.3f}"


def difference(row) -> str:  # type: ignore[no-untyped-def]
    """Format a paired difference with its interval."""
    if row.difference is None:
        return "-"
    ends = "" if row.ci95 is None else f" [{row.ci95[0]:+.3f}, {row.ci95[1]:+.3f}]"
    return f"{row.difference:+.3f}{ends}"


def cpu_seconds() -> float:
    """Return the CPU time of this process, all threads."""
    return time.process_time()


if __name__ == "__main__":
    main()
