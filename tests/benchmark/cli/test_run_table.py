"""The table of a run: primary metrics, each remark once, clips without a score, the next command."""

from __future__ import annotations

from pathlib import Path

from benchmark.cli.run_table import closing, left_out, table
from benchmark.results import AuditEntry
from tests.leaderboard.run_documents import make_run


def test_primary_metrics_alone_and_every_remark_once() -> None:
    run = make_run("talkingpose")
    noted = {
        name: summary.model_copy(update={"reason": "few persons"}) for name, summary in run.metrics.items()
    }
    run = run.model_copy(update={"metrics": noted})
    lines = table(run, ["psnr", "tje@2"]).splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["metric", "psnr", "tje@2"]
    assert lines[3:] == ["note: few persons", f"{len(run.metrics) - 2} more: --all"]
    everything = table(run)
    assert everything.count("few persons") == 1 and "--all" not in everything


def test_remark_of_some_metrics_names_them() -> None:
    lines = table(make_run("talkingpose")).splitlines()
    assert [line for line in lines if line.startswith("note: ")] == [
        "note: csim: no weights: tp-eval weights fetch sface"
    ]


def test_clips_without_a_score_are_named_up_to_a_limit() -> None:
    audit = [AuditEntry(kind="too-short", clip_id=f"c{n}", message="left out: 9 frames") for n in range(14)]
    run = make_run("talkingpose", audit=[*audit, AuditEntry(kind="scaled", clip_id="x", message="scaled")])
    lines = list(left_out(run))
    assert lines[0] == "c0: left out: 9 frames" and len(lines) == 11 and "4 more" in lines[-1]


def test_next_command_depends_on_the_status() -> None:
    assert closing(make_run("talkingpose"), Path("a b")).endswith("next: tp-eval report 'a b'")
    assert "again" in closing(make_run("talkingpose", status="partial"), Path("a"))
