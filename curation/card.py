"""The dataset card: what the files are, what is in them, how to load them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from curation.records import SourceRecord
from talkingpose.dataset import SPLITS

if TYPE_CHECKING:
    from curation.export import Row

_CONTENT = {
    "clips": "video, keypoints, boxes, scores, metadata",
    "manifest": "ids, spans, hashes, licences; no pixel, no keypoint",
    "annotations": "keypoints, boxes, scores; no video",
}

_LOADING = """## Loading

```python
from datasets import Video, load_dataset

clips = load_dataset("PATH_OR_REPO")                                  # video, annotations, metadata
annotations = load_dataset("PATH_OR_REPO", "annotations")             # no video
manifest = load_dataset("PATH_OR_REPO", "manifest", streaming=True)   # nothing is downloaded ahead

split = clips["train"].cast_column("video", Video(decode=False))      # bytes, without torchcodec
row = split[0]
open(row["clip_id"] + ".mp4", "wb").write(row["video"]["bytes"])
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
    rows: Sequence[Row],
    records: Sequence[SourceRecord],
    digest: str,
    wording: Wording = FOOTAGE,
) -> str:
    """The text of README.md.

    Args:
        layout: file names by configuration and split; a split without clips is not named.
        rows: all clips.
        records: all sources.
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
            _content(rows)
            if rows
            else ["**No clip was kept.** Nothing can be loaded; the reasons are below.\n"]
        ),
        _verdicts(records),
        *([_LOADING] if rows else []),
        wording.rights,
    ]
    return "\n".join(parts)


def _content(rows: Sequence[Row]) -> list[str]:
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
    lines += ["", "Splits share no source; which one a source is in is a matter of its hash.", ""]
    return ["\n".join(lines)]


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
