"""Comparison of tp-curate with a person's verdicts, in seconds of footage.

    python -m tools.judge_curation run LABELS FOLDER              output folder of tp-curate
    python -m tools.judge_curation scan SOURCE... --out SCANS     measure once; thresholds are then free
    python -m tools.judge_curation sweep LABELS SCANS filters.hands.min_share=0.5,0.7,0.9

LABELS is a CSV file with the columns file, keep (yes or no; anything else is open), start_s and end_s, such
as labels.csv of `tp-curate report`. Open spans do not count. `sweep` chooses a value of a setting on all
sources but one, judges the one that was left out with it, and adds up: what a calibrated threshold gives on
footage it has not seen.
"""

from __future__ import annotations

import argparse
import pickle
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curation.config import Config, load_config
from curation.report.labels import Label, labelled_parts, labels_by_source, read_labels
from talkingpose.io.text_table import text_table

Spans = list[tuple[float, float]]
_STEP_S = 0.01
_HEADER = ("kept", "wrong", "lost", "too short", "precision", "recall", "long spans")


@dataclass(frozen=True)
class Agreement:
    """Seconds that were kept rightly and wrongly, and seconds that were lost.

    `short` is the part of `lost` that lies in wanted spans shorter than the shortest clip.
    """

    kept: float = 0.0
    wrong: float = 0.0
    lost: float = 0.0
    short: float = 0.0

    def __add__(self, other: Agreement) -> Agreement:
        return Agreement(
            self.kept + other.kept,
            self.wrong + other.wrong,
            self.lost + other.lost,
            self.short + other.short,
        )

    @property
    def precision(self) -> float | None:
        """Share of the kept seconds that were wanted; None if nothing was kept."""
        return self.kept / (self.kept + self.wrong) if self.kept + self.wrong else None

    @property
    def recall(self) -> float | None:
        """Share of the wanted seconds that were kept; None if nothing was wanted."""
        return self.kept / (self.kept + self.lost) if self.kept + self.lost else None

    @property
    def long_recall(self) -> float | None:
        """Recall without wanted spans that are shorter than the shortest clip."""
        wanted = self.kept + self.lost - self.short
        return self.kept / wanted if wanted > _STEP_S else None

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 1 if nothing was kept or lost."""
        total = 2 * self.kept + self.wrong + self.lost
        return 2 * self.kept / total if total else 1.0


@dataclass(frozen=True)
class Judged:
    """Kept spans of a source; its footage begins at `start_s` and ends at `end_s`."""

    kept: Spans
    start_s: float
    end_s: float


def agreement(judged: Judged, labels: Sequence[Label], min_s: float) -> Agreement:
    """Compare the kept spans of a source with its labels."""
    found = Agreement()
    for start, end, wanted in labelled_parts(labels, judged.start_s, judged.end_s):
        inside = sum(max(min(end, b) - max(start, a), 0.0) for a, b in judged.kept)
        if not wanted:
            found += Agreement(wrong=inside)
            continue
        length = end - start
        lost = length - inside
        found += Agreement(kept=inside, lost=lost, short=lost if length < min_s else 0.0)
    return found


def report(judged: dict[str, Judged], labels: Sequence[Label], min_s: float) -> Agreement:
    """Print a line for each source, and the total."""
    rows: list[tuple[str, ...]] = [("source", *_HEADER)]
    total = []
    assigned, _ = labels_by_source(labels, {name: name for name in judged})
    for name in sorted(judged):
        own = assigned.get(name)
        if own:
            one = agreement(judged[name], own, min_s)
            total.append(one)
            rows.append(_row(name, one))
    everything = sum(total, Agreement())
    rows.append(_row("total", everything))
    print("\n".join(text_table(rows)))
    return everything


def _row(name: str, one: Agreement) -> tuple[str, ...]:
    shares = ("-" if v is None else f"{v:.3f}" for v in (one.precision, one.recall, one.long_recall))
    return (name, *(f"{v:.2f}" for v in (one.kept, one.wrong, one.lost, one.short)), *shares)


def kept_by_run(folder: Path) -> dict[str, Judged]:
    """Kept spans by source, of an output folder."""
    from curation.store import Store

    found = {}
    for record in Store(folder).records():
        if record.shots:
            kept = [(span.start_s, span.end_s) for span in record.shots if span.verdict == "keep"]
            ends = [span.end_s for span in record.shots]
            found[record.name] = Judged(kept, min(span.start_s for span in record.shots), max(ends))
    return found


def kept_of(scans: dict[str, Any], config: Config) -> dict[str, Judged]:
    """Kept spans by source, of stored scans under another configuration."""
    from curation.clips.trim import parts_of

    found: dict[str, Judged] = {}
    for name, scan in scans.items():
        parts = [part for shot in scan.shots for part in parts_of(shot, config, scan.times)]
        kept = [(scan.times[part.shot.start], scan.times[part.shot.end]) for part in parts if part.passed]
        found[name] = Judged(kept, scan.times[0], scan.times[-1])
    return found


def scan_sources(sources: Iterable[Path], out: Path) -> None:
    """Measure sources as a run does, and store the scans by name; sources of earlier calls stay."""
    from curation.detect.pose_backends import detectors_of
    from curation.detect.scan import scan
    from talkingpose.media import VideoReader

    config = load_config()
    found: dict[str, Any] = pickle.loads(out.read_bytes()) if out.exists() else {}
    for path in sources:
        name = "/".join(path.parts[-2:])
        if name in found:
            continue
        reader = VideoReader(path)
        analyser = detectors_of(config.pose).analyser(reader.info, config.sampling.longer_side)
        try:
            found[name] = scan(reader, config.shots, config.sampling, analyser)
        finally:
            analyser.close()
        out.write_bytes(pickle.dumps(found))
        print(name, flush=True)


def sweep(scans: dict[str, Any], labels: Sequence[Label], setting: str, values: Sequence[str]) -> None:
    """Print agreement for each value of a setting, and with the value chosen on the other sources."""
    assigned, _ = labels_by_source(labels, {name: name for name in scans})
    one = {
        value: {
            name: agreement(judged, assigned.get(name, []), config.min_length_s)
            for name, judged in kept_of(scans, config).items()
        }
        for value, config in ((value, _with(setting, value)) for value in values)
    }
    rows: list[tuple[str, ...]] = [(setting, *_HEADER)]
    rows += [_row(value, sum(found.values(), Agreement())) for value, found in one.items()]
    held_out = Agreement()
    for name in scans:
        best = max(
            values,
            key=lambda v: sum((a for n, a in one[v].items() if n != name), Agreement()).f1,
        )
        held_out += one[best][name]
    rows.append(_row("chosen on the others", held_out))
    print("\n".join(text_table(rows)))


def _with(setting: str, value: str) -> Config:
    """Default configuration with one setting changed."""
    import tempfile

    import yaml

    nested: Any = yaml.safe_load(value)
    for part in reversed(setting.split(".")):
        nested = {part: nested}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.yaml"
        path.write_text(yaml.safe_dump(nested))
        return load_config(path)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run")
    run.add_argument("labels", type=Path)
    run.add_argument("folder", type=Path)
    measure = commands.add_parser("scan")
    measure.add_argument("sources", type=Path, nargs="+")
    measure.add_argument("--out", type=Path, required=True)
    free = commands.add_parser("sweep")
    free.add_argument("labels", type=Path)
    free.add_argument("scans", type=Path)
    free.add_argument("settings", nargs="*")
    own = parser.parse_args()
    if own.command == "scan":
        scan_sources(own.sources, own.out)
        return
    labels = read_labels(own.labels).labels
    config = load_config()
    if own.command == "run":
        report(kept_by_run(own.folder), labels, config.min_length_s)
        return
    scans = pickle.loads(own.scans.read_bytes())
    report(kept_of(scans, config), labels, config.min_length_s)
    for text in own.settings:
        setting, _, values = text.partition("=")
        sweep(scans, labels, setting, values.split(","))


if __name__ == "__main__":
    main()
