"""Sites that several tests look at.

`site` shows synthetic documents, believed as they are; `test_board_check.py` checks real runs.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from leaderboard import build_site
from tests.leaderboard.run_documents import LOOKS, build_trusted, make_run, write_run


@pytest.fixture(scope="session")
def runs_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models and three controls, with clips of six persons and small videos, and three limited runs."""
    folder = tmp_path_factory.mktemp("board") / "runs"
    for name in LOOKS:
        write_run(folder / name, make_run(name), video=name != "frozen", frames=True, seconds=0.2)
    for name in ("frozen", "talkingpose", "ground-truth"):
        run = make_run(name, n_cases=2, limit=2, max_frames=120, comparable=False)
        headline = {"psnr", "ssim", "tje@2"}
        parts = {"metrics": run.metrics, "drift": run.drift}
        run = run.model_copy(
            update={
                part: {name: one[name] for name in one if name in headline} for part, one in parts.items()
            }
        )
        write_run(folder / f"limited-{name}", run, cases=False)
    return folder


@pytest.fixture(scope="session")
def site(runs_folder: Path) -> Path:
    return build_trusted([runs_folder], runs_folder.parent / "site", "Test board").site


@pytest.fixture(scope="session")
def page(site: Path) -> str:
    return (site / "index.html").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One run with one metric, one curve, two clips and their videos: quick to draw."""
    run = make_run(n_cases=2)
    run = run.model_copy(
        update={"metrics": {"psnr": run.metrics["psnr"]}, "drift": {"psnr": run.drift["psnr"]}}
    )
    return write_run(tmp_path_factory.mktemp("small") / "talkingpose", run, video=True, seconds=0.2, size=64)


@pytest.fixture(scope="session")
def small_site(small_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_site([small_run], tmp_path_factory.mktemp("built") / "site", "t").site
