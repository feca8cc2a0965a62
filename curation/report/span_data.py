"""Data of the report's table, player and curves, as JSON values and as scripts.

A page that is opened from a file may not fetch files, but it may run scripts beside it. Each script hands one
JSON value to the page. Names come from strangers: every text is written in ASCII without `<`.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from curation.records import Curve, FilterResult, ShotVerdict, SourceRecord
from curation.report.explain import Decision
from curation.report.previews import Preview
from curation.store import Store
from talkingpose.io.atomic import write_text
from talkingpose.io.documents import DocumentError, read_arrays
from talkingpose.pose import (
    BODY_EDGES,
    FACE_EDGES,
    KEYPOINT_NAMES,
    LEFT_HAND_EDGES,
    NUM_KEYPOINTS,
    RIGHT_HAND_EDGES,
)

# Control characters, and characters that reverse the order of the following text.
_UNSHOWABLE = [*range(0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0xFEFF]
_CLEAN = dict.fromkeys(_UNSHOWABLE, "\ufffd")
_LEVELS = 65535


@dataclass(frozen=True)
class ShownSpan:
    """Span of the table.

    Attributes:
        decision: Verdict with its source, clip and split.
        preview: Files of the player; None without.
        no_preview: Reason for no preview.
        duplicate_of: Number of the span in the table with the same footage; None without.
    """

    decision: Decision
    preview: Preview | None
    no_preview: str
    duplicate_of: int | None

    @property
    def span(self) -> ShotVerdict:
        """Verdict of the span."""
        assert self.decision.span is not None
        return self.decision.span


def clean(text: str) -> str:
    """Replace the characters of a stranger's text that would disturb the page."""
    return text.translate(_CLEAN)


def as_json(value: Any) -> str:
    """Write a JSON value that is safe inside an HTML page and as JavaScript."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def page_data(store: Store, title: str, files: str, shown: Sequence[ShownSpan]) -> dict[str, Any]:
    """Return the data of the table: all spans, without measurements.

    Args:
        store: State of the run.
        title: Title of the page.
        files: Name of the folder beside the page.
        shown: Spans in the order of the table.
    """
    sources: dict[str, SourceRecord] = {}
    for one in shown:
        sources.setdefault(one.decision.source.source_id, one.decision.source)
    places = {name: place for place, name in enumerate(sources)}
    return {
        # Labels are kept in the browser under this key: another report of the same folder finds them again.
        "key": hashlib.sha256(str(store.out.absolute()).encode(errors="surrogatepass")).hexdigest()[:16],
        "title": clean(title),
        "files": files,
        "edges": {"points": NUM_KEYPOINTS, "lines": _lines()},
        "sources": [_source(record) for record in sources.values()],
        "spans": [_row(one, places[one.decision.source.source_id]) for one in shown],
    }


def write_details(folder: Path, store: Store, shown: Sequence[ShownSpan]) -> set[str]:
    """Write the scripts of sources and clips; returns their file names."""
    by_source: dict[str, list[ShownSpan]] = {}
    for one in shown:
        by_source.setdefault(one.decision.source.source_id, []).append(one)
    written = set()
    for own in by_source.values():
        record = own[0].decision.source
        versions = ", ".join(f"{name} {number}" for name, number in record.tool_versions.items())
        about = {
            "made_with": clean(
                f"Configuration {record.config_hash[:16]}, recipe {record.recipe}; {versions}"
            ),
            "spans": [_detail(one) for one in own],
        }
        written.add(_script(folder, _source_file(record), about))
        for one in own:
            name = _keypoint_file(one)
            points = _keypoints(store, one) if name else None
            if name and points:
                written.add(_script(folder, name, points))
    return written


def _script(folder: Path, name: str, value: Any) -> str:
    write_text(folder / f"{name}.js", f'tpReport("{name}",{as_json(value)});\n')
    return f"{name}.js"


def _source_file(record: SourceRecord) -> str:
    return "s-" + hashlib.sha256(record.source_id.encode(errors="surrogatepass")).hexdigest()[:16]


def _keypoint_file(one: ShownSpan) -> str | None:
    clip = one.decision.clip
    if clip is None or one.preview is None:
        return None
    return "k-" + hashlib.sha256(clip.clip_id.encode(errors="surrogatepass")).hexdigest()[:16]


def _source(record: SourceRecord) -> dict[str, Any]:
    form = None
    if record.width and record.height and record.fps:
        size = f"{record.width}x{record.height}, {record.fps:.4g} frames per second"
        form = f"{size}, {record.codec or 'unknown codec'}"
    return {
        "id": record.source_id,
        "file": record.name,
        "name": clean(record.name),
        "data": _source_file(record),
        "form": form and clean(form),
        **{
            name: None if text is None else clean(text)
            for name, text in (
                ("license", record.license),
                ("uploader_id", record.uploader_id),
                ("url", record.url),
            )
        },
    }


def _row(one: ShownSpan, source: int) -> dict[str, Any]:
    span = one.span
    return {
        "source": source,
        **{name: getattr(span, name) for name in ("start_s", "end_s", "start_frame", "end_frame", "verdict")},
        "step": span.step,
        "reasons": [clean(text) for text in span.reasons or ((span.reason,) if span.reason else ())],
        "clip_id": span.clip_id,
        "split": one.decision.split,
        "duplicate_of": one.duplicate_of,
        "preview": None if one.preview is None else asdict(one.preview),
        "no_preview": one.no_preview,
        "keypoints": _keypoint_file(one),
    }


def _detail(one: ShownSpan) -> dict[str, Any]:
    span, clip = one.span, one.decision.clip
    return {
        "start_frame": span.start_frame,
        "start_s": span.start_s,
        "end_s": span.end_s,
        "verdict": span.verdict,
        "findings": [_finding(result, span.curves.get(result.filter)) for result in span.findings],
        "times": span.curve_times,
        "curves": {name: curve.model_dump() for name, curve in span.curves.items()},
        "clip": clip
        and {
            "crop": ", ".join(f"{edge:.3f}" for edge in clip.crop_xyxy),
            "audio": None if clip.has_audio is None else "yes" if clip.has_audio else "none in the source",
        },
    }


def _finding(result: FilterResult, curve: Curve | None) -> dict[str, Any]:
    own = result.model_dump(mode="json")
    texts = {name: own[name] and clean(own[name]) for name in ("filter", "unit", "reason")}
    evidence = [{**seen.model_dump(mode="json"), "what": clean(seen.what)} for seen in result.evidence]
    # The threshold of a filter whose samples are yes or no is the share of yes.
    yes_no = (
        curve is not None
        and {curve.low, curve.high} <= {0.0, 1.0}
        and result.measured == result.share
        and result.threshold == result.min_share
    )
    return {**own, **texts, "evidence": evidence, "yes_no": yes_no}


def _keypoints(store: Store, one: ShownSpan) -> dict[str, Any] | None:
    """Keypoints and boxes of a clip in 16 bits, confidence in 8; None where they cannot be read."""
    clip, record = one.decision.clip, one.decision.source
    assert clip is not None
    try:
        saved = read_arrays(
            store.clip_folder(record.source_id, record.recipe) / f"{clip.clip_id}.npz", "arrays"
        )
        points = np.nan_to_num(np.asarray(saved["keypoints"], np.float64))
    except (DocumentError, KeyError, ValueError):
        return None
    if points.ndim != 3 or points.shape[1:] != (NUM_KEYPOINTS, 3):
        return None
    boxes = np.asarray(saved["boxes"], np.float64) if "boxes" in saved else np.zeros((len(points), 4))
    return {
        "frames": len(points),
        "xy": _packed(points[..., :2], _LEVELS, np.uint16),
        "confidence": _packed(points[..., 2], 255, np.uint8),
        "boxes": _packed(np.nan_to_num(boxes), _LEVELS, np.uint16),
    }


def _packed(values: npt.NDArray[np.float64], levels: int, kind: type[np.unsignedinteger[Any]]) -> str:
    """Base64 of values in [0, 1] as little-endian unsigned integers."""
    whole = np.round(np.clip(values, 0, 1) * levels).astype(np.dtype(kind).newbyteorder("<"))
    return base64.b64encode(whole.tobytes()).decode()


def _lines() -> dict[str, list[list[int]]]:
    """Edges of the skeleton by side and part."""
    found: dict[str, list[list[int]]] = {"left body": [], "right body": [], "middle body": []}
    for edge in BODY_EDGES:
        sides = {KEYPOINT_NAMES[point].partition("_")[0] for point in edge}
        side = sides.pop() if len(sides) == 1 else "middle"
        found[f"{side} body" if side in ("left", "right") else "middle body"].append(list(edge))
    others = {"left hand": LEFT_HAND_EDGES, "right hand": RIGHT_HAND_EDGES, "face": FACE_EDGES}
    return found | {name: [list(edge) for edge in own] for name, own in others.items()}
