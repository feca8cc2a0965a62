"""The page: well formed, closed to the network, readable without a script, complete."""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import re
from pathlib import Path

import pytest

from benchmark.results import ContestantRef, Curve, Horizon, LongForm
from leaderboard.entries.groups import group_runs
from leaderboard.pages.templating import clean
from leaderboard.tables.published import published_tables
from tests.leaderboard.html_outline import Outline
from tests.leaderboard.run_documents import (
    DELTAS,
    LOOKS,
    build_trusted,
    checked,
    make_run,
    metrics_of,
    summary,
    write_run,
)


@pytest.fixture(scope="module")
def outline(page: str) -> Outline:
    return Outline(page)


def test_markup_is_well_formed(page: str, outline: Outline):
    assert page.startswith("<!doctype html>")
    assert outline.faults == []
    ids = outline.values("id")
    assert len(ids) == len(set(ids)), "an id is there twice"
    targets = [href[1:] for href in outline.values("href") if href.startswith("#")]
    targets += [name for value in outline.values("aria-labelledby") for name in value.split()]
    assert set(targets) <= set(ids), set(targets) - set(ids)


def test_tables_are_accessible(outline: Outline):
    assert outline.all("th") and all("scope" in attributes for attributes in outline.all("th"))
    assert len(outline.all("caption")) == len(outline.all("table"))
    plots = [attributes for attributes in outline.all("svg") if attributes.get("class") == "plot"]
    assert plots and all(attributes["role"] == "img" for attributes in plots)
    assert [a["aria-sort"] for a in outline.all("th") if "aria-sort" in a] == ["descending"]


def test_nothing_comes_from_elsewhere(page: str, outline: Outline, site: Path):
    for address in outline.values("src") + outline.values("href"):
        path = site / address.partition("#")[0]
        is_here = address.startswith(("#", "data:,")) or path.is_file()
        assert is_here or address == "https://arxiv.org/abs/2512.00909", address
    policy = next(a["content"] for a in outline.all("meta") if "http-equiv" in a)
    assert policy.startswith("default-src 'none';") and "unsafe" not in policy and "http" not in policy
    for tag in ("style", "script"):
        (text,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert len(re.findall(r"<script>(.*?)</script>", page, re.DOTALL)[0].encode()) < 30_000
    assert not outline.values("style") and not re.search(r"\son\w+=", re.sub(r"<script>.*", "", page))


def test_the_first_view_has_films_of_one_moment(outline: Outline, site: Path, runs_folder: Path):
    films = outline.all("video")
    # The real one, two models, and the controls that have videos.
    assert len(films) == 4
    assert all(film["preload"] == "none" and "controls" in film for film in films)
    assert len({(film["src"] or "").partition("#")[2] for film in films}) == 1
    paths = [site / (film["src"] or "").partition("#")[0] for film in films]
    assert paths[0].read_bytes() in {
        path.read_bytes() for path in (runs_folder / "ground-truth/videos").iterdir()
    }
    assert all((site / (film["poster"] or "")).is_file() for film in films)


def test_the_first_view_is_small(page: str, outline: Outline, site: Path):
    posters = [site / (film["poster"] or "") for film in outline.all("video")]
    assert len(page.encode()) + sum(path.stat().st_size for path in posters) < 300_000


HOLES = re.compile(r"\b(nan|NaN|inf|Infinity|None(?! of| known)|null|undefined)\b")


def test_missing_values_are_not_shown_as_numbers(outline: Outline):
    assert not HOLES.search(outline.words)
    assert not [value for value in outline.values("data-v") + outline.values("d") if HOLES.search(value)]


def test_every_part_is_there(outline: Outline):
    text = outline.words
    parts = [
        "Scores",
        "Over time",
        "Jittering error over Δ",
        "Cost and quality",
        "Clip by clip",
    ]
    parts += [
        "Metrics",
        "About this board",
        "Check of the runs",
        "Published numbers, not reproduced",
        "Data and citation",
    ]
    places = [text.index(part, 300) for part in parts]
    assert places == sorted(places)
    for expected in ("∞", "PSNR ↑", "SSIM ↑", "TJE@2 ↓", "skill", "Infinite: identical frames."):
        assert expected in text
    assert "Unavailable: no weights: tp-eval weights fetch sface." in text
    assert "saw the driving frames" in text and "limit 2 clips" in text and "first 120 frames" in text
    assert "ran inside the evaluator" in text
    assert "cuda (NVIDIA H200)" in text and "Controls, never ranked" in text


def test_headline_columns_come_first(page: str):
    board = re.search(r'<table class="board".*?</thead>', page, re.DOTALL).group()
    titles = re.findall(r"<span>(\S+)", board)
    others = [f"TJE@{delta}" for delta in DELTAS if delta != 2]
    assert titles[: len(others) + 4] == ["PSNR", "SSIM", "TJE@2", *others, "CSIM"]


def test_limited_runs_stand_apart(page: str):
    first, second = page.split('<section class="board-section"')[1:3]
    assert "not ranked" not in first and 'class="rank"' in first
    assert "Not ranked: these runs were limited to the first 2 clips and the first 120 frames" in second
    assert 'class="rank"' not in second


def test_colours_have_contrast():
    css = Path(__import__("leaderboard").__file__).with_name("templates") / "style.css"
    for block in re.findall(r":root \{([^}]*--s7[^}]*)\}", css.read_text()):
        colours = dict(re.findall(r"(--\w+): (#[0-9a-f]{6})", block))
        for name, colour in colours.items():
            if name in ("--paper", "--raised", "--rule"):
                continue
            least = 4.5 if name in ("--ink", "--muted", "--accent") else 3.0
            assert _contrast(colour, colours["--paper"]) >= least, name
        assert _contrast(colours["--muted"], colours["--raised"]) >= 4.5


def _contrast(one: str, other: str) -> float:
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


HOSTILE = "<script>alert(1)</script>\"'&amp;$x^2$ {{ 7*7 }} \u202egnp.\u0000\u0007 שלום " + "w" * 300


def test_text_of_runs_is_never_markup(tmp_path: Path):
    look = LOOKS["talkingpose"]
    curve = make_run().drift["psnr"]
    odd = summary(1.5, HOSTILE, "lower", reason=HOSTILE, state="partial")
    run = make_run(
        HOSTILE, look=look, n_cases=1, command=HOSTILE, finished_at=HOSTILE, env={HOSTILE: HOSTILE}
    )
    run = run.model_copy(
        update={
            "metrics": run.metrics | {HOSTILE: odd},
            "drift": {HOSTILE: curve},
            "cases": ["clip"],  # a clip id is a file name; the document refuses any other
            "contestant": ContestantRef(
                name=HOSTILE, revision=HOSTILE, args={HOSTILE: HOSTILE}, licence=HOSTILE
            ),
            "protocol": run.protocol.model_copy(update={"id": HOSTILE}),
            "dataset": run.dataset.model_copy(update={"location": HOSTILE, "revision": HOSTILE}),
            "cost": run.cost.model_copy(update={"device": HOSTILE}),
        }
    )
    write_run(tmp_path / "run", run, cases=False)
    page = (build_trusted([tmp_path / "run"], tmp_path / "site", HOSTILE).site / "index.html").read_text(
        "utf-8"
    )
    outline = Outline(page)
    assert outline.faults == []
    assert len(outline.all("script")) == 1 and page.count("<script>") == 1
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00-\x08]", page)
    assert "49" not in re.findall(r"<title>(.*?)</title>", page)[0]
    rows = list(csv.DictReader((tmp_path / "site/board.csv").open(encoding="utf-8", newline="")))
    assert rows[0]["contestant"] == HOSTILE


def test_formulas_in_names_stay_text(tmp_path: Path):
    write_run(tmp_path / "run", make_run("=HYPERLINK(1)", look=LOOKS["talkingpose"], drift={}), cases=False)
    site = build_trusted([tmp_path / "run"], tmp_path / "site", "t").site
    rows = list(csv.DictReader((site / "board.csv").open(encoding="utf-8", newline="")))
    assert {row["contestant"] for row in rows} == {"'=HYPERLINK(1)"}


def test_a_run_without_any_number(tmp_path: Path):
    missing = {"state": "failed", "reason": "no frames"}
    metrics = {
        name: summary(None, found.unit, found.direction, **missing)
        for name, found in metrics_of(LOOKS["frozen"]).items()
    }
    empty = Curve(
        time_s=[0.5, 1.5],
        mean=[None, None],
        low=[None, None],
        high=[None, None],
        n_clips=[0, 0],
        slope_per_100_frames=None,
    )
    run = make_run(metrics=metrics, drift={"psnr": empty}, cost=None, finished_at=None)
    write_run(tmp_path / "a", run)
    write_run(tmp_path / "b", make_run("open-loop", metrics={}, drift={}, cost=None, cases=[]))
    page = (build_trusted([tmp_path], tmp_path / "site", "t").site / "index.html").read_text("utf-8")
    outline = Outline(page)
    assert outline.faults == []
    assert "Failed: no frames." in outline.words and "not measured" in outline.words
    assert not HOLES.search(outline.words)


def test_downloads_hold_the_numbers(site: Path):
    data = json.loads((site / "data.json").read_text())
    assert [board["ranked"] for board in data["boards"]] == [True, False]
    assert data["boards"][0]["runs"][0]["run"]["schema"] == "talkingpose.run/1"
    assert len(data["boards"][0]["runs"][0]["cases"]) == 6
    rows = list(csv.DictReader((site / "board.csv").open(newline="")))
    truth = next(r for r in rows if r["contestant"] == "ground-truth" and r["metric"] == "psnr")
    assert (truth["value"], truth["n_infinite"], truth["control"]) == ("", "1800", "true")
    model = next(r for r in rows if r["contestant"] == "talkingpose" and r["metric"] == "tje@2")
    assert (model["rank_best"], model["rank_worst"]) == ("1", "1")
    assert float(model["skill"]) == pytest.approx(1 - 1.62 / 3.1)


def test_the_page_takes_only_texts_and_whole_numbers():
    assert clean("a\x00\u202eb") == "a\ufffd\ufffdb"
    for value in (None, 0.5, float("nan"), True):
        with pytest.raises(TypeError):
            clean(value)


def test_published_rows_keep_their_families():
    families = {family.name: family for family in published_tables()}
    assert len(families) == 11
    project = families["TalkingPose project page"]
    assert project.rows[0] == ("TalkingPose", "2.10", "3.93", "21.92", "6.18")
    assert "overflows" in families["B. TikTok, DisCo protocol"].faults
    assert len(families["B. TikTok, DisCo protocol"].rows) == 14


def test_thirty_models_are_told_apart_and_fit(tmp_path: Path):
    for number in range(30):
        look = (18 + number / 10, 0.6 + number / 100, 1.5 + number / 30, 0.5, -0.01)
        write_run(tmp_path / f"runs/{number}", make_run(f"model {number}", look=look, n_cases=4))
    report = build_trusted([tmp_path / "runs"], tmp_path / "site", "t")
    assert report.page_bytes < 500_000
    page = (report.site / "index.html").read_text("utf-8")
    keys = re.findall(r'<li data-mark="m\d+"><svg class="key (c\d)"[^>]*><use href="#(mk\d)"', page)
    assert len(keys) == 30 and len(set(keys)) == 30


def test_the_same_contestant_looks_the_same_on_all_boards():
    runs = [
        make_run("talkingpose"),
        make_run("open-loop"),
        make_run("talkingpose", limit=1, comparable=False),
    ]
    groups = group_runs([checked(run) for run in runs])
    assert groups[0].models[1].series == groups[1].models[0].series == 1


def test_horizons_stand_beside_the_slopes(tmp_path: Path):
    def horizon(median: float | None, crossed: int) -> Horizon:
        return Horizon(
            threshold=10,
            lasting_s=3,
            n_clips=6,
            n_crossed=crossed,
            median_s=median,
            time_s=[4.0],
            survival=[0.5],
            median_ci95=(3.0, None) if median else None,
        )

    found = {"colour.mean": horizon(4.0, 5), "ssim": horizon(None, 1)}
    long_form = LongForm(control="reencode", revision="1", drift={}, horizons=found)
    curve = {"psnr": make_run().drift["psnr"]}
    write_run(tmp_path / "runs/a", make_run("talkingpose", drift=curve, long_form=long_form), cases=False)
    write_run(tmp_path / "runs/b", make_run("frozen", drift=curve), cases=False)
    page = (build_trusted([tmp_path / "runs"], tmp_path / "site", "t").site / "index.html").read_text("utf-8")
    assert "<td>4.00 s [3.00, end] (5 of 6)</td>" in page and "<td>\u2013 (1 of 6)</td>" in page
    assert page.count("Usable horizon") == 1
    assert Outline(page).faults == []


def test_backbones_and_frames_seen_stand_beside_the_names(tmp_path: Path):
    kinds = {"talkingpose": ("sd-1.5 & <b>", "none"), "open-loop": (None, "face")}
    for name, (backbone, seen) in kinds.items():
        run = make_run(name)
        who = run.contestant.model_copy(
            update={"backbone": backbone, "driving_frames": seen, "saw_driving_frames": seen != "none"}
        )
        write_run(tmp_path / name, run.model_copy(update={"contestant": who}), cases=False)
    page = (build_trusted([tmp_path], tmp_path / "site").site / "index.html").read_text(encoding="utf-8")
    assert page.count('data-backbone="sd-1.5 &amp; &lt;b&gt;"') == 1 and page.count("data-backbone=") == 1
    assert "backbone sd-1.5 &amp; &lt;b&gt;" in page and "saw the driving face" in page
    assert "saw the driving frames" not in page
