"""Measure the cost of fewer steps and of guidance on an interval, on tp-mini.

    .venv/bin/python tests/perf/cheaper.py --checkpoint tiny --out work/cheaper [--limit 3] [--max-frames 120]

Every setting is one run of `tp-eval`, compared with the first by `tp-eval compare`. The same command resumes.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from baselines.arguments import number  # noqa: E402
from baselines.talkingpose_model import TalkingPose  # noqa: E402

# Name, steps, guidance, first and last share of the guided steps. The first is the reference.
SETTINGS = (
    ("10-steps", 10, 1.5, 0.0, 1.0),
    ("5-steps", 5, 1.5, 0.0, 1.0),
    ("2-steps", 2, 1.5, 0.0, 1.0),
    ("10-steps-first-half", 10, 1.5, 0.0, 0.5),
    ("10-steps-middle", 10, 1.5, 0.2, 0.7),
    ("10-steps-unguided", 10, 1.0, 0.0, 1.0),
    ("5-steps-unguided", 5, 1.0, 0.0, 1.0),
    ("2-steps-unguided", 2, 1.0, 0.0, 1.0),
    ("1-step-unguided", 1, 1.0, 0.0, 1.0),
)
METRICS = "psnr,tje@2,tje_skill@2,flicker"


class OnInterval(TalkingPose):
    """The reference model with guidance on an interval of the steps."""

    name = "talkingpose-interval"

    def __init__(self, *, first: str | float = 0.0, last: str | float = 1.0, **settings: object) -> None:
        super().__init__(**settings)  # type: ignore[arg-type]
        interval = number("first", first), number("last", last)
        self._pipeline.stream = functools.partial(self._pipeline.stream, guidance_interval=interval)
        self.info = dataclasses.replace(
            self.info, args={**self.info.args, "first": interval[0], "last": interval[1]}
        )


def tp_eval(*words: str) -> str:
    """Run `tp-eval` and return its output; any exit code but 0 ends this script."""
    command = "import sys; from benchmark.cli.app import main; sys.exit(main())"
    path = os.pathsep.join((str(ROOT), str(Path(__file__).parent)))
    environment = dict(os.environ) | {"PYTHONPATH": path}
    result = subprocess.run([sys.executable, "-c", command, *words], stdout=subprocess.PIPE, env=environment)
    if result.returncode:
        sys.exit(f"tp-eval {' '.join(words)}: exit code {result.returncode}")
    return result.stdout.decode()


def main() -> None:
    """Make the runs and print the comparisons."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--checkpoint", default="tiny")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--limit", help="clips; default: all")
    parser.add_argument("--max-frames", help="of each clip; default: all")
    options = parser.parse_args()
    part = [
        *(("--limit", options.limit) if options.limit else ()),
        *(("--max-frames", options.max_frames) if options.max_frames else ()),
    ]
    for name, steps, guidance, first, last in SETTINGS:
        arguments = f"steps={steps},guidance={guidance},first={first},last={last}"
        model = ["--model", "cheaper:OnInterval", "--checkpoint", options.checkpoint]
        tp_eval(*model, "--model-args", arguments, *part, "--out", str(options.out / name))
        if name != SETTINGS[0][0]:
            print(f"{name} against {SETTINGS[0][0]}")
            runs = [str(options.out / one) for one in (SETTINGS[0][0], name)]
            print(tp_eval("compare", *runs, "--metrics", METRICS))


if __name__ == "__main__":
    main()
