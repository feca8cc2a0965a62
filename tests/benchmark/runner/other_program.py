"""A model of another project: `python other_program.py CASES OUT FAULT`. It knows nothing of this one.

It reads `cases.csv`, writes the driving frames as its videos into a folder of its own naming, and a map of
them. FAULT is `none`, or one of `forgotten`, `swapped`, `shifted=K`, `resized`, for the first case.
"""

import csv
import sys
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np


def read(path):
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def write_ffv1(path, frames, fps):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=fps)
        stream.width, stream.height, stream.pix_fmt = frames[0].shape[1], frames[0].shape[0], "bgr0"
        for image in frames:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def write_pngs(folder, frames):
    folder.mkdir()
    for index, image in enumerate(frames):
        assert cv2.imwrite(str(folder / f"frame_{index}.png"), image[:, :, ::-1])


def main():
    cases, out, fault = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    (out / "my vidéos").mkdir(parents=True)
    with (cases / "cases.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    videos = [read(cases / row["driving"]) for row in rows]
    kind, _, number = fault.partition("=")
    if kind == "swapped":
        videos[:2] = videos[1::-1]
    elif kind == "shifted":
        k = int(number)
        videos[0] = videos[0][k:] + [videos[0][-1]] * k
    elif kind == "resized":
        videos[0] = [cv2.resize(image, (64, 64)) for image in videos[0]]
    for number, (row, frames) in enumerate(zip(rows, videos, strict=True)):
        name = f"my vidéos/take {number}" + (".mkv" if number % 2 == 0 else "")
        row["prediction"] = name
        if kind == "forgotten" and number == 0:
            continue
        assert len(frames) == int(row["num_frames"]) or kind == "swapped"
        if number % 2 == 0:
            write_ffv1(out / name, frames, Fraction(row["fps"]))
        else:
            write_pngs(out / name, frames)
    with (out / "map.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


main()
