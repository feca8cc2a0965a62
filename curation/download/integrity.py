"""Whether a fetched file is a whole video, told without decoding it."""

from __future__ import annotations

from pathlib import Path

from curation.download.failures import Cause, DownloadFailure


def flaw(path: Path) -> DownloadFailure | None:
    """What is wrong with a file; None where it is a video with all the frames its container claims."""
    import av
    from av.video.stream import VideoStream

    try:
        with av.open(str(path.absolute())) as container:
            stream = next((one for one in container.streams if isinstance(one, VideoStream)), None)
            if stream is None:
                return DownloadFailure(Cause.NO_VIDEO, "what came has no picture")
            claimed = stream.frames
            found = sum(packet.size > 0 for packet in container.demux(stream))
    except (av.FFmpegError, OSError) as error:
        head = path.read_bytes()[:512].lstrip().lower()
        if head.startswith((b"<!doctype", b"<html", b"<?xml")):
            return DownloadFailure(Cause.NO_VIDEO, "what came is a web page, perhaps one to log in")
        if b"ftyp" in head[:16] or head.startswith(b"\x1aE\xdf\xa3".lower()):
            return DownloadFailure(
                Cause.NETWORK, f"what came is a broken video ({error.strerror}): it was cut off"
            )
        return DownloadFailure(Cause.NO_VIDEO, f"what came is no video ({error.strerror})")
    if found == 0:
        return DownloadFailure(Cause.NO_VIDEO, "what came has no frame")
    if claimed and found < claimed:
        return DownloadFailure(Cause.NETWORK, f"only {found} of {claimed} frames came: it was cut off")
    return None
