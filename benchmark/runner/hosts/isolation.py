"""Contestants in a process of their own, which holds neither the dataset nor the evaluator."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from benchmark.runner.hosts.memory import ProcessClock, peak_rss_mb
from benchmark.runner.run_settings import DEFAULT_TIMEOUT_S
from talkingpose.data.contestant import Case, ContestantError, ContestantInfo, FramesSeen
from talkingpose.data.contestant_loading import info_from, one_line
from talkingpose.data.contestant_process import MessageError, receive, send
from talkingpose.data.contestant_steps import FrameFault, Step, StepError
from talkingpose.io.errors import UserError
from talkingpose.io.image import Image

_POLL_S = 0.5
_MAX_DEATHS = 3
_MAX_READERS = 64


class _EndedError(Exception):
    """The process ended or was ended; one line that says how."""


class IsolatedHost:
    """A contestant in a process of its own.

    The process gets portraits and keypoints over a socket, and driving frames one by one if its info asks for
    them. It imports `talkingpose.data` and what the contestant imports, nothing of `benchmark`. Its standard
    output goes to standard error. A process that ends or hangs fails the batch; the next batch starts a new
    one, until three in a row ended so.

    Args:
        name: as in `make_contestant`.
        checkpoint, device, args: as in `make_contestant`.
        timeout_s: longest wait for the construction and for each time step, in seconds.

    Raises:
        ContestantError: the contestant cannot be created.
    """

    isolated = True

    def __init__(
        self,
        name: str,
        *,
        checkpoint: str | None,
        device: str,
        args: Mapping[str, str],
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> None:
        self._name, self._timeout_s = name, timeout_s
        self._settings = {
            "kind": "make",
            "name": name,
            "checkpoint": checkpoint,
            "device": device,
            "args": dict(args),
            "paths": [path for path in sys.path if path],
        }
        self._process: _Process | None = None
        self._batch = self._deaths = 0
        self._poses: list[int] = []
        self._hidden_s = self._peak_rss_mb = 0.0
        self._peak_device_mb: float | None = None
        try:
            self.info = self._start()
        except _EndedError as error:
            raise ContestantError(f"--model {name}: construction failed: {error}") from error

    def steps(self, cases: Sequence[Case], seed: int) -> Generator[Step, None, None]:
        """Run a batch.

        Raises:
            StepError: as `checked_steps`, or the process ended, hung or sent something else than frames.
        """
        if self._deaths >= _MAX_DEATHS:
            raise StepError(f"not tried: the contestant's process failed {_MAX_DEATHS} times in a row")
        try:
            if self._process is None:
                self._start()
            yield from self._steps(cases, seed)
            self._deaths = 0
        except (_EndedError, ContestantError) as error:
            self._deaths += 1
            self.close()
            raise StepError(one_line(str(error))) from error

    def poses_read(self) -> list[int]:
        """Number of keypoint arrays that were read of each case."""
        return self._poses

    def take_hidden_s(self) -> float:
        """CPU seconds that the process and its children used between the steps."""
        hidden, self._hidden_s = self._hidden_s, 0.0
        return hidden

    def peak_rss_mb(self) -> float:
        """Peak of the resident memory of the contestant's processes, in MiB."""
        if self._process is not None:
            self._peak_rss_mb = max(self._peak_rss_mb, peak_rss_mb(self._process.pid))
        return self._peak_rss_mb

    def peak_device_mb(self, device: str) -> float | None:
        """Peak of the device memory as the process reports it, in MiB."""
        return None if device == "cpu" else self._peak_device_mb

    def info_now(self) -> ContestantInfo | None:
        """Read the info again."""
        try:
            header, _ = self._running().ask({"kind": "info"}, self._timeout_s)
            return info_from(header["info"])
        except (_EndedError, UserError, KeyError, TypeError):
            return None

    def close(self) -> None:
        """End the process and its children."""
        if self._process is not None:
            self.peak_rss_mb()
            self._process.close()
            self._process = None

    def _running(self) -> _Process:
        assert self._process is not None
        return self._process

    def _start(self) -> ContestantInfo:
        self._process = _Process()
        try:
            header, _ = self._process.ask(self._settings, self._timeout_s)
            if header.get("kind") == "error":
                raise ContestantError(one_line(str(header.get("text"))))
            info = header.get("info")
            if header.get("kind") != "ready" or not isinstance(info, dict):
                raise _EndedError("the contestant's process sent no info")
            return info_from(info)
        except BaseException:
            self.close()
            raise

    def _steps(self, cases: Sequence[Case], seed: int) -> Iterator[Step]:
        process = self._running()
        self._batch += 1
        inputs = _BatchInputs(self._batch, cases, self.info.driving_frames)
        process.send(*inputs.request(seed), self._timeout_s)
        clock = ProcessClock(process.pid)
        longest = max(case.num_frames for case in cases)
        try:
            for step in range(longest + 1):
                shapes = [(c.height, c.width, 3) for c in cases if c.num_frames > step]
                self._hidden_s += clock.since_last()
                process.send({"kind": "next"}, (), self._timeout_s)
                header, payload = process.reply(
                    inputs, step, sum(h * w * d for h, w, d in shapes), self._timeout_s
                )
                clock.since_last()
                if header.get("kind") == "failed":
                    raise StepError(one_line(str(header.get("text"))))
                if header.get("kind") == "end" and not shapes:
                    return
                self._record(header)
                yield _frames(header, payload, shapes, step)
        except GeneratorExit:
            with contextlib.suppress(_EndedError):
                process.send({"kind": "stop"}, (), self._timeout_s)
            raise

    def _record(self, header: Mapping[str, Any]) -> None:
        poses, device_mb = header.get("poses"), header.get("device_mb")
        if isinstance(poses, list) and all(type(count) is int for count in poses):
            self._poses = poses
        if isinstance(device_mb, float) and 0 <= device_mb < 1e9:
            self._peak_device_mb = max(self._peak_device_mb or 0.0, device_mb)


class _BatchInputs:
    """Requests that a process may make while it generates a batch."""

    def __init__(self, batch: int, cases: Sequence[Case], driving: FramesSeen) -> None:
        self._batch, self._cases, self._driving = batch, cases, driving
        self._readers: dict[tuple[int, int], Iterator[Image]] = {}

    def request(self, seed: int) -> tuple[dict[str, Any], list[Any]]:
        """Message that starts the batch."""
        headers: list[dict[str, Any]] = []
        payload: list[Any] = []
        for case in self._cases:
            headers.append(
                {
                    "clip_id": case.clip_id,
                    "fps": str(case.fps),
                    "width": case.width,
                    "height": case.height,
                    "num_frames": case.num_frames,
                    "driving": "none" if case.driving_frames is None else self._driving,
                }
            )
            poses = np.ascontiguousarray(list(case.keypoints), np.float32)
            payload += [np.ascontiguousarray(case.reference), poses]
        return {"kind": "animate", "batch": self._batch, "seed": seed, "cases": headers}, payload

    def driving_frame(self, header: Mapping[str, Any]) -> tuple[dict[str, Any], list[Any]]:
        """Answer to a request for a driving frame."""
        if header.get("batch") != self._batch:
            return {"kind": "image", "error": "the batch has ended"}, []
        index, number = header.get("case"), header.get("reader")
        if type(index) is not int or type(number) is not int or not 0 <= index < len(self._cases):
            raise _EndedError("the contestant's process sent a malformed message")
        frames = self._cases[index].driving_frames
        reader = self._readers.get((index, number))
        if reader is None:
            if frames is None or len(self._readers) >= _MAX_READERS:
                return {"kind": "image", "error": "no driving frames, or too many readers of them"}, []
            reader = self._readers[index, number] = iter(frames)
        try:
            return {"kind": "image"}, [np.ascontiguousarray(next(reader))]
        except StopIteration:
            return {"kind": "image", "error": "no more driving frames"}, []
        except UserError as error:
            return {"kind": "image", "error": str(error)}, []


class _Process:
    """A running contestant process and the connection to it."""

    def __init__(self) -> None:
        self._stream, other = socket.socketpair()
        # A session of its own: Ctrl-C reaches the evaluator alone, and children are ended with the process.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "talkingpose.data.contestant_process"],
            stdin=other.fileno(),
            stdout=2,
            env={"OMP_WAIT_POLICY": "PASSIVE", **os.environ},
            start_new_session=True,
        )
        other.close()
        self.pid = self._process.pid

    def ask(self, header: Mapping[str, Any], timeout_s: float) -> tuple[dict[str, Any], bytearray]:
        """Send a message without payload and wait for the reply."""
        self.send(header, (), timeout_s)
        return self._receive(0, "in its construction", time.monotonic() + timeout_s, timeout_s)

    def send(self, header: Mapping[str, Any], payload: Sequence[Any], timeout_s: float) -> None:
        """Send a message.

        Raises:
            _EndedError: the process does not read.
        """
        self._stream.settimeout(timeout_s)
        try:
            send(self._stream, header, payload)
        except TimeoutError as error:
            raise _EndedError(
                f"the contestant's process hangs: it reads nothing for {timeout_s:g} s"
            ) from error
        except OSError as error:
            raise _EndedError(self._end("before the next frame")) from error

    def reply(
        self, inputs: _BatchInputs, step: int, max_payload: int, timeout_s: float
    ) -> tuple[dict[str, Any], bytearray]:
        """Wait for the reply to `next`, and serve driving frames meanwhile.

        Raises:
            _EndedError: the process ended, hangs or sends something malformed.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            header, payload = self._receive(max_payload, f"at frame {step}", deadline, timeout_s)
            if header.get("kind") != "driving":
                return header, payload
            self.send(*inputs.driving_frame(header), timeout_s)

    def close(self) -> None:
        """End the process and the processes of its session."""
        self._stream.close()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()

    def _receive(
        self, max_payload: int, where: str, deadline: float, timeout_s: float
    ) -> tuple[dict[str, Any], bytearray]:
        def read(count: int) -> bytearray:
            buffer = bytearray(count)
            view = memoryview(buffer)
            while view:
                # A child that outlives the process may keep the connection open: look after the process, too.
                self._stream.settimeout(max(0.001, min(_POLL_S, deadline - time.monotonic())))
                try:
                    received = self._stream.recv_into(view)
                except TimeoutError:
                    if self._process.poll() is not None:
                        raise EOFError from None
                    if time.monotonic() >= deadline:
                        raise
                    continue
                if not received:
                    raise EOFError
                view = view[received:]
            return buffer

        try:
            return receive(read, max_payload)
        except TimeoutError as error:
            raise _EndedError(f"the contestant hangs {where}: nothing for {timeout_s:g} s") from error
        except MessageError as error:
            raise _EndedError(f"the contestant's process sent a {error}") from error
        except (EOFError, OSError) as error:
            raise _EndedError(self._end(where)) from error

    def _end(self, where: str) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5)
        code = self._process.returncode
        if code is None:
            return f"the contestant's process closed its connection {where}"
        if code < 0:
            with contextlib.suppress(ValueError):
                return f"the contestant's process died {where} ({signal.Signals(-code).name})"
        return f"the contestant's process ended {where} (exit code {code})"


def _frames(
    header: Mapping[str, Any], payload: bytearray, shapes: Sequence[tuple[int, int, int]], step: int
) -> Step:
    """Frames and faults of a reply; the shapes are those of the plan."""
    faults = header.get("faults")
    if header.get("kind") != "frames" or not isinstance(faults, list) or len(faults) != len(shapes):
        raise _EndedError(f"the contestant's process sent no frames for frame {step}")
    step_frames: Step = []
    offset = 0
    for fault, (height, width, depth) in zip(faults, shapes, strict=True):
        if fault is not None:
            step_frames.append(FrameFault(one_line(str(fault))))
            continue
        size = height * width * depth
        if offset + size > len(payload):
            raise _EndedError(f"the contestant's process sent too few bytes for frame {step}")
        image = np.frombuffer(payload, np.uint8, size, offset)
        step_frames.append(image.reshape(height, width, depth))
        offset += size
    return step_frames
