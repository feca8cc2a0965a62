"""Synthetic records of a run."""

from __future__ import annotations

from curation.records import ClipRecord, FilterResult, ShotVerdict, SourceRecord

SHARPNESS = {"filter": "sharp", "step": "scan", "threshold": 0.5, "unit": "sharpness"}
LENGTH = {"filter": "length", "step": "index", "threshold": 3.0, "unit": "s"}
TEXT = {"filter": "text", "step": "scan", "threshold": 0.02, "unit": "share of the picture"}


def measured(which: dict, value: float | None, *, asked: bool = True, at_least: bool = True) -> FilterResult:
    passed = None
    if asked:
        good = value is not None and (
            value >= which["threshold"] if at_least else value <= which["threshold"]
        )
        passed = bool(good)
    reason = f"bad {which['filter']}" if passed is False else None
    return FilterResult(**which, passed=passed, measured=value, at_least=at_least, reason=reason)


def span(
    number: int = 0, *, seconds: float = 4.0, sharp: float | None = 0.8, text: float = 0.0, error: str = "",
    clip_id: str | None = None,
) -> ShotVerdict:  # fmt: skip
    """Make span `number` of equally long spans, with results of three filters."""
    length = measured(LENGTH, seconds)
    later = length.passed is True
    findings = (
        length,
        measured(SHARPNESS, sharp if later else None, asked=later),
        measured(TEXT, text if later else None, asked=later, at_least=False),
    )
    failed = [one for one in findings if one.passed is False]
    start, frames = number * seconds, round(seconds * 25)
    return ShotVerdict(
        start_frame=number * frames,
        end_frame=(number + 1) * frames,
        start_s=start,
        end_s=start + seconds,
        shot_start=0,
        shot_end=1000,
        verdict="error" if error else "reject" if failed else "keep",
        step="clip" if error or not failed else failed[0].step,
        reason=error or (failed[0].reason if failed else None),
        reasons=tuple(str(one.reason) for one in failed),
        findings=findings,
        clip_id=clip_id,
    )


def clip(clip_id: str, *, seconds: float = 4.0, num_bytes: int = 1_000_000) -> ClipRecord:
    return ClipRecord(
        clip_id=clip_id, start_pts=0, end_pts=round(seconds * 1000), time_base_num=1, time_base_den=1000,
        start_s=0.0, end_s=seconds, fps=25.0, width=64, height=64, num_frames=round(seconds * 25),
        crop_xyxy=(0.0, 0.0, 1.0, 1.0), scores={"brightness": 90.0}, sha256="ab" * 32, phash="0" * 48,
        num_bytes=num_bytes,
    )  # fmt: skip


def source(name: str, *spans: ShotVerdict, error: str | None = None, seconds: float = 0.0) -> SourceRecord:
    clips = tuple(clip(one.clip_id, seconds=one.end_s - one.start_s) for one in spans if one.clip_id)
    return SourceRecord(
        source="file", source_id=f"id-{name.replace('/', '-')}", name=name, source_sha256=None,
        recipe="r" * 16, config_hash="c" * 64,
        tool_versions={"tool": "1.2"}, error=error, width=64, height=48, fps=25.0,
        num_frames=sum(one.end_frame - one.start_frame for one in spans) if spans else None,
        shots=spans, clips=clips, seconds={"scan": seconds} if seconds else {},
    )  # fmt: skip
