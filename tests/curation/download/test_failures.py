"""Messages of yt-dlp and of the sites it passes on, word for word, and what they mean."""

from __future__ import annotations

import errno
import io
from email.utils import formatdate

import pytest
from yt_dlp.networking.common import Response
from yt_dlp.networking.exceptions import HTTPError, IncompleteRead, TransportError
from yt_dlp.utils import (
    ContentTooShortError,
    DownloadError,
    ExtractorError,
    GeoRestrictedError,
    UnsupportedError,
    UserNotLive,
)

from curation.download.failures import POLICIES, Cause, classify, one_line, retry_after_s

HINT = "Use --cookies-from-browser or --cookies for the authentication. See  https://github.com/yt-dlp/yt-dlp"
SPOKEN = [
    ("Private video. Sign in if you've been granted access to this video. " + HINT, Cause.PRIVATE),
    ("This video is private", Cause.PRIVATE),
    ("Video unavailable. This video is private", Cause.PRIVATE),
    ("Video unavailable. This video has been removed by the uploader", Cause.DELETED),
    ("Video unavailable", Cause.DELETED),
    ("This video is unavailable", Cause.DELETED),
    ("This video is not available", Cause.DELETED),
    ("Video unavailable. This video is no longer available because the YouTube account associated with "
     "this video has been terminated.", Cause.DELETED),
    ("Video unavailable. This video is no longer available due to a copyright claim by Somebody",
     Cause.DELETED),
    ("This video has been removed for violating YouTube's Terms of Service", Cause.DELETED),
    ("This video has been removed for violating YouTube's policy on hate speech.", Cause.DELETED),
    ("Video unavailable. This video is no longer available because the uploader has closed their YouTube "
     "account.", Cause.DELETED),
    ("Sign in to confirm your age. This video may be inappropriate for some users. " + HINT,
     Cause.AGE_RESTRICTED),
    ("This video is age-restricted and only available on YouTube", Cause.AGE_RESTRICTED),
    ("The uploader has not made this video available in your country\nYou might want to use a VPN or a "
     "proxy server (with --proxy) to workaround.", Cause.GEO_BLOCKED),
    ("This video is not available from your location due to geo restriction", Cause.GEO_BLOCKED),
    ("Video unavailable. This video contains content from Somebody, who has blocked it in your country on "
     "copyright grounds", Cause.GEO_BLOCKED),
    ("Join this channel to get access to members-only content like this video, and other exclusive perks.",
     Cause.MEMBERS_ONLY),
    ("This video is available to this channel's members on level: Friends (or any higher level). Join this "
     "channel to get access to members-only content and other exclusive perks.", Cause.MEMBERS_ONLY),
    ("This video requires payment to watch", Cause.MEMBERS_ONLY),
    ("Sign in to confirm you\N{RIGHT SINGLE QUOTATION MARK}re not a bot. " + HINT, Cause.BOT_CHECK),
    ("Sign in to confirm you're not a bot. This helps protect our community. Learn more", Cause.BOT_CHECK),
    ("Please sign in. YouTube is requiring a captcha challenge before playback", Cause.BOT_CHECK),
    ("Got HTTP Error 403 caused by Cloudflare anti-bot challenge; try again with  --extractor-args "
     '"generic:impersonate"', Cause.BOT_CHECK),
    ("Video unavailable. This content isn't available, try again later. The current session has been "
     "rate-limited by YouTube for up to an hour. It is recommended to use `-t sleep` to add a delay between "
     "video requests to avoid exceeding the rate limit.", Cause.RATE_LIMIT),
    ("Requested format is not available. Use --list-formats for a list of available formats",
     Cause.NO_FORMAT),
    ("No video formats found!; please report this issue on  https://github.com/yt-dlp/yt-dlp/issues?q= , "
     "filling out the appropriate issue template.", Cause.NO_FORMAT),
    ("This video is DRM protected", Cause.NO_FORMAT),
    ("This live event will begin in 3 hours.", Cause.LIVE),
    ("Premieres in 14 hours", Cause.LIVE),
    ("This live event is scheduled for 2026-12-01", Cause.LIVE),
    ("This video is only available for registered users. " + HINT, Cause.LOGIN),
    ("Postprocessing: ffprobe and ffmpeg not found. Please install or provide the path",
     Cause.POST_PROCESSING),
    ("unable to write data: [Errno 28] No space left on device", Cause.DISK),
    ("unable to download video data: <urlopen error timed out>", Cause.NETWORK),
    ("Unable to download webpage: HTTPSConnection(host='x', port=443): Failed to resolve 'x' ([Errno -2] "
     "Name or service not known)", Cause.NETWORK),
    ("'x' is not a valid URL", Cause.NO_VIDEO),
    ("something nobody has seen", Cause.UNKNOWN),
]  # fmt: skip


@pytest.mark.parametrize(("message", "cause"), SPOKEN)
def test_words(message, cause):
    assert (
        classify(wrapped(ExtractorError(message, expected=True, video_id="x", ie="youtube"))).cause is cause
    )


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (401, Cause.LOGIN),
        (403, Cause.FORBIDDEN),
        (404, Cause.DELETED),
        (410, Cause.DELETED),
        (429, Cause.RATE_LIMIT),
        (451, Cause.GEO_BLOCKED),
        (500, Cause.SERVER),
        (503, Cause.SERVER),
        (302, Cause.NETWORK),
        (418, Cause.UNKNOWN),
    ],
)
def test_statuses(status, cause):
    error = http_error(status)
    inside = ExtractorError(f"Unable to download webpage: {error}", cause=error, expected=True)
    assert classify(wrapped(inside)).cause is cause
    assert classify(wrapped(error)).cause is cause


def test_kinds_of_exceptions():
    assert classify(wrapped(GeoRestrictedError("Nicht hier", countries=["DE"]))).cause is Cause.GEO_BLOCKED
    assert classify(wrapped(UserNotLive())).cause is Cause.LIVE
    assert (
        classify(wrapped(UnsupportedError("http://127.0.0.1/login?private=captcha"))).cause is Cause.NO_VIDEO
    )
    assert classify(wrapped(IncompleteRead(10, 20))).cause is Cause.NETWORK
    assert classify(wrapped(TransportError("anything at all"))).cause is Cause.NETWORK
    assert classify(wrapped(ContentTooShortError(10, 20))).cause is Cause.NETWORK
    assert classify(wrapped(OSError(errno.ENOSPC, "voll"))).cause is Cause.DISK
    assert classify(wrapped(OSError(errno.EDQUOT, "voll"))).cause is Cause.DISK


def test_unreachable_is_told_from_broken():
    assert classify(TransportError("[Errno 111] Connection refused")).unreachable
    assert classify(TransportError("[Errno -3] Temporary failure in name resolution")).unreachable
    assert not classify(TransportError("Connection reset by peer")).unreachable
    assert not classify(wrapped(http_error(404))).unreachable


def test_retry_after():
    assert classify(wrapped(http_error(429, {"Retry-After": "120"}))).retry_after_s == 120
    now = 1_800_000_000.0
    assert retry_after_s(formatdate(now + 60, usegmt=True), now) == 60
    assert retry_after_s("soon", now) is None and retry_after_s(None, now) is None
    assert retry_after_s("-5", now) == 0 and retry_after_s("nan", now) is None
    assert retry_after_s("1e12", now) == 7 * 86400


def test_messages_are_one_printable_line():
    text = one_line("\x1b[0;31mERROR:\x1b[0m [x] a\nb; please report this issue on  https://x , filling out")
    assert text == "[x] a b"


def test_every_cause_has_a_policy_and_waits_grow_up_to_a_limit():
    assert set(POLICIES) == set(Cause)
    for policy in POLICIES.values():
        waits = [policy.wait(attempt) for attempt in range(1, 20)]
        assert waits == sorted(waits) and waits[-1] <= policy.longest_s and policy.advice
    assert POLICIES[Cause.NETWORK].wait(2) == 4 * POLICIES[Cause.NETWORK].wait(1)


def wrapped(error: Exception) -> DownloadError:
    """As YoutubeDL raises it."""
    return DownloadError(f"ERROR: {error}", (type(error), error, None))


def http_error(status: int, headers: dict[str, str] | None = None) -> HTTPError:
    return HTTPError(Response(io.BytesIO(), "http://127.0.0.1/x", headers or {}, status=status))
