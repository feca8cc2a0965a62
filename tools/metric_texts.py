"""Write the texts about metrics that the board ships, from the registry of metrics.

The board reads run documents alone, so it has a copy: leaderboard/tables/metrics.json. Run
`python tools/metric_texts.py` after a change of a metric's definition, blind spots or source.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from benchmark.metrics.registry import families, family

TARGET = Path(__file__).parents[1] / "leaderboard/tables/metrics.json"


def metric_texts() -> dict[str, dict[str, str]]:
    """Return title, definition, blind spots and source by metric id, without a delta."""
    texts: dict[str, dict[str, str]] = {}
    for name in families():
        for metric in family(name):
            spec = metric.spec
            texts.setdefault(
                re.sub(r"@\d+$", "", spec.id),
                {
                    "title": spec.title,
                    "definition": re.sub(r", D = \d+ frames", "", spec.definition),
                    "blind_spots": spec.blind_spots,
                    "source": spec.source,
                },
            )
    return dict(sorted(texts.items()))


if __name__ == "__main__":
    TARGET.write_text(json.dumps(metric_texts(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
