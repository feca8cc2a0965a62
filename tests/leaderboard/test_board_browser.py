"""The board in a browser, from files: table, clip page, keys, links to a moment."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser import CHROMIUM, Browser

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")
TIMES = "[...document.querySelectorAll('video')].map((video) => Math.round(video.currentTime * 1000))"
PICTURE = "document.querySelector('video').readyState >= 2 && !document.querySelector('video').seeking"


def test_a_reader_filters_the_table_and_steps_through_a_clip(small_site: Path, tmp_path: Path):
    with Browser(tmp_path) as browser:
        browser.open((small_site / "index.html").as_uri())
        hidden = "document.querySelector('table.board tbody tr').hidden"
        for text, expected in (("no such model", True), ("TALKING", False)):
            browser.run(
                f"(() => {{ const search = document.querySelector('.tools input[type=search]');"
                f"search.value = {text!r}; search.dispatchEvent(new Event('input')); }})()"
            )
            assert browser.run(hidden) is expected
        # Fact columns other than the first two wait behind the choice of columns.
        last = "[...document.querySelector('table.board').tHead.rows[0].cells].at(-1).hidden"
        assert browser.run(last) is True
        browser.run("[...document.querySelectorAll('.columns button')][0].click()")
        assert browser.run(last) is False

        clip = sorted((small_site / "pages").glob("b1-clip-*.html"))[0]
        browser.open(f"{clip.as_uri()}#t=0.060")
        browser.wait_for(PICTURE)
        assert browser.wait_for(TIMES, lambda times: times == [60]) == [60]
        browser.press("ArrowRight")
        browser.wait_for(TIMES, lambda times: times == [100])
        browser.press("ArrowLeft")
        browser.press("ArrowLeft")
        browser.wait_for(TIMES, lambda times: times == [20])
        assert "frame 0 of 300" in browser.run("document.querySelector('output').textContent")
        assert not [event for event in browser.events if event.get("method") == "Runtime.exceptionThrown"]
