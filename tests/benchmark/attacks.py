"""Hostile contestants, named as `attacks:Class`: they try to get better numbers or to break the evaluator."""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from talkingpose.data.contestant import Case, ContestantInfo, running


class Still:
    """The portrait at every step: the honest base of all attacks."""

    needs_driving_frames = False

    def __init__(self, *, checkpoint: str | None, device: str) -> None:
        self.info = ContestantInfo(
            name=type(self).__name__,
            revision="1",
            parameters=0,
            licence="MIT",
            needs_driving_frames=self.needs_driving_frames,
        )

    def animate(self, cases: Sequence[Case], *, seed: int) -> Iterator[list[Any]]:
        for step in range(max(case.num_frames for case in cases)):
            yield [self.frame(cases[index], step) for index in running(cases, step)]

    def frame(self, case: Case, step: int) -> Any:
        return case.reference.copy()


class PaintsInputs(Still):
    """Writes into portrait, keypoints and driving frames, and yields one array again and again."""

    needs_driving_frames = True

    def animate(self, cases: Sequence[Case], *, seed: int) -> Iterator[list[Any]]:
        image = cases[0].reference.copy()
        cases[0].reference[:] = 0
        for points in cases[0].keypoints:
            points[:] = 0.5
        for frame in cases[0].driving_frames or ():
            frame[:] = image
        buffer = np.zeros_like(image)
        for _ in range(cases[0].num_frames):
            buffer[:] = image
            yield [buffer]


class FewFrames(Still):
    """Claims that the clip has four frames."""

    def animate(self, cases: Sequence[Case], *, seed: int) -> Iterator[list[Any]]:
        for case in cases:
            object.__setattr__(case, "num_frames", 4)
        yield from super().animate(cases, seed=seed)


class Subclass(np.ndarray):
    """Array that is zero to anyone who computes with it."""

    def __array_ufunc__(self, *args: Any, **kwargs: Any) -> Any:
        return np.uint8(0)

    def copy(self, order: Any = "C") -> Any:
        return self


class SubclassFrames(Still):
    def frame(self, case: Case, step: int) -> Any:
        return case.reference.view(Subclass)


class MaskedFrames(Still):
    def frame(self, case: Case, step: int) -> Any:
        return np.ma.masked_array(case.reference, mask=True)


class ListSubclass(Still):
    """Steps that say they have one frame per clip, whatever is asked."""

    def animate(self, cases: Sequence[Case], *, seed: int) -> Iterator[list[Any]]:
        class Frames(list[Any]):
            def __len__(self) -> int:
                return 1

            def __iter__(self) -> Iterator[Any]:
                return iter([cases[0].reference])

        while True:
            yield Frames()


class Fickle(Still):
    """Names itself a control that needs driving frames, until they have been read."""

    def __init__(self, *, checkpoint: str | None, device: str) -> None:
        self.reads = 0

    @property
    def info(self) -> ContestantInfo:  # type: ignore[override]
        self.reads += 1
        return ContestantInfo(
            name="fickle",
            revision=f"{self.reads}",
            parameters=0,
            licence="MIT",
            needs_driving_frames=self.reads <= 1,
        )

    @info.setter
    def info(self, value: ContestantInfo) -> None:
        pass


class Prints(Still):
    """Prints through Python and below it."""

    def frame(self, case: Case, step: int) -> Any:
        print("noise on stdout")
        os.write(1, b"noise below stdout\n")
        return super().frame(case, step)


class SystemExits(Still):
    def frame(self, case: Case, step: int) -> Any:
        sys.exit(0)


class SystemExitsAtOnce(Still):
    def __init__(self, *, checkpoint: str | None, device: str) -> None:
        sys.exit(0)


class HardExits(Still):
    def frame(self, case: Case, step: int) -> Any:
        if case.clip_id.endswith("b") and step == 3:
            os._exit(0)
        return super().frame(case, step)


class Dies(Still):
    def frame(self, case: Case, step: int) -> Any:
        os.kill(os.getpid(), 11)
        return super().frame(case, step)


class Hangs(Still):
    def frame(self, case: Case, step: int) -> Any:
        time.sleep(3600)
        return super().frame(case, step)


class ForksAndDies(Still):
    """Leaves a child behind that holds every open file."""

    def frame(self, case: Case, step: int) -> Any:
        if os.fork() == 0:
            time.sleep(3600)
        os._exit(0)


class ChangesDirectory(Still):
    def frame(self, case: Case, step: int) -> Any:
        os.chdir("/")
        return super().frame(case, step)


class Threads(Still):
    """Computes in a thread while the evaluator scores."""

    def animate(self, cases: Sequence[Case], *, seed: int) -> Iterator[list[Any]]:
        done = threading.Event()

        def work() -> None:
            started = time.thread_time()
            while time.thread_time() - started < 1.0:
                pass
            done.set()

        for step in range(max(case.num_frames for case in cases)):
            if step == 1:
                threading.Thread(target=work, daemon=True).start()
            if step == 5:
                # The evaluator waits: the work that is hidden is done before.
                done.wait(0 if done.is_set() else 60)
            yield [self.frame(cases[index], step) for index in running(cases, step)]


class Patches(Still):
    """Replaces metrics and scores of every module that it can find."""

    def frame(self, case: Case, step: int) -> Any:
        for name, module in list(sys.modules.items()):
            if name.startswith("benchmark"):
                for key in vars(module):
                    if key in ("sum_of_squares", "psnr_of"):
                        setattr(module, key, lambda *_: 1e-3)
        return super().frame(case, step)


class Walks(Still):
    """Looks for the real frames in memory and yields them; the portrait if there are none."""

    def animate(self, cases: Sequence[Case], *, seed: int) -> Iterator[list[Any]]:
        videos = [thing for thing in gc.get_objects() if type(thing).__name__ == "ReferenceVideo"]
        arrays = [
            thing
            for thing in gc.get_objects()
            if isinstance(thing, bytes | bytearray) and b"ftyp" in bytes(thing[:64])
        ]
        frames = list(videos[0].decode()) if videos else []
        print(f"found {len(videos)} videos, {len(arrays)} files", file=sys.stderr)
        for step in range(cases[0].num_frames):
            yield [frames[step] if frames else cases[0].reference]


class Reveals(Still):
    """Fails with what its process holds of the evaluator."""

    def frame(self, case: Case, step: int) -> Any:
        modules = sorted(name for name in sys.modules if name.partition(".")[0] in ("benchmark", "curation"))
        frame, variables = sys._getframe(), ""
        while frame is not None:
            variables += repr(list(frame.f_locals))
            frame = frame.f_back  # type: ignore[assignment]
        raise RuntimeError(f"modules {modules} argv {sys.argv} ClipDataset {'ClipDataset' in variables}")
