"""Leaderboard: a static site from runs of tp-eval.

Example:
    from pathlib import Path
    from leaderboard import build_site

    report = build_site([Path("runs")], Path("site"), "Our models")
    print(report.site / "index.html", report.num_verified, "of", report.num_runs, "verified")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from talkingpose.io.telemetry import disable_telemetry

if TYPE_CHECKING:
    from leaderboard.site import SiteReport, build_site

__all__ = ["SiteReport", "build_site"]

disable_telemetry()


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'leaderboard' has no attribute {name!r}")
    from leaderboard import site

    return getattr(site, name)
