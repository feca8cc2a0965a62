"""Time steps of a contestant, checked and copied: the only form in which its output is used."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import overload

import numpy as np
import numpy.typing as npt

from talkingpose.data.contestant import Case, Contestant, Keypoints
from talkingpose.data.contestant_loading import describe, one_line
from talkingpose.io.errors import UserError
from talkingpose.io.image import Image


class StepError(Exception):
    """Failure of a whole batch: one line that says what the contestant did."""


@dataclass(frozen=True)
class FrameFault:
    """Invalid frame of one case; the other cases of the batch are not affected."""

    text: str


Step = list[Image | FrameFault]


class PoseReader(Sequence[Keypoints]):
    """Keypoints of a case, a private copy that records how many poses were read.

    Args:
        keypoints: float32 (num_frames, 133, 3).
    """

    def __init__(self, keypoints: npt.NDArray[np.float32]) -> None:
        self._keypoints = keypoints.copy()
        self.num_read = 0

    def __len__(self) -> int:
        return len(self._keypoints)

    @overload
    def __getitem__(self, index: int) -> Keypoints: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Keypoints]: ...
    def __getitem__(self, index: int | slice) -> Keypoints | Sequence[Keypoints]:
        found = self._keypoints[index]
        last = range(len(self))[index]
        self.num_read = max(self.num_read, last + 1 if isinstance(last, int) else max(last, default=-1) + 1)
        return found


def checked_steps(contestant: Contestant, cases: Sequence[Case], seed: int) -> Generator[Step, None, None]:
    """Run a contestant and yield plain frames.

    Each frame is a new C-contiguous uint8 array (height, width, 3): the contestant may reuse its own. Sizes
    and lengths are read before the contestant sees the cases.

    Args:
        contestant: the contestant.
        cases: cases of the batch; they are given to the contestant as copies.
        seed: seed of the run.

    Yields:
        For time step t, one frame or fault per case with `num_frames > t`, in the order of `cases`.

    Raises:
        StepError: the contestant raised, exited, stopped early, did not stop, or yielded no list of one frame
            per case.
    """
    sizes = [(case.num_frames, case.height, case.width) for case in cases]
    given = [replace(case) for case in cases]
    with contextlib.ExitStack() as stack:
        frames = _started(contestant, given, seed)
        stack.callback(_close, frames)
        for step in range(max(length for length, _, _ in sizes)):
            shapes = [(height, width, 3) for length, height, width in sizes if length > step]
            images = _next(frames, step)
            if images is None:
                raise StepError(f"the contestant stopped after {step} frames")
            yield _checked(images, shapes, step)
        longest = max(length for length, _, _ in sizes)
        if _next(frames, longest) is not None:
            raise StepError(f"the contestant yields more than {longest} frames")


def _started(contestant: Contestant, cases: Sequence[Case], seed: int) -> Iterator[object]:
    try:
        return iter(contestant.animate(cases, seed=seed))
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise _failure(error, 0) from error


def _next(frames: Iterator[object], step: int) -> tuple[object, ...] | None:
    """Return the items of the next time step, None after the last one."""
    try:
        images = next(frames)
    except StopIteration:
        return None
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # includes SystemExit
        raise _failure(error, step) from error
    if type(images) is not list and type(images) is not tuple:
        raise StepError(
            f"frame {step}: the contestant yields {one_line(type(images).__name__)}, not a list of one frame "
            "per clip"
        )
    return tuple(images)


def _failure(error: BaseException, step: int) -> StepError:
    if isinstance(error, UserError):
        return StepError(one_line(str(error)))
    return StepError(f"the contestant failed at frame {step}: {describe(error)}")


def _checked(images: tuple[object, ...], shapes: Sequence[tuple[int, int, int]], step: int) -> Step:
    if len(images) != len(shapes):
        raise StepError(f"frame {step}: the contestant yields {len(images)} frames for {len(shapes)} clips")
    return [_plain(image, shape, step) for image, shape in zip(images, shapes, strict=True)]


def _plain(image: object, shape: tuple[int, int, int], step: int) -> Image | FrameFault:
    # Only the exact type: a subclass decides itself what its shape, its type and its copy are.
    if type(image) is np.ndarray:
        if image.dtype == np.uint8 and image.shape == shape:
            return np.array(image, dtype=np.uint8, order="C")
        given = f"{image.dtype} {image.shape}"
    else:
        given = type(image).__name__
    return FrameFault(f"frame {step}: the contestant yields {one_line(given)}, not uint8 {shape}")


def _close(frames: Iterator[object]) -> None:
    """Close a generator; its exceptions no longer matter."""
    with contextlib.suppress(Exception, SystemExit, GeneratorExit):
        close = getattr(frames, "close", None)
        if close is not None:
            close()
