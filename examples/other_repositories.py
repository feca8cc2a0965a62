"""Run MimicMotion, StableAnimator or EchoMimicV2 on exported cases, and collect their videos for scoring.

    tp-eval cases --dataset D --out cases --pose-style mimicmotion --png --driving-frames all
    python examples/other_repositories.py prepare mimicmotion cases work    # writes work/run.sh
    cd MimicMotion && bash ../work/run.sh                                   # in their environment
    python examples/other_repositories.py collect cases work collected      # writes collected/map.csv
    tp-eval score --predictions collected --map collected/map.csv --name mimicmotion --dataset D

It needs numpy, OpenCV and PyAV, and nothing of this project. `collect` scales every video to the size of its
case and states the rate of the case; it never drops, repeats or shifts a frame.
"""

import csv
import shlex
import sys
import wave
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

MIMICMOTION = """base_model_path: stabilityai/stable-video-diffusion-img2vid-xt-1-1
ckpt_path: models/MimicMotion_1-1.pth
test_case:
  - ref_video_path: {driving}
    ref_image_path: {portrait}
    num_frames: 72
    resolution: 576
    frames_overlap: 6
    num_inference_steps: 25
    noise_aug_strength: 0
    guidance_scale: 2.0
    sample_stride: 1
    fps: {fps}
    seed: {seed}
"""
STABLE_ANIMATOR = (
    "python inference_basic.py"
    " --pretrained_model_name_or_path=checkpoints/SVD/stable-video-diffusion-img2vid-xt"
    " --posenet_model_name_or_path=checkpoints/Animation/pose_net.pth"
    " --face_encoder_model_name_or_path=checkpoints/Animation/face_encoder.pth"
    " --unet_model_name_or_path=checkpoints/Animation/unet.pth"
    " --width=512 --height=512 --guidance_scale=3.0 --num_inference_steps=25 --tile_size=16"
    " --frames_overlap=4 --decode_chunk_size=4 --noise_aug_strength=0.02"
)
# OpenPose's 18 points by their COCO index; -1 stands for the neck, between the shoulders.
OPENPOSE18 = (0, -1, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3)
SIDE = 768  # of the pictures of EchoMimicV2


def read_cases(folder):
    """Return the rows of cases.csv."""
    with (folder / "cases.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def prepare(repository, cases, work):
    """Write the inputs of each case in the form of a repository, and the commands into run.sh."""
    command = {"mimicmotion": mimicmotion, "stableanimator": stableanimator, "echomimicv2": echomimicv2}
    work.mkdir(parents=True, exist_ok=True)
    lines = [command[repository](row, cases.resolve(), work.resolve()) for row in read_cases(cases)]
    (work / "run.sh").write_text("set -e\n" + "\n".join(lines) + "\n", encoding="utf-8")


def mimicmotion(row, cases, work):
    """Write a configuration; return the command."""
    if not row["driving"]:
        sys.exit("MimicMotion detects poses itself: export with --driving-frames all")
    config = work / f"{row['clip_id']}.yaml"
    config.write_text(
        MIMICMOTION.format(
            driving=cases / row["driving"],
            portrait=cases / row["portrait"],
            fps=round(Fraction(row["fps"])),
            seed=int(row["seed"]) % 2**32,
        ),
        encoding="utf-8",
    )
    out = work / "made" / row["clip_id"]
    return shlex.join(["python", "inference.py", "--inference_config", str(config), "--output_dir", str(out)])


def stableanimator(row, cases, work):
    """Return the command; portrait and pose pictures are read as exported."""
    if not row["pose_frames"]:
        sys.exit("StableAnimator reads pose pictures: export with --png")
    options = [
        f"--validation_image={cases / row['portrait']}",
        f"--validation_control_folder={cases / row['pose_frames']}",
        f"--output_dir={work / 'made' / row['clip_id']}",
    ]
    return f"{STABLE_ANIMATOR} {shlex.join(options)}"


def echomimicv2(row, cases, work):
    """Write poses and a silent sound; return the command."""
    if row["width"] != row["height"]:
        sys.exit(f"{row['clip_id']}: {row['width']}x{row['height']}: EchoMimicV2 animates square pictures")
    length, fps = int(row["num_frames"]), round(Fraction(row["fps"]))
    poses = work / "poses" / row["clip_id"]
    poses.mkdir(parents=True, exist_ok=True)
    with np.load(cases / row["keypoints"]) as arrays:
        for index, points in enumerate(arrays["keypoints"]):
            np.save(poses / f"{index}.npy", np.array(dwpose_result(points, index), dtype=object))
    write_silence(work / f"{row['clip_id']}.wav", length / fps + 1)
    out = f"outputs/*-seed{int(row['seed']) % 2**31}/{row['clip_id']}.portrait.png/{row['clip_id']}"
    made = work / "made" / row["clip_id"]
    words = [
        *("python", "infer.py", "--config=./configs/prompts/infer.yaml", "-W", SIDE, "-H", SIDE),
        *("-L", length, "--fps", fps, "--seed", int(row["seed"]) % 2**31),
        *("--ref_images_dir", cases, "--refimg_name", row["portrait"]),
        *("--audio_dir", work, "--audio_name", f"{row['clip_id']}.wav"),
        *("--pose_dir", work / "poses", "--pose_name", row["clip_id"]),
    ]
    command = shlex.join(map(str, words))
    return f"{command}\nmkdir -p {shlex.quote(str(made))} && mv {out}/*_sig.mp4 {shlex.quote(str(made))}/"


def dwpose_result(points, number):
    """Return keypoints (133, 3) as DWPose's dictionary, with the place of the picture in its canvas."""
    neck = np.append(points[[5, 6], :2].mean(axis=0), points[[5, 6], 2].min())
    body = np.stack([neck if index < 0 else points[index] for index in OPENPOSE18]).astype(np.float64)
    seen = body[:, 2] > 0.3
    return {
        "num": number,
        "bodies": {
            "candidate": np.where(seen[:, None], body[:, :2], -1),
            "subset": np.where(seen, np.arange(18.0), -1)[None],
            "score": body[None, :, 2],
        },
        "faces": points[None, 23:91, :2].astype(np.float64),
        "faces_score": points[None, 23:91, 2],
        "hands": points[91:, :2].reshape(2, 21, 2).astype(np.float64),
        "hands_score": points[91:, 2].reshape(2, 21),
        "draw_pose_params": [SIDE, SIDE, 0, SIDE, 0, SIDE],
    }


def write_silence(path, seconds):
    """Write a silent sound file of 16 kHz."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(b"\0\0" * round(16000 * seconds))


def collect(cases, work, out):
    """Write the video of each case without loss, and a map of them; leave out what is missing."""
    out.mkdir(parents=True, exist_ok=True)
    rows = read_cases(cases)
    for row in rows:
        frames = made_frames(work / "made" / row["clip_id"])
        row["prediction"] = f"{row['clip_id']}.mkv" if frames else ""
        if not frames:
            print(f"{row['clip_id']}: no video", file=sys.stderr)
            continue
        size = int(row["width"]), int(row["height"])
        height, width = frames[0].shape[:2]
        print(f"{row['clip_id']}: {len(frames)} frames, {width}x{height}; wanted {row['num_frames']}, {size}")
        if abs(width / height * size[1] / size[0] - 1) > 0.02:
            row["prediction"] = ""
            print(f"{row['clip_id']}: another aspect ratio: not collected", file=sys.stderr)
            continue
        write(out / row["prediction"], [scaled(image, size) for image in frames], Fraction(row["fps"]))
    with (out / "map.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def made_frames(folder):
    """Return the frames of the newest video in a folder, or of its pictures frame_0.png and on."""
    pictures = sorted(folder.glob("**/frame_*.png"), key=lambda path: int(path.stem.split("_")[1]))
    if pictures:
        return [cv2.imread(str(path))[:, :, ::-1] for path in pictures]
    videos = sorted(folder.glob("**/*.mp4"), key=lambda path: path.stat().st_mtime)
    if not videos:
        return []
    with av.open(str(videos[-1])) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def scaled(image, size):
    """Return a picture at (width, height)."""
    if image.shape[1::-1] == size:
        return np.ascontiguousarray(image)
    smaller = size[0] < image.shape[1]
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)


def write(path, frames, fps):
    """Write a video without loss."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=fps)
        stream.width, stream.height, stream.pix_fmt = frames[0].shape[1], frames[0].shape[0], "bgr0"
        for image in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))


if __name__ == "__main__":
    if len(sys.argv) != 5 or sys.argv[1] not in ("prepare", "collect"):
        sys.exit(__doc__)
    if sys.argv[1] == "prepare":
        prepare(sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
    else:
        collect(*map(Path, sys.argv[2:]))
