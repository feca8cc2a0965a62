"""Dataset card: content, statistics, licences, verdicts and loading of a dataset."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from curation.records import SourceRecord
from talkingpose.data.schema import SCORES, SPLITS

if TYPE_CHECKING:
    from curation.dataset.export import DatasetRow
    from curation.dataset.leakage import Leakage

_CONTENT = {
    "clips": "video, keypoints, boxes, scores, metadata",
    "manifest": "ids, spans, hashes, licences; no pixels, no keypoints",
    "annotations": "keypoints, boxes, scores; no video",
}

_LOADING = """## Loading

```python
from datasets import load_dataset

clips = load_dataset("PATH_OR_REPO", split="SPLIT")                      # video, annotations, metadata
annotations = load_dataset("PATH_OR_REPO", "annotations", split="SPLIT")   # no video
manifest = load_dataset("PATH_OR_REPO", "manifest", split="SPLIT")         # no pixels, no keypoints
```

The reader of TalkingPose Bench decodes frames without torchcodec:

```python
from talkingpose import load_clips

for clip in load_clips("PATH_OR_REPO", split="SPLIT"):
    frames = list(clip.frames())                           # uint8 (H, W, 3) each
    assert len(frames) == len(clip.keypoints) == clip.num_frames
```

Without either, `clips.cast_column("video", datasets.Video(decode=False))` gives the bytes of the mp4 file. To
read part of a large dataset, name the columns and filters; other columns and row groups are not fetched:

```python
few = load_dataset(
    "PATH_OR_REPO", "annotations", split="SPLIT", streaming=True,
    columns=["clip_id", "keypoints"], filters=[("num_frames", ">=", 100)],
)
for row in few:
    print(row["clip_id"], len(row["keypoints"]))
```

`keypoints` are [T, 133, 3] float16 in the order of COCO-WholeBody: x and y in [0, 1] of the clip's frame,
confidence in [0, 1]; points that the detector does not have are zeros. `boxes` are [T, 4]: the person,
normalised xyxy. `start_pts` and `end_pts` (exclusive) are ticks of `time_base_num / time_base_den` seconds in
the source; `crop_xyxy` is normalised by the source's size. `len(keypoints) == num_frames`, the number of
frames that a decoder returns; every clip was decoded to check this.
"""

_FOOTAGE_RIGHTS = """## Licences and attribution

The clips are parts of other people's videos. Each clip keeps the licence of its source, and the people in it
keep their rights; this dataset does not change them. `license`, `uploader_id` and `rights_evidence` hold what
was known when the source was fetched; null means unknown, not free. Before you redistribute clips, find the
source by `source_id` and `source_sha256`, check its licence and name its author.
"""


@dataclass(frozen=True)
class CardText:
    """Texts of a card about its clips as a whole; `license` is an id of the Hub in lower case."""

    title: str
    introduction: str
    rights: str
    license: str | None = None


FOOTAGE_TEXT = CardText(
    title="Upper-body clips with whole-body keypoints",
    introduction=(
        "Clips of one person each, with visible face and hands, cut at shot boundaries, with keypoints for\n"
        "every frame. Made by `tp-curate` of TalkingPose Bench.\n"
    ),
    rights=_FOOTAGE_RIGHTS,
)


def card(
    layout: Mapping[str, Mapping[str, Sequence[str]]],
    rows: Sequence[DatasetRow],
    records: Sequence[SourceRecord],
    leakage: Leakage,
    digest: str,
    texts: CardText = FOOTAGE_TEXT,
) -> str:
    """Write the text of README.md.

    Args:
        layout: file names by configuration and split; splits without clips are absent.
        rows: all clips.
        records: all sources.
        leakage: overlap of the splits.
        digest: hash of the content.
        texts: about the clips as a whole.
    """
    header: dict[str, Any] = {"pretty_name": texts.title}
    if texts.license:
        header["license"] = texts.license
    header["task_categories"] = ["image-to-video"]
    header["tags"] = ["human-animation", "pose", "talkingpose"]
    if rows:
        header["configs"] = [
            {
                "config_name": config,
                **({"default": True} if config == "clips" else {}),
                # `datasets` names its cache after this header, not after the files. Without the digest it
                # would return the cached rows of an earlier run, or of a forgotten source.
                "description": f"content {digest[:16]}",
                "data_files": [{"split": split, "path": list(names)} for split, names in splits.items()],
            }
            for config, splits in layout.items()
        ]
    parts = [
        f"---\n{yaml.safe_dump(header, sort_keys=False)}---\n",
        f"# {texts.title}\n",
        texts.introduction,
        *(
            (*_content(rows, leakage), _statistics(rows), _licences(rows))
            if rows
            else ["**No clip was kept.** There is nothing to load. The verdicts below give the reasons.\n"]
        ),
        _verdicts(records),
        *([_LOADING.replace("SPLIT", rows[0].split)] if rows else []),
        texts.rights,
    ]
    return "\n".join(parts)


def _content(rows: Sequence[DatasetRow], leakage: Leakage) -> list[str]:
    lines = ["## Content\n", "| split | clips | sources | hours | frames |", "|---|---:|---:|---:|---:|"]
    for name in (*SPLITS, "all"):
        chosen = [row for row in rows if name in (row.split, "all")]
        if not chosen:
            continue
        sources = len({row.source.source_id for row in chosen})
        hours = sum(row.clip.end_s - row.clip.start_s for row in chosen) / 3600
        frames = sum(row.clip.num_frames for row in chosen)
        lines.append(f"| {name} | {len(chosen)} | {sources} | {hours:.4f} | {frames} |")
    lines += ["", "| configuration | columns |", "|---|---|"]
    lines += [f"| `{config}` | {content} |" for config, content in _CONTENT.items()]
    lines += [
        "",
        "The hash of a source, or of its person where one is known, determines its split. `leakage.json`",
        "lists what the splits have in common:",
        "",
    ]
    return ["\n".join([*lines, leakage.text()])]


def _statistics(rows: Sequence[DatasetRow]) -> str:
    """Tabulate quantiles over clips."""
    columns: dict[str, list[float]] = {
        "seconds": [row.clip.end_s - row.clip.start_s for row in rows],
        "frames": [row.clip.num_frames for row in rows],
        "frames per second": [row.clip.fps for row in rows],
        "width": [row.clip.width for row in rows],
        "height": [row.clip.height for row in rows],
    }
    for name in SCORES:
        measured = [row.clip.scores[name] for row in rows if row.clip.scores.get(name) is not None]
        if measured:
            columns[f"`{name}`"] = measured
    lines = ["## Statistics\n", "| over clips | clips | minimum | 5 % | median | 95 % | maximum |"]
    lines += ["|---|---:|---:|---:|---:|---:|---:|"]
    for name, values in columns.items():
        quantiles = " | ".join(f"{_quantile(values, share):.4g}" for share in (0, 0.05, 0.5, 0.95, 1))
        lines.append(f"| {name} | {len(values)} | {quantiles} |")
    absent = [f"`{name}`" for name in SCORES if f"`{name}`" not in columns]
    lines += [f"\nNot measured in any clip: {', '.join(absent)}.\n" if absent else ""]
    return "\n".join(lines)


def _quantile(values: Sequence[float], share: float) -> float:
    """Return a quantile with linear interpolation between neighbours."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def _licences(rows: Sequence[DatasetRow]) -> str:
    lines = ["## Licences of the clips\n", "| licence | clips | sources | hours |", "|---|---:|---:|---:|"]
    for name in sorted({row.source.license for row in rows}, key=lambda name: (name is None, name or "")):
        chosen = [row for row in rows if row.source.license == name]
        hours = sum(row.clip.end_s - row.clip.start_s for row in chosen) / 3600
        sources = len({row.source.source_id for row in chosen})
        lines.append(f"| {_cell(name or 'unknown')} | {len(chosen)} | {sources} | {hours:.4f} |")
    return "\n".join([*lines, ""])


def _cell(text: str) -> str:
    """Escape a text from outside for a table cell."""
    return " ".join(text.split()).replace("|", "\\|")


def _verdicts(records: Sequence[SourceRecord]) -> str:
    seconds: dict[str, float] = defaultdict(float)
    shots: Counter[str] = Counter()
    for record in records:
        for shot in record.shots:
            reason = {"keep": "kept", "reject": f"rejected: {shot.reason}"}.get(
                shot.verdict, "error: undecided"
            )
            shots[reason] += 1
            seconds[reason] += shot.end_s - shot.start_s
    lines = ["## Verdicts\n", f"{len(records)} sources, {sum(shots.values())} shots.\n"]
    lines += ["| verdict | shots | minutes |", "|---|---:|---:|"]
    lines += [
        f"| {reason} | {number} | {seconds[reason] / 60:.2f} |"
        for reason, number in sorted(shots.items(), key=lambda item: (item[0] != "kept", -item[1], item[0]))
    ]
    failed = sum(record.error is not None for record in records)
    if failed:
        lines.append(f"| error: source could not be read | {failed} sources | |")
    lines.append("\n`verdicts.jsonl` has one line per span, with every measured value and its threshold.\n")
    return "\n".join(lines)
