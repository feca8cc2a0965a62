"""Public API of the benchmark.

    from benchmark import score
    result = score(real, generated, metrics=["psnr", "tje@2"])
    result["psnr"].value

    from benchmark import evaluate
    run = evaluate("frozen", dataset="tp-mini", limit=1)
    run.metrics["psnr"].value

Each name is imported on first use, so that `import benchmark` stays fast.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from talkingpose.io.telemetry import disable_telemetry

if TYPE_CHECKING:
    from benchmark import metrics
    from benchmark.analysis.compare import compare
    from benchmark.evaluation import evaluate, load_run
    from benchmark.frame_input import ScoreError
    from benchmark.results import Run
    from benchmark.score_videos import MetricResult, score

__all__ = ["MetricResult", "Run", "ScoreError", "compare", "evaluate", "load_run", "metrics", "score"]

# Public name -> "module:attribute", or the module alone.
_EXPORTS = {
    "MetricResult": "benchmark.score_videos:MetricResult",
    "Run": "benchmark.results:Run",
    "ScoreError": "benchmark.frame_input:ScoreError",
    "compare": "benchmark.analysis.compare:compare",
    "evaluate": "benchmark.evaluation:evaluate",
    "load_run": "benchmark.evaluation:load_run",
    "metrics": "benchmark.metrics",
    "score": "benchmark.score_videos:score",
}

disable_telemetry()


def __getattr__(name: str) -> object:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _EXPORTS[name].partition(":")
    value = importlib.import_module(module)
    return getattr(value, attribute) if attribute else value


def __dir__() -> list[str]:
    return [*globals(), *__all__]
