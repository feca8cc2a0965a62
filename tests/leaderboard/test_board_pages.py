"""Pages of clips and contestants: complete, well formed, closed to the network, safe with hostile runs."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest

from benchmark.results import read_run, write_document
from leaderboard.figures.frame_curves import HEIGHT, WIDTH, curve_path
from leaderboard.text.slugs import slug
from tests.leaderboard.html_outline import Outline
from tests.leaderboard.run_documents import build_trusted, make_run, write_run
from tests.leaderboard.test_board_page import HOLES, HOSTILE
from tools.metric_texts import TARGET, metric_texts


def page_of(site: Path, pattern: str) -> str:
    found = sorted((site / "pages").glob(pattern))
    assert found, pattern
    return found[0].read_text("utf-8")


def test_every_page_is_well_formed_and_stays_within_the_site(site: Path):
    pages = sorted((site / "pages").glob("*.html"))
    kinds = {path.name.split("-")[1].removesuffix(".html") for path in pages}
    assert kinds == {"pairs", "clip", "clips", "run"}
    for path in pages:
        text = path.read_text("utf-8")
        outline = Outline(text)
        assert outline.faults == [], path.name
        ids = outline.values("id")
        assert len(ids) == len(set(ids)), path.name
        assert not HOLES.search(outline.words), path.name
        for address in outline.values("src") + outline.values("href"):
            file, _, part = address.partition("#")
            if address.startswith("data:,") or part.startswith("t="):
                continue
            if not file:
                assert part in ids, (path.name, address)
            else:
                assert (path.parent / unquote(file)).resolve().is_file(), (path.name, address)
                assert (path.parent / file).resolve().is_relative_to(site.resolve())
        policy = next(a["content"] for a in outline.all("meta") if "http-equiv" in a)
        assert policy.startswith("default-src 'none';") and "unsafe" not in policy and "http" not in policy
        assert not outline.values("style") and not re.search(r"<script>", text)
        assert all("scope" in attributes for attributes in outline.all("th"))


def test_a_clip_page_begins_with_the_portrait_and_the_real_video(site: Path, runs_folder: Path):
    page = page_of(site, "b1-clip-clip00-*")
    figures = re.findall(r"<figure[^>]*>.*?</figure>", page, re.DOTALL)
    assert "Portrait" in figures[0] and "data-real" in figures[1] and "ground-truth" in figures[1]
    videos = Outline(page).all("video")
    assert len(videos) == 4 and all(v["preload"] == "none" and "controls" in v for v in videos)
    real = (runs_folder / "ground-truth/videos/clip00.mp4").read_bytes()
    assert (site / "pages" / (videos[0]["src"] or "")).read_bytes() == real


def test_moments_are_the_extreme_frames_and_links_to_their_middle(site: Path):
    page = page_of(site, "b1-clip-clip02-*")
    table = page.split("Worst and best moments")[1].split("</table>")[0]
    row = next(row for row in table.split("<tr>") if "open-loop" in row)
    # The bad frame of the third clip is frame 120: 4.8 s at 25 fps, plus half a frame.
    assert re.findall(r'href="#t=([\d.]+)">frame (\d+)<', row)[0] == ("4.820", "120")


def test_clips_without_frames_or_videos_still_have_a_page(tmp_path: Path):
    write_run(tmp_path / "run", make_run(n_cases=2, drift={}))
    (tmp_path / "run/frames").mkdir()
    (tmp_path / "run/frames/clip00.parquet").write_bytes(b"no table")
    site = build_trusted([tmp_path / "run"], tmp_path / "site").site
    page = page_of(site, "b1-clip-clip00-*")
    assert "No run kept a video of this clip." in page and "No run has scores of the frames" in page


def test_a_contestant_page_shows_how_to_reproduce_and_what_to_download(site: Path):
    page = page_of(site, "b1-run-talkingpose-*")
    words = Outline(page).words
    assert "tp-eval --model talkingpose --dataset org/talking-clips --out runs/talkingpose" in words
    for part in ("Apache-2.0", "2.10", "Over time", "slope", "Cost against length", "denoising_unet.pth"):
        assert part in words
    assert "Unavailable" not in words or "csim" in words
    (document,) = (site / "runs").glob("b1-run-talkingpose-*.json")
    assert json.loads(document.read_text())["schema"] == "talkingpose.run/1"
    rows = list(csv.DictReader(document.with_suffix(".csv").open(newline="")))
    assert [row["clip_id"] for row in rows] == [f"clip{number:02d}" for number in range(6)]
    assert float(rows[0]["psnr"]) > 0 and rows[0]["csim"] == ""


def test_hostile_text_stays_text_on_every_page(tmp_path: Path):
    run = make_run("talkingpose", n_cases=1, drift={}, command=HOSTILE, env={HOSTILE: {HOSTILE: HOSTILE}})
    who = run.contestant.model_copy(
        update={"name": HOSTILE, "revision": HOSTILE, "licence": HOSTILE, "backbone": HOSTILE}
    )
    write_run(tmp_path / "run", run.model_copy(update={"contestant": who}))
    site = build_trusted([tmp_path / "run"], tmp_path / "site", HOSTILE).site
    for path in [site / "index.html", *(site / "pages").glob("*.html")]:
        text = path.read_text("utf-8")
        assert Outline(text).faults == [], path.name
        assert "<script>alert" not in text
        assert not re.search("[\u202a-\u202e\u2066-\u2069\x00-\x08]", text), path.name


def test_names_of_pages_are_plain_and_different():
    names = ["../../etc/passwd", "Ä" * 300, "a b", "a-b", "", "A-b", "\ud800"]
    slugs = [slug(name) for name in names]
    assert len(set(slugs)) == len(names)
    assert all(re.fullmatch(r"[a-z0-9-]{8,60}", one) for one in slugs)


@pytest.mark.parametrize("frames", [1, 7, 20_000])
def test_a_curve_keeps_its_extremes_and_breaks_at_gaps(frames: int):
    values = np.linspace(1.0, 2.0, frames)
    values[frames // 2] = 9.0
    path = curve_path(values, frames, 1.0, 9.0, 1)
    points = [tuple(map(int, point.split())) for point in re.split("[ML]", path)[1:]]
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in points)
    assert min(y for _, y in points) == 0 and len(points) <= 5000
    if frames == 7:
        values[2] = np.nan
        assert curve_path(values, frames, 1.0, 9.0, 1).count("M") == 2


def test_texts_about_metrics_are_those_of_the_registry():
    assert json.loads(TARGET.read_text(encoding="utf-8")) == metric_texts(), (
        "run: python tools/metric_texts.py"
    )


def test_a_site_with_pages_is_replaced(small_run: Path, tmp_path: Path):
    first = build_trusted([small_run], tmp_path / "site").site
    names = {path.name for path in (first / "pages").iterdir()}
    run = read_run(small_run)
    other = write_run(tmp_path / "other", run.model_copy(update={"cases": []}), cases=False)
    write_document(run.model_copy(update={"cases": []}), other / "run.json")
    again = build_trusted([other], tmp_path / "site").site
    assert {path.name for path in (again / "pages").iterdir()} < names
