"""Integrity check of a downloaded video, without decoding it."""

from __future__ import annotations

from pathlib import Path

from curation.download.failures import Cause, DownloadFailure


def find_flaw(path: Path) -> DownloadFailure | None:
    """Return the flaw of a file; None for a video with all the frames that its container claims."""
    import av
    from av.video.stream import VideoStream

    try:
        with av.open(str(path.absolute())) as container:
            stream = next((one for one in container.streams if isinstance(one, VideoStream)), None)
            if stream is None:
                return DownloadFailure(Cause.NO_VIDEO, "the file has no video stream")
            claimed = stream.frames
            found = sum(packet.size > 0 for packet in container.demux(stream))
    except (av.FFmpegError, OSError) as error:
        head = path.read_bytes()[:512].lstrip().lower()
        if head.startswith((b"<!doctype", b"<html", b"<?xml")):
            return DownloadFailure(Cause.NO_VIDEO, "the file is a web page, perhaps a login page")
        if b"ftyp" in head[:16] or head.startswith(b"\x1aE\xdf\xa3".lower()):
            return DownloadFailure(Cause.NETWORK, f"the file is a truncated video ({error.strerror})")
        return DownloadFailure(Cause.NO_VIDEO, f"the file is not a video ({error.strerror})")
    if found == 0:
        return DownloadFailure(Cause.NO_VIDEO, "the video has no frame")
    if claimed and found < claimed:
        return DownloadFailure(Cause.NETWORK, f"truncated: only {found} of {claimed} frames")
    return None
