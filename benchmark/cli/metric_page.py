"""The definitions of `docs/metrics.md`, written from the specs: `python -m benchmark.cli.metric_page`.

Everything between the two marks of the page is replaced; a test fails where page and specs differ.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from benchmark.features import COLLECTIONS, EXTRACTORS, spec_of
from benchmark.metrics import FAMILIES, MetricSpec
from benchmark.metrics.groups import GROUPS
from benchmark.protocols.protocol import load_protocol

BEGIN, END = "<!-- definitions: begin -->", "<!-- definitions: end -->"
PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
_PROTOCOLS = ("tp-long@1", "tp-cross@1")
_BETTER: Mapping[str, str] = {
    "higher": "higher is better",
    "lower": "lower is better",
    "none": "no direction",
}


def definitions() -> str:
    """Markdown: every family of metrics with what its spec says, then every feature they read."""
    protocols = [load_protocol(name) for name in _PROTOCOLS]
    group_of = {family: group for group, families in GROUPS.items() for family in families}
    parts = ["### Metrics\n"]
    for family, make in FAMILIES.items():
        specs = [metric.spec for metric in make(protocols[0].deltas)]
        home = next((each.name for each in protocols if family in each.metrics), None)
        if home is not None:
            where = f"in {home}"
        elif family in group_of:
            where = f"with `+{group_of[family]}`"
        else:
            where = "in no bundled protocol"
        parts.append(_metric(specs, where))
    parts.append("### Features that metrics read\n")
    parts.extend(_feature(name) for name in (*EXTRACTORS, *COLLECTIONS))
    return "\n".join(parts)


def with_definitions(page: str) -> str:
    """The page with its definitions renewed.

    Raises:
        ValueError: the page has not the two marks.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE.name}: lacks {BEGIN} and {END}: put them where the definitions belong")
    return f"{before}{BEGIN}\n\n{definitions()}\n{END}{after}"


def _metric(specs: list[MetricSpec], where: str) -> str:
    first = specs[0]
    names = ", ".join(f"`{spec.id}`" for spec in specs)
    better = _BETTER[first.direction] if first.target is None else f"best at {first.target:g}"
    several = f" The text is that of `{first.id}`." if len(specs) > 1 else ""
    lines = [
        f"**{names}** · version {first.version} · {first.unit} · {better} · scope {first.scope} · {where}\n",
        f"{first.definition}{several}\n",
        f"- *Source:* {first.source}.",
        f"- *Cannot see:* {first.blind_spots}.",
    ]
    if first.reads:
        lines.append(f"- *Reads:* {', '.join(first.reads)}.")
    return "\n".join(lines) + "\n"


def _feature(name: str) -> str:
    spec = spec_of(name)
    weights = f" Weights: {', '.join(f'`{weight}`' for weight in spec.weights)}." if spec.weights else ""
    return f"**{name}** · version {spec.version}\n\n{spec.definition}{weights}\n"


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(with_definitions(text), encoding="utf-8")
    print(f"{PAGE.name}: written", file=sys.stderr)
