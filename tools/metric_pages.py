"""Reference pages of the metrics, generated from their specs: `python -m tools.metric_pages`.

It writes `docs/reference/metrics.md`, a table of all metrics, and a page for each file of
`benchmark/metrics/` into `docs/reference/metrics/`. A test fails where pages and specs differ.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

from benchmark.entry_points import registered
from benchmark.features.registry import feature_names, spec_of, with_needed
from benchmark.metrics.contract import MetricSpec
from benchmark.metrics.registry import GROUP, GROUPS, families, family, foreign
from benchmark.protocols.protocol import load_protocol, protocol_names

DOCS = Path(__file__).parents[1] / "docs"
FOLDER = "reference/metrics"
# The page with the tables of controls, and the marks around them.
CONTROLS = DOCS / "explanation" / "what-metrics-see.md"
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"
PROTOCOLS = ("tp-long@2", "tp-cross@2")

INTRODUCTION = """# Metrics

Generated from `benchmark/metrics/` by `python -m tools.metric_pages`. `tp-eval ls metrics` prints the same.

- Every pair of frames passes all metrics once, as generated, before any encoding. No metric holds a video.
- A score that does not exist is `null` with a state and a reason, never 0. A metric without its weights is
  `unavailable` and names the command that fetches them. Scoring downloads nothing.
- `coverage` is the share of frames that can be judged.
- No value is capped: identical frames have no PSNR; they are counted and left out.

In the definitions, r is the real frame, g the generated one, p the portrait, and t counts frames. An arrow
shows the better direction; a number is the value of a perfect result. Numbers of different versions of a
metric are not comparable. [Groups](metric-groups.md) are added to the name of a protocol: `tp-long+pose@2`.
"""


def pages() -> dict[str, str]:
    """Return path below `docs/` -> Markdown."""
    by_module: dict[str, list[str]] = {}
    for name in _ordered():
        module = registered(GROUP)[name][0].module
        by_module.setdefault(module, []).append(name)
    found = {f"{FOLDER}.md": _index(by_module), f"{FOLDER}/features.md": _features()}
    controls = _control_rows()
    for module, names in by_module.items():
        found[f"{FOLDER}/{_page(module)}.md"] = _module_page(module, names, controls)
    return found


def _ordered() -> list[str]:
    """Families of this project: those of protocols, then those of groups, then the rest."""
    known = [name for protocol in PROTOCOLS for name in _metrics_in(protocol)]
    known += [name for names in GROUPS.values() for name in names]
    return [name for name in dict.fromkeys([*known, *families()]) if name not in foreign([name])]


def _page(module: str) -> str:
    return module.rpartition(".")[2]


def _index(by_module: Mapping[str, Sequence[str]]) -> str:
    rows = []
    for module, names in by_module.items():
        for name in names:
            specs = _specs(name)
            link = f"[{_ids(specs)}](metrics/{_page(module)}.md)"
            rows.append(_row(link, specs[0].title, _unit(specs[0]), _needs(specs), _where(name)))
    head = [_row("id", "measures", "unit", "needs", "in"), "|---|---|---|---|---|"]
    features = "[Features](metrics/features.md) are values that metrics read.\n"
    return "\n".join([INTRODUCTION, *head, *rows, "", features])


def _module_page(module: str, names: Sequence[str], controls: Mapping[str, list[str]]) -> str:
    summary = str(importlib.import_module(module).__doc__).strip().splitlines()[0]
    title, _, rest = summary.partition(": ")
    text = rest[:1].upper() + rest[1:]
    parts = [f"# {title.removesuffix('.')}\n\n{text}\n", *(_family(name) for name in names)]
    ids = [spec.id for name in names for spec in _specs(name)]
    tables = [table for kind in controls if (table := _table(controls[kind], ids))]
    if tables:
        parts.append(
            "## Controls\n\nExcess over a re-encoded original, in standard errors: positive where the metric "
            "detects the corruption. [What metrics see](../../explanation/what-metrics-see.md) explains the "
            "tables.\n"
        )
        parts += tables
    return "\n".join(parts)


def _family(name: str) -> str:
    specs = _specs(name)
    first = specs[0]
    facts = [
        ("Measures", first.title),
        ("Version", str(first.version)),
        ("Unit", _unit(first)),
        ("Scope", first.scope),
        ("Needs", _needs(specs)),
        ("Reads", ", ".join(f"[{each}](features.md#{each})" for each in first.reads) or "frames only"),
        ("In", _where(name)),
    ]
    several = f" (of `{first.id}`)" if len(specs) > 1 else ""
    lines = [
        f"## {_ids(specs)}\n",
        *("| | |", "|---|---|"),
        *(_row(f"**{key}**", value) for key, value in facts),
        f"\n**Definition**{several}. {_sentence(first.definition)}\n",
        f"**Source.** {_sentence(first.source)}\n",
        f"**Blind spots.** {_sentence(first.blind_spots)}\n",
    ]
    return "\n".join(lines)


def _features() -> str:
    parts = ["# Features\n\nA feature is computed once per frame, however many metrics read it.\n"]
    for name in feature_names():
        spec = spec_of(name)
        weights = f" Weights: {', '.join(f'`{each}`' for each in spec.weights)}." if spec.weights else ""
        reads = f" Reads: {', '.join(f'`{each}`' for each in spec.features)}." if spec.features else ""
        parts.append(f"## {name}\n\nVersion {spec.version}. {spec.definition}{weights}{reads}\n")
    return "\n".join(parts)


def _specs(name: str) -> list[MetricSpec]:
    return [metric.spec for metric in family(name)]


def _ids(specs: Sequence[MetricSpec]) -> str:
    """Ids of a family, with one for all deltas."""
    names = dict.fromkeys(re.sub(r"@\d+$", "@D", spec.id) for spec in specs)
    return ", ".join(f"`{name}`" for name in names)


def _unit(spec: MetricSpec) -> str:
    sign = {"higher": " ↑", "lower": " ↓", "none": ""}[spec.direction]
    target = f", best {spec.target:g}" if spec.target is not None else ""
    return f"{spec.unit}{sign}{target}"


def _needs(specs: Sequence[MetricSpec]) -> str:
    first = specs[0]
    needs = ["real video"] if any(spec.needs_real for spec in specs) else []
    needs += ["keypoints"] if first.needs_keypoints else []
    needs += [f"`{weight}`" for name in with_needed(first.reads) for weight in spec_of(name).weights]
    needs += ["window of the model"] if first.id.startswith("seam_") else []
    return ", ".join(needs) or "portrait"


def _where(name: str) -> str:
    protocols = [each for each in PROTOCOLS if name in _metrics_in(each)]
    groups = [f"`+{group}`" for group, names in GROUPS.items() if name in names]
    # Metrics of replays are in no protocol of this project's own.
    return ", ".join(
        [*protocols, *groups] or [each for each in protocol_names() if name in _metrics_in(each)]
    )


@cache
def _metrics_in(protocol: str) -> Mapping[str, int]:
    return load_protocol(protocol).metrics


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def _control_rows() -> dict[str, list[str]]:
    """Lines of the tables of controls, by what they show: `clip` and `slope`."""
    text = CONTROLS.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    tables = [table.splitlines() for table in text.strip().split("\n\n")]
    return {table[0].split("|")[1].strip(): table for table in tables}


def _table(lines: Iterable[str], ids: Sequence[str]) -> str:
    """Rows of these metrics, with the head of the table; empty where there is none."""
    head, rule, *rows = lines
    wanted = [row for row in rows if row.split("|")[1].strip().strip("`") in ids]
    return "\n".join([head, rule, *wanted, ""]) if wanted else ""


def main() -> None:
    """Write the pages and remove those of metrics that no longer exist."""
    found = pages()
    for old in (DOCS / FOLDER).glob("*.md"):
        if f"{FOLDER}/{old.name}" not in found:
            old.unlink()
    for path, text in found.items():
        (DOCS / path).parent.mkdir(parents=True, exist_ok=True)
        (DOCS / path).write_text(text, encoding="utf-8")
    print(f"{len(found)} pages written")


if __name__ == "__main__":
    main()
