"""Files and folders that no command can use, made once per test session."""

from __future__ import annotations

import json
import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from talkingpose.media import VideoWriter

NOISE = bytes(np.random.default_rng(0).integers(0, 256, 4096, dtype=np.uint8))


def png(width: int, height: int) -> bytes:
    """A PNG of zeros, small in bytes whatever its size in pixels."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    rows = zlib.compressobj(9)
    line = b"\0" * (1 + width * 3)
    body = b"".join(rows.compress(line) for _ in range(height)) + rows.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def _video(path: Path, frames: int) -> None:
    with VideoWriter(path, fps=25, preset="ultrafast") as writer:
        for value in range(frames):
            writer.write(np.full((64, 64, 3), value * 3, np.uint8))


def _npz(path: Path, **arrays: Any) -> None:
    np.savez(path, **arrays)


def _zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../outside.txt", "x")
        archive.writestr("model_index.json", "{}")


def _folder(path: Path, **files: bytes) -> None:
    path.mkdir()
    for name, content in files.items():
        (path / name.replace("__", ".")).write_bytes(content)


def _loop(path: Path) -> None:
    path.symlink_to(path.name)


def _truncated(path: Path) -> None:
    _video(path, 20)
    path.write_bytes(path.read_bytes()[:900])


MAKERS: dict[str, Callable[[Path], object]] = {
    "empty": lambda p: p.write_bytes(b""),
    "noise.bin": lambda p: p.write_bytes(NOISE),
    "noise.mp4": lambda p: p.write_bytes(NOISE),
    "noise.png": lambda p: p.write_bytes(NOISE),
    "noise.npz": lambda p: p.write_bytes(NOISE),
    "noise.json": lambda p: p.write_bytes(NOISE),
    "noise.yaml": lambda p: p.write_bytes(NOISE),
    "noise.csv": lambda p: p.write_bytes(NOISE),
    "deep.json": lambda p: p.write_text("[" * 50_000),
    "numbers.json": lambda p: p.write_text('{"schema": 1e999, "a": ' + "9" * 10_000 + ', "b": NaN}'),
    "other.json": lambda p: p.write_text(json.dumps({"schema": "talkingpose.run/1", "metrics": []})),
    "keys.yaml": lambda p: p.write_text("\n".join(f"k{index}: {index}" for index in range(20_000))),
    "bomb.yaml": lambda p: p.write_text("a: &a [x]\nb: &b [*a,*a,*a]\nc: &c [*b,*b,*b]\nd: [*c,*c,*c]\n"),
    "object.yaml": lambda p: p.write_text("!!python/object/apply:os.system ['exit 1']\n"),
    "list.yaml": lambda p: p.write_text("- 1\n- 2\n"),
    "unknown.yaml": lambda p: p.write_text("not_a_setting: 3\nsteps: -4\n"),
    "types.yaml": lambda p: p.write_text("seed: [1]\nsteps: {a: 1}\nfilters: 7\nclips: x\nmodel: 0\n"),
    "latin.csv": lambda p: p.write_bytes("reference,driving,out\né,ü,ß\n".encode("latin-1")),
    "paths.csv": lambda p: p.write_text("reference,driving,out\n/etc/passwd,../../x,/dev/null\n"),
    "columns.csv": lambda p: p.write_text("a,b\n1,2,3\n\n\n"),
    "huge.png": lambda p: p.write_bytes(png(13_000, 13_000)),
    "dot.png": lambda p: p.write_bytes(png(1, 1)),
    "strip.png": lambda p: p.write_bytes(png(5_000, 2)),
    "short.mp4": lambda p: _video(p, 1),
    "blank.mp4": lambda p: _video(p, 30),
    "truncated.mp4": _truncated,
    "pickle.npz": lambda p: _npz(p, keypoints=np.array([{"a": 1}], dtype=object)),
    "nan.npz": lambda p: _npz(
        p, keypoints=np.full((5, 133, 3), np.nan, np.float32), fps=25.0, width=64, height=64
    ),
    "shape.npz": lambda p: _npz(p, keypoints=np.zeros((5, 7, 3)), fps=-1.0, width=0, height=64),
    "outside.zip": _zip,
    "folder": lambda p: _folder(p),
    "run": lambda p: _folder(p, run__json=b"{}"),
    "dataset": lambda p: _folder(p, README__md=b"---\nconfigs: 3\n---\n", verdicts__jsonl=b"{\n"),
    "checkpoint": lambda p: _folder(p, model_index__json=b'{"_class_name": "Other"}', evil__py=b"raise 1"),
    "official": lambda p: _folder(
        p, denoising_unet__pth=NOISE, reference_unet__pth=b"", pose_guider__pth=NOISE
    ),
    "pipe": lambda p: os.mkfifo(p),
    "loop": _loop,
    "link": lambda p: p.symlink_to("nowhere"),
}


def make_all(folder: Path) -> list[str]:
    """Make every file of `MAKERS` in the folder; return the paths, with some that do not exist."""
    for name, make in MAKERS.items():
        make(folder / name)
    missing = ["missing", "missing.mp4", "n" * 300, "line\nbreak.mp4", "byte\udcff.png", "empty/below"]
    return [str(folder / name) for name in (*MAKERS, *missing)]
