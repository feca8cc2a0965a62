"""The dataset card: what the files are, what is in them, how to load them."""

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
    "manifest": "ids, spans, hashes, licences; no pixel, no keypoint",
    "annotations": "keypoints, boxes, scores; no video",
}

_LOADING = """## Loading

```python
from datasets import load_dataset

clips = load_dataset("PATH_OR_REPO", split="SPLIT")                      # video, annotations, metadata
annotations = load_dataset("PATH_OR_REPO", "annotations", split="SPLIT")   # no video
manifest = load_dataset("PATH_OR_REPO", "manifest", split="SPLIT")         # no pixel, no keypoint
```

Frames with the reader of TalkingPose Bench, without torchcodec:

```python
from talkingpose import load_clips

for clip in load_clips("PATH_OR_REPO", split="SPLIT"):
    frames = list(clip.frames())                           # uint8 (H, W, 3) each
    assert len(frames) == len(clip.keypoints) == clip.num_frames
```

Without both, `clips.cast_column("video", datasets.Video(decode=False))` gives the bytes of the mp4 file. Part
of a large set, without fetching the rest: a row group is read only if it may hold such rows, a column only if
it is named.

```python
few = load_dataset(
    "PATH_OR_REPO", "annotations", split="SPLIT", streaming=True,
    columns=["clip_id", "keypoints"], filters=[("num_frames", ">=", 100)],
)
for row in few:
    print(row["clip_id"], len(row["keypoints"]))
```

`keypoints` are [T, 133, 3] float16 in the order of COCO-WholeBody: x and y in [0, 1] of the clip's frame,
confidence in [0, 1]; a row of zeros where the detector has no such point. `boxes` are [T, 4]: the person,
normalised xyxy. `start_pts` and `end_pts` (exclusive) are ticks of `time_base_num / time_base_den` seconds in
the source; `crop_xyxy` is normalised by the source's size. `len(keypoints) == num_frames`, the number of
frames that a decoder returns: every clip was decoded to check it.
"""

_FOOTAGE_RIGHTS = """## Licences and attribution

The clips are parts of other people's videos. Each keeps the licence of its source, and the people in it
keep their rights; this dataset adds none and removes none. `license`, `uploader_id` and `rights_evidence`
hold what was known when the source was fetched; null means not known, not free. Before you pass clips on,
find the source by `source_id` and `source_sha256`, check its licence and name its author.
"""


@dataclass(frozen=True)
class Wording:
    """What a card says of its clips as a whole; `license` is an id of the Hub, lower case."""

    title: str
    introduction: str
    rights: str
    license: str | None = None


FOOTAGE = Wording(
    title="Upper-body clips with whole-body keypoints",
    introduction=(
        "One person, face and hands visible, cut at shot boundaries, keypoints for every frame. Made by\n"
        "`tp-curate` of TalkingPose Bench.\n"
    ),
    rights=_FOOTAGE_RIGHTS,
)


def card(
    layout: Mapping[str, Mapping[str, Sequence[str]]],
    rows: Sequence[DatasetRow],
    records: Sequence[SourceRecord],
    leakage: Leakage,
    digest: str,
    wording: Wording = FOOTAGE,
) -> str:
    """The text of README.md.

    Args:
        layout: file names by configuration and split; a split without clips is not named.
        rows: all clips.
        records: all sources.
        leakage: what splits share.
        digest: changes whenever the content does.
        wording: what it says of the clips as a whole.
    """
    header: dict[str, Any] = {"pretty_name": wording.title}
    if wording.license:
        header["license"] = wording.license
    header["task_categories"] = ["image-to-video"]
    header["tags"] = ["human-animation", "pose", "talkingpose"]
    if rows:
        header["configs"] = [
            {
                "config_name": config,
                **({"default": True} if config == "clips" else {}),
                # `datasets` names its cache after this header, not after the files: without a word that
                # changes with the content it would go on giving the rows of an earlier run, or a
                # forgotten source.
                "description": f"content {digest[:16]}",
                "data_files": [{"split": split, "path": list(names)} for split, names in splits.items()],
            }
            for config, splits in layout.items()
        ]
    parts = [
        f"---\n{yaml.safe_dump(header, sort_keys=False)}---\n",
        f"# {wording.title}\n",
        wording.introduction,
        *(
            (*_content(rows, leakage), _statistics(rows), _licences(rows))
            if rows
            else ["**No clip was kept.** Nothing can be loaded; the reasons are below.\n"]
        ),
        _verdicts(records),
        *([_LOADING.replace("SPLIT", rows[0].split)] if rows else []),
        wording.rights,
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
        "Which split a source is in is a matter of its hash, or of that of its person where one is known.",
        "`leakage.json` says what splits share:",
        "",
    ]
    return ["\n".join([*lines, leakage.text()])]


def _statistics(rows: Sequence[DatasetRow]) -> str:
    """Quantiles over clips of what a clip is like."""
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
    lines = ["## Statistics\n", "| over clips | clips | least | 5 % | median | 95 % | most |"]
    lines += ["|---|---:|---:|---:|---:|---:|---:|"]
    for name, values in columns.items():
        quantiles = " | ".join(f"{_quantile(values, share):.4g}" for share in (0, 0.05, 0.5, 0.95, 1))
        lines.append(f"| {name} | {len(values)} | {quantiles} |")
    absent = [f"`{name}`" for name in SCORES if f"`{name}`" not in columns]
    lines += [f"\nNot measured in any clip: {', '.join(absent)}.\n" if absent else ""]
    return "\n".join(lines)


def _quantile(values: Sequence[float], share: float) -> float:
    """With linear interpolation between neighbours."""
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
        lines.append(f"| {_cell(name or 'not known')} | {len(chosen)} | {sources} | {hours:.4f} |")
    return "\n".join([*lines, ""])


def _cell(text: str) -> str:
    """A text of other hands as one cell of a table."""
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
    lines.append(
        "\n`verdicts.jsonl` has one line per shot, with every measured value beside its threshold.\n"
    )
    return "\n".join(lines)
