"""Decimals of a column, flags that all rows share, protocols of minutes and of perturbed poses."""

from __future__ import annotations

import re
from pathlib import Path

from benchmark.results import (
    Collapse,
    CollapseEvent,
    Cost,
    Horizon,
    LongForm,
    ProtocolRef,
    RobustnessCurve,
)
from leaderboard.entries.groups import group_runs
from leaderboard.tables.board_table import board_table
from leaderboard.tables.pairs import compare_models
from tests.leaderboard.run_documents import RULES, build_trusted, checked, make_run, summary, write_run


def test_a_column_has_one_number_of_decimals() -> None:
    wide = make_run("talkingpose", metrics={"psnr": summary(24.812, "dB", "higher", spread=0.05)})
    narrow = make_run("open-loop", metrics={"psnr": summary(26.65512, "dB", "higher", spread=0.0004)})
    (group,) = group_runs([checked(wide), checked(narrow)])
    table = board_table(group, compare_models(group))
    shown = [row.metrics[0].text for row in table.models]
    assert len({len(text.partition(".")[2]) for text in shown}) == 1
    ends = re.findall(r"\.(\d+)", " ".join(row.metrics[0].lines[0] for row in table.models))
    assert {len(end) for end in ends} == {len(shown[0].partition(".")[2])}


def test_a_flag_of_all_rows_stands_once_above_the_table() -> None:
    runs = [make_run(name, limit=3, comparable=False) for name in ("talkingpose", "open-loop", "frozen")]
    (group,) = group_runs([checked(run) for run in runs])
    table = board_table(group, compare_models(group))
    assert table.shared_badges == ("limit 3 clips",)
    assert all("limit 3 clips" not in row.badges for row in (*table.models, *table.controls))


def test_minutes_begin_with_the_horizon_and_robustness_has_curves(tmp_path: Path) -> None:
    def horizon(median: float | None, threshold: float | None) -> Horizon:
        return Horizon(
            threshold=threshold,
            lasting_s=3,
            n_clips=6,
            n_crossed=4,
            median_s=median,
            time_s=[41.0],
            survival=[0.4],
            median_ci95=(31.0, None),
        )

    collapse = Collapse(n_clips=6, events=[CollapseEvent(clip_id="clip01", second=77, metric="lpips")])
    form = LongForm(
        control="none",
        revision="none",
        drift={},
        horizons={"lpips": horizon(41.0, 0.3)},
        usable=horizon(41.0, None),
        collapse=collapse,
    )
    cost = Cost(
        seconds_per_frame=0.2,
        seconds_per_minute=312.0,
        generation_s=9,
        scoring_s=9,
        peak_rss_mb=9,
        device="cpu",
    )
    curve = RobustnessCurve(
        strength=[2.0, 5.0], change=[-0.5, -2.0], ci95=[(-1.0, 0.0), (-3.0, -1.0)], n_clips=[6, 6]
    )
    protocol = ProtocolRef(id="tp-minutes", version=1, sha256=RULES)
    run = make_run(long_form=form, cost=cost, protocol=protocol, robustness={"psnr": {"late": curve}})
    write_run(tmp_path / "run", run)
    build_trusted([tmp_path / "run"], tmp_path / "site")
    page = (tmp_path / "site" / "index.html").read_text("utf-8")
    assert page.index("Usable horizon</h3>") < page.index(">Scores</h3>")
    assert "41.0 s [31.0, end] (4 of 6)" in page and "1 of 6" in page and "312 s" in page
    assert "Under perturbed poses" in page and "PSNR under late" in page
