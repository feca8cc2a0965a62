"""The report in a browser: table, player in step with the keypoints, review, labels for `calibrate`."""

from __future__ import annotations

import base64
import io
import json
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from made_records import source, span
from PIL import Image

from curation.records import Curve, Evidence
from curation.report.calibrate import calibrate
from curation.report.labels import read_labels
from curation.report.pages import write_report
from curation.sources import LocalSource
from curation.store import Store
from talkingpose.media import VideoWriter
from tests.browser import CHROMIUM, Browser

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")

HOSTILE = '</script><img src=x onerror="document.title=1">\u202e\'"&.mp4'
FRAMES, STEP = 100, 2


def bar_video(path: Path) -> np.ndarray:
    """Write a video in which a bar moves by half of its width each frame; returns keypoints on the bar."""
    path.parent.mkdir(parents=True, exist_ok=True)
    keypoints = np.zeros((FRAMES, 133, 3), np.float32)
    with VideoWriter(path, fps=Fraction(25)) as writer:
        for i in range(FRAMES):
            image = np.zeros((160, 240, 3), np.uint8)
            x = 10 + STEP * i
            image[:, x - 2 : x + 2] = 255
            keypoints[i, [5, 11]] = [(x / 240, 0.2, 1), (x / 240, 0.8, 1)]
            writer.write(image)
    return keypoints


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    tmp_path = tmp_path_factory.mktemp("review")
    store = Store(tmp_path / "data")
    with store.locked():
        pass
    curves = {"sharp": Curve.of(np.linspace(0, 1, 20))}
    times = tuple(float(t) for t in np.arange(20) / 5)
    seen = Evidence(time_s=5.0, what="face", box=(0.1, 0.1, 0.3, 0.5))
    poor = span(1, sharp=0.1)
    failed = tuple(
        one.model_copy(update={"evidence": (seen,)} if one.passed is False else {}) for one in poor.findings
    )
    talk = source(
        "talk.mp4",
        span(0, clip_id="abc123").model_copy(update={"curve_times": times, "curves": curves}),
        poor.model_copy(update={"findings": failed}),
    )
    video = store.clip_folder(talk.source_id, talk.recipe) / "abc123.mp4"
    keypoints = bar_video(video)
    np.savez(video.with_suffix(".npz"), keypoints=keypoints, boxes=np.zeros((FRAMES, 4), np.float32))
    clips = tuple(clip.model_copy(update={"num_bytes": video.stat().st_size}) for clip in talk.clips)
    file = tmp_path / "in" / "talk.mp4"
    file.parent.mkdir()
    with VideoWriter(file, fps=Fraction(25)) as writer:
        for i in range(200):
            writer.write(np.full((48, 64, 3), i, np.uint8))
    (known,) = store.identify([LocalSource(file, "talk.mp4")])
    store.write(talk.model_copy(update={"clips": clips, "source_sha256": known.sha256}))
    store.write(source(HOSTILE, span(0, text=0.4, seconds=5.0)).model_copy(update={"source_id": "hostile"}))
    with pytest.MonkeyPatch.context() as patch:
        # Their figures have other tests.
        patch.setattr("curation.report.pages.histogram_figure", lambda one: None)
        patch.setattr("curation.report.pages.funnel_figure", lambda stages: "")
        write_report(store.out, pictures=0)
    return store.out


@pytest.fixture(scope="module")
def browser(folder, tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("profile")) as one:
        one.open((folder / "report.html").as_uri())
        yield one


def names(browser: Browser) -> list[str]:
    return browser.run("[...document.querySelectorAll('#rows .length')].map(x => x.textContent)")


def bar_and_line(browser: Browser) -> tuple[float, float]:
    """Columns of the bar in the video and of the skeleton over it, in CSS pixels."""
    browser.call("Page.bringToFront")
    area = browser.run(
        "(r => [r.left, r.top, r.width, r.height])(document.getElementById('stage').getBoundingClientRect())"
    )
    clip = {"x": area[0], "y": area[1], "width": area[2], "height": area[3] * 0.7, "scale": 1}
    data = base64.b64decode(browser.call("Page.captureScreenshot", format="png", clip=clip)["data"])
    image = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)
    top = image[: len(image) // 8].mean(axis=0)  # above the line
    white = np.flatnonzero(top.min(axis=1) > 128)
    middle = image[len(image) // 2]
    orange = np.flatnonzero((middle[:, 0] > 200) & (middle[:, 2] < 110))
    assert len(white) and len(orange)
    return float(white.mean()), float(orange.mean())


def test_sort_and_filter(browser):
    assert len(names(browser)) == 3
    browser.run("document.querySelector('th[data-sort=length] button').click()")
    assert names(browser) == ["4.00", "4.00", "5.00"]
    browser.run("document.querySelector('th[data-sort=length] button').click()")
    assert names(browser) == ["5.00", "4.00", "4.00"]
    assert browser.run("document.querySelector('th[data-sort=length]').ariaSort") == "descending"
    for field, value, left in (
        ("verdict", "reject", 2),
        ("reason", "bad text", 1),
        ("words", "onerror", 1),
        ("words", "none", 0),
    ):
        found = f"document.getElementById('{field}')"
        browser.run(f"(x => {{ x.value = {value!r}; x.dispatchEvent(new Event('input')) }})({found})")
        assert len(names(browser)) == left, field
    browser.run("for (const id of ['verdict', 'reason', 'words']) document.getElementById(id).value = ''")
    browser.run("document.querySelector('th[data-sort=source] button').click()")


def test_names_of_strangers_are_text(browser):
    assert "onerror" in browser.run("document.getElementById('rows').textContent")
    assert browser.run("document.title") == "Curation of data" and browser.run("document.images.length") == 1


def test_keypoints_stay_in_step_with_the_video(browser):
    browser.run("document.querySelector('#rows tr[data-verdict=keep] a').focus()")
    browser.press("Enter")
    browser.wait_for("document.getElementById('video').readyState", lambda state: state >= 2)
    assert browser.run("document.activeElement.id") == "title"
    width = browser.run("document.getElementById('stage').clientWidth") / 240
    for goal in (3, 57):
        browser.run(f"document.getElementById('video').currentTime = {(goal + 0.5) / 25}")
        browser.wait_for(
            "document.getElementById('overlay').dataset.frame", lambda frame, goal=goal: frame == str(goal)
        )
        bar, line = bar_and_line(browser)
        assert abs(bar / width - (10 + STEP * goal)) < 1 and abs(bar - line) < STEP * width / 2
    browser.press("ArrowRight")
    browser.wait_for("document.getElementById('overlay').dataset.frame", lambda frame: frame == "58")
    browser.press(" ")
    time.sleep(0.7)
    browser.press(" ")
    browser.wait_for("document.getElementById('video').paused && !document.getElementById('video').seeking")
    time.sleep(0.2)
    assert browser.run("document.getElementById('overlay').dataset.frame") != "58"
    bar, line = bar_and_line(browser)
    assert abs(bar - line) < STEP * width / 2
    assert browser.run("document.querySelectorAll('#curves .curve').length") == 1
    assert "sharpness" in browser.run("document.getElementById('filters-of').textContent")


def test_a_person_corrects_verdicts_and_calibrate_takes_the_labels(browser, folder):
    browser.press("n")
    browser.run("document.getElementById('video').currentTime = 1.5 / 25")
    browser.wait_for("document.getElementById('overlay').dataset.frame", lambda frame: frame == "1")
    browser.press("a")
    for goal, key in ((50, "["), (74, "]")):
        browser.run(f"document.getElementById('video').currentTime = {(goal + 0.5) / 25}")
        browser.wait_for(
            "document.getElementById('overlay').dataset.frame", lambda f, goal=goal: f == str(goal)
        )
        browser.press(key)
    browser.press("t")
    browser.call("Input.insertText", text='he said "hm", twice')
    browser.press("Escape")
    browser.press("j")
    browser.wait_for("document.querySelector('#title .mark').textContent", lambda word: word == "rejected")
    browser.press("y")
    browser.press("s")
    path = browser.downloads / "labels.csv"
    end = time.monotonic() + 20
    while not path.is_file() and time.monotonic() < end:
        time.sleep(0.05)
    text = path.read_text(encoding="utf-8")
    assert '"he said ""hm"", twice"' in text
    table = read_labels(path)
    assert [(one.start_s, one.end_s, one.wanted) for one in table.labels] == [
        (0.0, 2.0, False),
        (2.0, 3.0, True),
        (3.0, 4.0, False),
        (4.0, 8.0, True),
    ]
    found = calibrate(Store(folder).records(), table)
    assert (found.by_seconds.precision, found.by_seconds.recall) == (1 / 4, 1 / 5)
    browser.open((folder / "report.html").as_uri() + "?again")
    assert "2 of 3 spans reviewed, 2 corrected" in browser.run(
        "document.querySelector('.progress').textContent"
    )
    browser.run("localStorage.clear()")
    browser.open((folder / "report.html").as_uri())
    assert "0 of 3 spans reviewed" in browser.run("document.querySelector('.progress').textContent")
    browser.run(
        f"""(() => {{
            const own = new DataTransfer();
            own.items.add(new File([{json.dumps(text)}], 'labels.csv'));
            const field = document.getElementById('load');
            field.files = own.files;
            field.dispatchEvent(new Event('change'));
        }})()"""
    )
    browser.wait_for(
        "document.querySelector('.progress').textContent.includes('2 of 3 spans reviewed, 2 corrected')"
    )


def test_no_network_no_errors_and_a_narrow_screen(browser):
    browser.resize(390, 844)
    for address in ("#spans", "#span=hostile%3A0", "#span=id-talk.mp4%3A100", "#span=%E0%A4%A"):
        browser.run(f"location.hash = {address!r}")
        time.sleep(0.3)
        assert browser.run("document.documentElement.scrollWidth") == 390, address
    requests = [
        one["params"]["request"]["url"]
        for one in browser.events
        if one["method"] == "Network.requestWillBeSent"
    ]
    assert requests and {address.partition(":")[0] for address in requests} <= {
        "file",
        "data",
        "blob",
        "about",
    }
    problems = [
        one for one in browser.events if one["method"] in ("Runtime.exceptionThrown", "Log.entryAdded")
    ]
    assert problems == []
