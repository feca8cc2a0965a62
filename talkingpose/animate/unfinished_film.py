"""Folder of an unfinished film, from which the same command continues."""

from __future__ import annotations

import hashlib
import itertools
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, is_dataclass
from fractions import Fraction
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from talkingpose.animate.driving_poses import DrivingPoses
from talkingpose.io.atomic import atomic_write, write_text
from talkingpose.io.documents import DocumentError, read_arrays, read_json
from talkingpose.io.errors import UserError
from talkingpose.io.image import Image
from talkingpose.io.progress import SILENT, Progress

if TYPE_CHECKING:
    from talkingpose.media import VideoWriter
    from talkingpose.pipeline.stream_state import StreamState

# Seconds of work that a sudden end may cost.
SAVE_EVERY_S = 20.0
# Packages whose release affects frames or poses.
_PACKAGES = ("talkingpose", "torch", "diffusers", "mediapipe", "opencv-contrib-python", "numpy", "av")
_CHUNK = 1 << 20


class UnfinishedFilmError(UserError):
    """A film that another process is making, or a folder that cannot be written."""


class UnfinishedFilm:
    """Poses, frames and state of a film in the making, in a hidden folder next to it.

    Frames are stored losslessly in pieces; a piece counts once the state after its last frame is written.
    Files of other settings are deleted. Use it as a context manager: it locks the folder, and removes it if
    it holds nothing.

    Args:
        out: the film.
        poses: settings that determine the driving poses, as text by name.
        film: settings that determine the frames.
        fresh: delete what is stored.
        progress: receives a line if an earlier film is continued or discarded.

    Raises:
        UnfinishedFilmError: another process is making this film, or the folder cannot be created.
    """

    def __init__(
        self,
        out: Path,
        *,
        poses: Mapping[str, str],
        film: Mapping[str, str],
        fresh: bool = False,
        progress: Progress = SILENT,
    ) -> None:
        from filelock import FileLock

        self.folder = out.with_name(f".{out.name}.unfinished")
        self._out, self._fresh, self._progress = out, fresh, progress
        self._settings = {"poses": dict(poses), "film": dict(film)}
        self._lock = FileLock(self.folder / "lock")
        self._writer: VideoWriter | None = None
        self._first = self._next = 0
        self._state: StreamState | None = None
        self._saved_at = time.monotonic()

    def __enter__(self) -> Self:
        """Lock the folder and delete what does not belong to this film."""
        from filelock import Timeout

        try:
            self.folder.mkdir(exist_ok=True)
            self._lock.acquire(timeout=0)
            self._discard_others()
            write_text(self._place("settings.json"), json.dumps(self._settings, indent=1))
        except Timeout as error:
            raise UnfinishedFilmError(
                f"out {self._out}: another process is making this film: wait for it, or give another name"
            ) from error
        except OSError as error:
            self._lock.release()
            raise self._unwritable(error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the folder if nothing in it is worth keeping, and unlock it."""
        keep = self._place("poses.npz").exists() or self._place("state.pt").exists()
        if not keep:
            self._remove()
        self._lock.release()

    def finish(self, film: Path) -> None:
        """Give a finished film, written into the folder, its name, and remove the folder."""
        film.replace(self._out)
        self._abandon()
        self._remove()

    def film_path(self, name: str = "film.mp4") -> Path:
        """Return the path in this folder at which the film is written."""
        return self._place(name)

    def load_poses(self) -> DrivingPoses | None:
        """Return the stored driving poses, None without."""
        try:
            arrays = read_arrays(self._place("poses.npz"), "poses")
            rate = Fraction(*(int(part) for part in arrays["rate"]))
            size = int(arrays["width"]), int(arrays["height"])
            return DrivingPoses(arrays["keypoints"], rate, *size)
        except (UserError, KeyError, TypeError, ValueError):
            return None

    def save_poses(self, driving: DrivingPoses) -> None:
        """Store driving poses; UnfinishedFilmError if they cannot be written."""
        import numpy as np

        try:
            with atomic_write(self._place("poses.npz")) as temporary:
                np.savez(
                    temporary,
                    keypoints=driving.keypoints,
                    width=driving.width,
                    height=driving.height,
                    rate=[driving.fps.numerator, driving.fps.denominator],
                )
        except OSError as error:
            raise self._unwritable(error) from error

    def load_state(self) -> StreamState | None:
        """Return the state after the stored frames, None if there is nothing to continue."""
        from talkingpose.pipeline.inputs import PipelineError
        from talkingpose.pipeline.stream_state import StreamState

        if not self._place("state.pt").is_file():
            return None
        try:
            state = StreamState.load(self._place("state.pt"))
        except PipelineError:
            return None
        pieces = self._pieces(state.index)
        if pieces is None:
            return None
        self._first = self._next = state.index
        return state

    def frames(self, num_frames: int) -> Iterator[Image]:
        """Yield the first `num_frames` stored frames."""
        from talkingpose.media import VideoReader

        for piece, length in self._pieces(num_frames) or ():
            with VideoReader(piece) as reader:
                for frame in itertools.islice(reader, length):
                    yield frame.image

    def add(self, frame: Image, state: StreamState, fps: Fraction, *, savable: bool = True) -> None:
        """Store a new frame and the state after it; on disk every 20 seconds.

        Args:
            frame: uint8 (H, W, 3) RGB.
            state: of the stream after the frame.
            fps: of the film.
            savable: a film can be continued after this frame.
        """
        from talkingpose.media import VideoWriter

        if self._writer is None:
            self._writer = VideoWriter(
                self._place(f"frames-{self._first:08d}.mp4"), fps=fps, lossless=True, preset="ultrafast"
            )
            self._writer.__enter__()
        self._writer.write(frame)
        self._next += 1
        if savable:
            self._state = state
            if time.monotonic() - self._saved_at >= SAVE_EVERY_S:
                self.save()

    def save(self) -> None:
        """Write all frames up to the last one after which the film can be continued."""
        writer, state, self._writer = self._writer, self._state, None
        self._saved_at = time.monotonic()
        if writer is None or state is None or state.index <= self._first:
            self._writer = writer
            return
        writer.__exit__(None, None, None)
        # The piece may have frames beyond the state; they are not read, and made again.
        write_text(self._place(f"frames-{self._first:08d}.json"), json.dumps({"end": state.index}))
        state.save(self._place("state.pt"))
        self._first = state.index

    def stop(self) -> None:
        """Write what there is, as far as the disk allows."""
        try:
            self.save()
        except (UserError, OSError):
            pass  # the error that stopped the film is raised
        finally:
            self._abandon()

    def _abandon(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.__exit__(KeyboardInterrupt, None, None)

    def _pieces(self, end: int) -> list[tuple[Path, int]] | None:
        """Return the pieces that hold the frames [0, end), with their lengths; None if one is missing."""
        pieces: list[tuple[Path, int]] = []
        at = 0
        while at < end:
            piece = self._place(f"frames-{at:08d}.mp4")
            try:
                after = int(read_json(piece.with_suffix(".json"), "piece")["end"])
            except (DocumentError, KeyError, TypeError, ValueError):
                return None
            if not piece.is_file() or after <= at:
                return None
            pieces.append((piece, after - at))
            at = after
        return pieces if at == end else None

    def _discard_others(self) -> None:
        """Delete files of other settings, and those of a process that was killed."""
        stored: Any = {}
        if self._place("settings.json").is_file():
            try:
                stored = read_json(self._place("settings.json"), "unfinished film")
            except DocumentError:
                stored = None
        for name, pattern in (("poses", "poses.npz"), ("film", "frames-*"), ("film", "state.pt")):
            known = stored.get(name) if isinstance(stored, dict) else None
            if not self._fresh and known == self._settings[name]:
                continue
            found = list(self.folder.glob(pattern))
            if found and name == "film" and pattern == "state.pt" and not self._fresh:
                changed = [k for k, v in self._settings[name].items() if (known or {}).get(k) != v]
                self._progress.message(
                    f"an unfinished film with other settings ({', '.join(changed)}) is discarded"
                )
            for path in found:
                path.unlink()
        for path in (*self.folder.glob(".*"), *self.folder.glob("film*.mp4")):
            path.unlink()

    def _remove(self) -> None:
        if not self._lock.is_locked:
            return  # removed already; a folder of this name is another process's
        for path in self.folder.iterdir():
            if path.name != "lock":
                path.unlink()
        # Before the release: a process that waits for the lock sees that its file is gone. Windows deletes it
        # at the release. The folder is not empty if another process has just taken it over.
        with suppress(OSError):
            self._place("lock").unlink()
        self._lock.release()
        with suppress(OSError):
            self.folder.rmdir()

    def _unwritable(self, error: OSError) -> UnfinishedFilmError:
        return UnfinishedFilmError(f"out {self._out}: {error.strerror}: free space, or give another folder")

    def _place(self, name: str) -> Path:
        return self.folder / name


def fingerprint(path: Path) -> str:
    """Return a hash of a file, or of the names, sizes and times of the files in a folder."""
    digest = hashlib.sha256()
    if path.is_dir():
        for member in sorted(path.rglob("*")):
            if member.is_file():
                status = member.stat()
                digest.update(
                    f"{member.relative_to(path)} {status.st_size} {status.st_mtime_ns}\n".encode(
                        "utf-8", "surrogateescape"
                    )
                )
        return digest.hexdigest()[:16]
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()[:16]


def as_text(value: object) -> str:
    """Return a setting as text that is equal for equal settings."""
    if is_dataclass(value) and not isinstance(value, type):
        return f"{type(value).__qualname__} {asdict(value)}"
    return repr(value) if isinstance(value, str | int | float | bool | tuple | None) else str(value)


def releases() -> str:
    """Return the releases of the packages that affect poses and frames."""
    found = []
    for package in _PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)
