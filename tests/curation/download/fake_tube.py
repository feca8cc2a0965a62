"""A site for yt-dlp: descriptions and error messages as the tests want them."""

from __future__ import annotations

import os

from yt_dlp.extractor.common import InfoExtractor
from yt_dlp.utils import ExtractorError


class FakeTubeIE(InfoExtractor):  # type: ignore[misc]
    """Takes the addresses of YouTube and asks the server named by FAKE_TUBE instead."""

    _VALID_URL = r"https?://(?:www\.)?(?:youtube\.com|faketube\.test)/watch\?v=(?P<id>[A-Za-z0-9_-]{11})"
    IE_NAME = "faketube"

    def _real_extract(self, url):  # type: ignore[no-untyped-def]
        video = self._match_id(url)
        info = self._download_json(f"{os.environ['FAKE_TUBE']}watch?v={video}", video)
        if "geo" in info:
            self.raise_geo_restricted(info["geo"], countries=["AQ"])
        if "error" in info:
            raise ExtractorError(info["error"], expected=True)
        if "no_formats" in info:
            self.raise_no_formats(info["no_formats"], expected=True)
        return {"id": video, "title": f"video {video}", **info}
