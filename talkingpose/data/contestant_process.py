"""Process of an isolated contestant, started by the evaluator.

The process holds the contestant and its inputs: portraits and keypoints, and driving frames one at a time if
the contestant needs them. It does not hold the dataset, the path of the dataset or of the run, the metrics or
any module of `benchmark`. Messages travel over the standard input, a socket; standard output is redirected to
standard error before the contestant is imported.

A message is a JSON header and a payload of raw bytes: frames uint8 (height, width, 3), keypoints float32
(num_frames, 133, 3). Nothing is unpickled on either side.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import queue
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from talkingpose.data.contestant import Case, Contestant, ContestantError
from talkingpose.data.contestant_loading import checked_info, info_document, make_contestant
from talkingpose.data.contestant_steps import FrameFault, PoseReader, StepError, checked_steps
from talkingpose.io.errors import UserError
from talkingpose.io.image import Image
from talkingpose.pose.face_crop import FACE_SIDE
from talkingpose.pose.keypoints import NUM_KEYPOINTS

_SIZES = struct.Struct("<IQ")
MAX_HEADER = 1 << 20
# A process whose evaluator is gone ends itself after this many seconds.
_GRACE_S = 5.0


class MessageError(Exception):
    """Message that the other side cannot have sent in good order."""


def send(stream: socket.socket, header: Mapping[str, Any], payload: Sequence[Any] = ()) -> None:
    """Send a message; `payload` is a sequence of C-contiguous buffers."""
    text = json.dumps(header).encode()
    parts = [memoryview(part).cast("B") for part in payload]
    stream.sendall(_SIZES.pack(len(text), sum(map(len, parts))) + text)
    for part in parts:
        stream.sendall(part)


def receive(
    read: Callable[[int], bytearray], max_payload: int | None = None
) -> tuple[dict[str, Any], bytearray]:
    """Receive a message.

    Args:
        read: returns exactly the given number of bytes.
        max_payload: largest payload that is accepted, in bytes.

    Raises:
        MessageError: the message is malformed or too large.
        EOFError: the stream has ended.
    """
    header_size, payload_size = _SIZES.unpack(read(_SIZES.size))
    if header_size > MAX_HEADER or (max_payload is not None and payload_size > max_payload):
        raise MessageError("message too large")
    try:
        header = json.loads(read(header_size))
    except (ValueError, RecursionError) as error:
        raise MessageError("malformed message") from error
    if not isinstance(header, dict):
        raise MessageError("malformed message")
    return header, read(payload_size)


class _Evaluator:
    """Connection to the evaluator. A thread receives, so that driving frames can be read from any thread."""

    def __init__(self, stream: socket.socket) -> None:
        self._stream = stream
        self._sending = threading.Lock()
        self._asking = threading.Lock()
        self._requests: queue.SimpleQueue[tuple[dict[str, Any], bytearray] | None] = queue.SimpleQueue()
        self._images: queue.SimpleQueue[tuple[dict[str, Any], bytearray]] = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()

    def request(self) -> tuple[dict[str, Any], bytearray] | None:
        """Wait for the next request, None when the evaluator has closed the connection."""
        return self._requests.get()

    def send(self, header: Mapping[str, Any], payload: Sequence[Any] = ()) -> None:
        with self._sending:
            send(self._stream, header, payload)

    def driving_frame(self, request: Mapping[str, Any]) -> bytearray:
        """Ask for the next driving frame of a reader.

        Raises:
            ContestantError: the video of the clip cannot be decoded.
        """
        with self._asking:
            self.send(request)
            header, payload = self._images.get()
        if "error" in header:
            raise ContestantError(str(header["error"]))
        return payload

    def _listen(self) -> None:
        with contextlib.suppress(EOFError, OSError, MessageError):
            while True:
                header, payload = receive(self._read)
                (self._images if header["kind"] == "image" else self._requests).put((header, payload))
        self._requests.put(None)
        time.sleep(_GRACE_S)
        os._exit(1)

    def _read(self, count: int) -> bytearray:
        return read_exactly(self._stream, count)


class _DrivingFrames:
    """Driving frames of a case, fetched from the evaluator as they are read."""

    def __init__(self, evaluator: _Evaluator, batch: int, case: int, header: Mapping[str, Any]) -> None:
        self._evaluator = evaluator
        self._request = {"kind": "driving", "batch": batch, "case": case}
        self._num_frames = int(header["num_frames"])
        face = header["driving"] == "face"
        self._shape = (FACE_SIDE, FACE_SIDE, 3) if face else (int(header["height"]), int(header["width"]), 3)
        self._readers = itertools.count()

    def __iter__(self) -> Iterator[Image]:
        request = {**self._request, "reader": next(self._readers)}
        for _ in range(self._num_frames):
            yield np.frombuffer(self._evaluator.driving_frame(request), np.uint8).reshape(self._shape)


def read_exactly(stream: socket.socket, count: int) -> bytearray:
    """Read a number of bytes.

    Raises:
        EOFError: the stream ends before.
    """
    buffer = bytearray(count)
    view = memoryview(buffer)
    while view:
        received = stream.recv_into(view)
        if not received:
            raise EOFError
        view = view[received:]
    return buffer


def main() -> None:
    """Serve the evaluator until it closes the connection."""
    evaluator = _Evaluator(_claim_stream())
    request = evaluator.request()
    if request is None:
        return
    settings = request[0]
    sys.path.extend(path for path in settings["paths"] if path and path not in sys.path)
    try:
        contestant, info = make_contestant(
            settings["name"],
            checkpoint=settings["checkpoint"],
            device=settings["device"],
            args=settings["args"],
        )
    except UserError as error:
        evaluator.send({"kind": "error", "text": str(error)})
        return
    evaluator.send({"kind": "ready", "info": info_document(info)})
    while (request := evaluator.request()) is not None:
        if request[0]["kind"] == "animate":
            _animate(evaluator, contestant, *request)
        elif request[0]["kind"] == "info":
            evaluator.send({"kind": "info", "info": _info_now(contestant)})


def _claim_stream() -> socket.socket:
    """Take the standard input as the connection; leave the contestant an empty input and stderr as output."""
    stream = socket.socket(fileno=os.dup(0))
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return stream


def _animate(
    evaluator: _Evaluator, contestant: Contestant, request: Mapping[str, Any], payload: bytearray
) -> None:
    """Generate a batch; one reply for each `next`, until the batch ends or the evaluator sends `stop`."""
    cases, poses = _cases(evaluator, request, payload)
    steps = checked_steps(contestant, cases, int(request["seed"]))
    with contextlib.closing(steps):
        while True:
            message = evaluator.request()
            if message is None or message[0]["kind"] == "stop":
                return
            try:
                step = next(steps, None)
            except StepError as error:
                evaluator.send({"kind": "failed", "text": str(error)})
                return
            if step is None:
                evaluator.send({"kind": "end"})
                return
            faults = [item.text if isinstance(item, FrameFault) else None for item in step]
            images = [item for item in step if not isinstance(item, FrameFault)]
            status = {"poses": [reader.num_read for reader in poses], "device_mb": _peak_device_mb()}
            evaluator.send({"kind": "frames", "faults": faults, **status}, images)


def _cases(
    evaluator: _Evaluator, request: Mapping[str, Any], payload: bytearray
) -> tuple[list[Case], list[PoseReader]]:
    cases, poses, offset = [], [], 0
    for index, header in enumerate(request["cases"]):
        height, width, num_frames = (int(header[name]) for name in ("height", "width", "num_frames"))
        size = height * width * 3
        reference = np.frombuffer(payload, np.uint8, size, offset).reshape(height, width, 3).copy()
        count = num_frames * NUM_KEYPOINTS * 3
        keypoints = np.frombuffer(payload, np.float32, count, offset + size)
        poses.append(PoseReader(keypoints.reshape(num_frames, NUM_KEYPOINTS, 3)))
        offset += size + 4 * count
        cases.append(
            Case(
                clip_id=header["clip_id"],
                reference=reference,
                keypoints=poses[-1],
                fps=Fraction(header["fps"]),
                width=width,
                height=height,
                num_frames=num_frames,
                driving_frames=_DrivingFrames(evaluator, int(request["batch"]), index, header)
                if header["driving"] != "none"
                else None,
            )
        )
    return cases, poses


def _info_now(contestant: Contestant) -> dict[str, Any] | None:
    try:
        return info_document(checked_info(contestant))
    except UserError:
        return None


def _peak_device_mb() -> float | None:
    """Return the peak of the device memory that torch allocated, in MiB."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return None
    return float(torch.cuda.max_memory_allocated() / 2**20)


if __name__ == "__main__":
    main()
