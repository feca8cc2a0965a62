"""The report: self-contained, complete, safe against file names."""

from __future__ import annotations

import base64
import io
import json
import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from made_records import source, span
from PIL import Image

from curation.report.contact_sheet import pick
from curation.report.explain import ExplainError
from curation.report.figures import histogram_figure
from curation.report.funnel import by_filter
from curation.report.pages import write_report
from curation.store import Store
from talkingpose.media import VideoWriter

EVIL = "<script>alert(1)</script>\n\u202eevil"


def write_video(path: Path, colours: list[tuple[int, int, int]], frames: int = 25) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(path, fps=Fraction(25)) as writer:
        for colour in colours:
            for _ in range(frames):
                writer.write(np.full((48, 64, 3), colour, np.uint8))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A run whose kept clip is blue and whose only source file that is left is red, then green."""
    tmp_path = tmp_path_factory.mktemp("report")
    store = Store(tmp_path / "data")
    with store.locked():
        pass
    kept = source("talk.mp4", span(0, clip_id="abc123"), span(1, sharp=0.1))
    gone = source(EVIL, span(0, text=0.4))
    video = store.clip_folder(kept.source_id, kept.recipe) / "abc123.mp4"
    write_video(video, [(20, 20, 220)] * 4)
    np.savez(video.with_suffix(".npz"), keypoints=np.zeros((100, 133, 3)))
    clips = tuple(clip.model_copy(update={"num_bytes": video.stat().st_size}) for clip in kept.clips)
    file = tmp_path / "in" / "talk.mp4"
    write_video(file, [(220, 20, 20)] * 4 + [(20, 220, 20)] * 4)
    from curation.sources import LocalSource

    (known,) = store.identify([LocalSource(file, "talk.mp4")])
    store.write(kept.model_copy(update={"clips": clips, "source_sha256": known.sha256}))
    store.write(gone.model_copy(update={"source_id": "gone", "license": "CC-BY-4.0", "uploader_id": "Ada"}))
    store.write(source("broken.mp4", error="broken.mp4: no video: give another"))
    return tmp_path / "data"


@pytest.fixture(scope="module")
def page(folder) -> str:
    return write_report(folder).read_text(encoding="utf-8")


def test_the_page_reaches_nothing_outside_and_escapes_names(folder, page):
    assert re.findall(r'(?:src|href)="(?!data:image/jpeg;base64,|#)([^"]*)"', page) == []
    assert "http:" not in re.sub(r'http://www\.w3\.org/[^"]*', "", page)
    assert "alert(1)" in page and "<script>alert" not in page and "\u202e" not in page
    files = sorted((folder / "report_files").iterdir())
    for script in (one for one in files if one.suffix == ".js"):
        assert not set("<>&\n") & set(script.read_text(encoding="ascii").rstrip("\n"))
    data = json.loads(re.search(r'id="data">(.*?)</script>', page)[1])
    named = {
        name for one in data["spans"] if (own := one["preview"]) for name in (own["video"], own["portrait"])
    }
    named |= {f"{name}.js" for one in data["spans"] if (name := one["keypoints"])}
    named |= {f"{one['data']}.js" for one in data["sources"]}
    assert named == {one.name for one in files} and len(named) == 7
    made = (folder / "report_files" / data["spans"][1]["preview"]["video"]).stat().st_mtime_ns
    stale = folder / "report_files" / "v-0123456789abcdef.mp4"
    stale.write_bytes(b"")
    (folder / "report_files" / "mine.txt").write_text("not ours")
    assert write_report(folder).read_text(encoding="utf-8") == page and not stale.exists()
    assert (folder / "report_files" / data["spans"][1]["preview"]["video"]).stat().st_mtime_ns == made
    (folder / "report_files" / "mine.txt").unlink()


def test_the_page_tells_every_verdict(page):
    for text in ("bad sharp", "bad text", "no video: give another", "tool 1.2", "CC-BY-4.0, by Ada"):
        assert text in page, text
    assert page.count("<svg") == 4  # the funnel and three filters


def test_few_videos_and_no_folder(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("curation.report.pages.histogram_figure", lambda one: None)
    page = write_report(folder, tmp_path / "a #1.html", pictures=0, videos=1).read_text(encoding="utf-8")
    data = json.loads(re.search(r'id="data">(.*?)</script>', page)[1])
    assert data["files"] == "a%20%231_files" and len(list((tmp_path / "a #1_files").glob("*.mp4"))) == 1
    assert [one["no_preview"] != "" for one in data["spans"]].count(True) == 2
    with pytest.raises(ExplainError, match="give a file in an existing folder"):
        write_report(folder, tmp_path / "none" / "page.html")
    with pytest.raises(ExplainError, match="not UTF-8"):
        write_report(folder, tmp_path / "\udcff.html")


def test_pictures_show_the_clip_the_span_or_nothing(folder, page, monkeypatch):
    monkeypatch.setattr("curation.report.pages.histogram_figure", lambda one: "<svg></svg>")
    strips = [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
        for data in re.findall(r"base64,([^\"]*)", page)
    ]
    assert len(strips) == 2 and page.count("the source is no longer available") == 1
    blue, green = (strip.reshape(-1, 3).mean(axis=0) for strip in strips)
    assert blue.argmax() == 2  # kept: from the clip
    assert green.argmax() == 1  # rejected: seconds 4 to 8 of the source
    assert strips[0].shape == (96, 3 * 128, 3)
    without = write_report(folder, pictures=0).read_text(encoding="utf-8")
    assert "base64" not in without and "bad sharp" in without


def test_a_changed_source_is_not_shown(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("curation.report.pages.histogram_figure", lambda one: "<svg></svg>")
    write_video(folder.parent / "in" / "talk.mp4", [(1, 2, 3)])
    page = write_report(folder, tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count("the source is no longer available") == 2


def test_a_choice_of_pictures_is_by_hash_and_keeps_to_its_number():
    spans = [(source(f"s{i}"), span(0)) for i in range(50)]
    chosen = pick(spans, 5)
    assert len(chosen) == 5 and pick(list(reversed(spans)), 5) == chosen
    assert [one.name for one, _ in chosen] != [f"s{i}" for i in range(5)]


def test_histograms_take_any_values():
    (one, *_) = by_filter([source("a", span(0))])
    assert "<svg" in histogram_figure(one)  # one value
    same = replace(one, values=((3.0, 4.0, True),) * 9, threshold=3.0)
    assert "<svg" in histogram_figure(same)
    far = replace(one, values=(*same.values, (1e9, 1.0, False)))
    assert "<svg" in histogram_figure(far)


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(ExplainError, match="not a folder of tp-curate"):
        write_report(tmp_path)


def test_a_run_without_any_source_left(tmp_path):
    store = Store(tmp_path / "data")
    with store.locked():
        pass
    assert "0 sources, 0 spans" in write_report(tmp_path / "data").read_text(encoding="utf-8")
