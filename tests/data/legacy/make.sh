#!/bin/bash
# Makes the stored artefacts of this folder with the code of a commit before the modules moved.
#
#   make.sh FOLDER TEST     a new folder, outside of the checkout, and the file test_legacy.py
#
# The commands of that commit come first in PATH. Everything is drawn by the project's own renderer. Golden
# values are what the functions of the test observe, recorded with the same commands.
set -euo pipefail
test=$(realpath "$2")
mkdir "$1"
cd "$1"
export OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE HF_HUB_OFFLINE=1
export TALKINGPOSE_WEIGHTS=no-weights

cat > config.yaml <<'E'
# Names of the settings as they were before the modules moved.
gate:
  max_gap_s: 2.0
  min_key_frames: 3
  every_s: 0.3
filters:
  length:
    min_s: 1.0
rescue:
  min_s: 1.0
  settle_s: 0.2
  max_gap_s: 0.4
encode:
  crf: 27
export:
  splits: {train: 50, test: 50}
acquisition:
  politeness: {requests_per_minute: 1000.0, pause_s: 0.0}
E

cat > training.yaml <<'E'
stage: denoiser
out: training
size: 32
steps: 6
batch_size: 2
threads: 1
save_every: 3
source:
  name: drawn
  options: {identities: 2, first_seed: 100}
  validation: {first_seed: 200}
pool: {folder: pool, groups: 2, frames: 2}
augmentation: {flip: 0.5}
model:
  vae: {pretrained: checkpoint, subfolder: vae}
  unet: {pretrained: checkpoint, subfolder: denoising_unet}
  reference_unet: {pretrained: checkpoint, subfolder: reference_unet}
  image_encoder: {pretrained: checkpoint, subfolder: image_encoder}
  pose_guider: {pretrained: checkpoint, subfolder: pose_guider}
  freeze: [image_encoder, reference_unet, unet.up_blocks]
optimizer: {learning_rate: 0.002, warmup_steps: 2, decay: cosine}
validation: {every: 100, samples: 2, inference_steps: 2}
E

# 1. Sources: a speaker, one over whom it gets dark, a room without anybody.
python - <<'E'
from pathlib import Path

import av
import numpy as np
from curation.synth import draw_identity, frames
from curation.synth.backdrop import paint_backdrop

SIDE = 256


def write(path, images):
    # A key frame every eighth frame, so that the look at key frames is taken in footage this short.
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width = stream.height = SIDE
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        stream.options = {"crf": "27", "preset": "slow", "g": "8", "keyint_min": "8", "bf": "0"}
        for image in images:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def darker(images):
    for index, image in enumerate(images):
        light = min(max(1 - (index - 16) / 20, 0.15), 1.0)
        yield np.rint(image * light).astype(np.uint8)


folder = Path("sources")
folder.mkdir()
write(folder / "talk.mp4", [image for image, _ in frames(306, 306, 32, SIDE)])
write(folder / "dark.mp4", darker([image for image, _ in frames(301, 301, 46, SIDE)]))
write(folder / "room.mp4", [paint_backdrop(draw_identity(306), SIDE)] * 40)
E

# 2. A curated dataset of two files and an address, and one rebuilt from its release.
python -m http.server 8931 --bind 127.0.0.1 --directory sources > http.log 2>&1 &
server=$!
trap 'kill $server' EXIT
sleep 1
address=http://127.0.0.1:8931/talk.mp4
tp-curate run sources/dark.mp4 sources/room.mp4 $address --out dataset --config config.yaml --workers 1
# On a copy, because the folder of a release is noted with its whole path.
cp -r dataset copy
tp-curate release copy --to release --ids-only
tp-curate rebuild release --out rebuilt --config config.yaml --workers 1 --delete-sources || test $? = 3
kill $server
trap - EXIT
# One source left out of what is remembered here: hashes of files by their whole path, and what libraries print.
rm -r copy http.log sources/talk.mp4 {dataset,rebuilt}/.curation/workers.log dataset/.curation/hashes.json

# 3. A dataset of drawn speakers.
tp-curate synth --out synth --clips 2 --frames 5-9 --size 64 --seed 40 --splits test=1 --crf 30 --workers 1
rm synth/.curation/workers.log

# 4. A checkpoint of random weights in diffusers' layout, what to animate with it, and a stream stopped in it.
python - <<'E'
from pathlib import Path

import numpy as np
import torch
from curation.synth import frames
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from PIL import Image
from talkingpose import TalkingPosePipeline
from talkingpose.checkpoint import OFFICIAL_SCHEDULER
from talkingpose.inference import Inference
from talkingpose.pose.picture import pose_picture
from talkingpose.pose_guider import PoseGuider
from talkingpose.training.autoencoder import start_as_pyramid
from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection

VAE = {
    "down_block_types": ["DownEncoderBlock2D"] * 2,
    "up_block_types": ["UpDecoderBlock2D"] * 2,
    "block_out_channels": [4, 8],
    "layers_per_block": 1,
    "latent_channels": 4,
    "norm_num_groups": 2,
    "sample_size": 32,
}
UNET = {
    "sample_size": 16,
    "in_channels": 4,
    "out_channels": 4,
    "block_out_channels": [4, 8],
    "layers_per_block": 1,
    "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"],
    "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"],
    "attention_head_dim": 2,
    "cross_attention_dim": 8,
    "norm_num_groups": 2,
}
ENCODER = {
    "image_size": 16,
    "patch_size": 8,
    "hidden_size": 8,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "projection_dim": 8,
}


def awake(module, louder=1.0):
    """Fill the weights that begin at zero, so that everything matters; and let a part say more."""
    generator = torch.Generator().manual_seed(7)
    for weights in module.parameters():
        if not bool(weights.any()):
            weights.data.copy_(0.1 * torch.randn(weights.shape, generator=generator))
        weights.data.mul_(louder)
    return module.eval()


torch.manual_seed(0)
vae = AutoencoderKL(**VAE)
start_as_pyramid(vae)
pipe = TalkingPosePipeline(
    vae=awake(vae),
    image_encoder=awake(CLIPVisionModelWithProjection(CLIPVisionConfig(**ENCODER))),
    image_processor=CLIPImageProcessor(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16}),
    reference_unet=awake(UNet2DConditionModel(**UNET)),
    denoising_unet=awake(UNet2DConditionModel(**UNET), 1.5),
    pose_guider=awake(PoseGuider(4, block_out_channels=(4, 8)), 4.0),
    scheduler=DDIMScheduler.from_config(OFFICIAL_SCHEDULER),
)
pipe.save_pretrained("checkpoint")
Inference(num_inference_steps=2, guidance_scale=2.0, pose_picture="proportional").write(Path("checkpoint"))

inputs = Path("inputs")
inputs.mkdir()
drawn = list(frames(310, 310, 4, 64))
keypoints = np.stack([points for _, points in drawn])
Image.fromarray(drawn[0][0]).save(inputs / "portrait.png")
np.savez_compressed(inputs / "poses.npz", keypoints=keypoints, fps=25.0, width=64, height=64)
pictures = np.stack([pose_picture(points, 32, 32) for points in keypoints])
np.savez_compressed(inputs / "pictures.npz", pictures=pictures)

# Read again: the same weights elsewhere in memory move the last bits.
pipe = TalkingPosePipeline.from_pretrained("checkpoint", local_files_only=True)
pipe.set_progress_bar_config(disable=True)
stream = pipe.stream(
    drawn[0][0],
    list(pictures),
    num_inference_steps=2,
    guidance_scale=2.0,
    generator=torch.Generator().manual_seed(7),
    output_type="latent",
)
for _ in range(2):
    next(stream)
stream.state.save("stream.pt")
E

# 5. A training that was killed after step 4, one step after a state was kept; and the same undisturbed.
cat > stop.py <<'E'
import signal
import subprocess
import sys
import time
from pathlib import Path


def reached(path, least):
    if path.is_dir():
        return len(list(path.glob("*.json"))) >= least
    return path.is_file() and len(path.read_text().splitlines()) > least


path, least, *command = sys.argv[1:]
process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
while process.poll() is None and not reached(Path(path), int(least)):
    time.sleep(0.001)
process.send_signal(signal.SIGKILL)
assert process.wait() == -signal.SIGKILL
E
tp-train --config training.yaml --out whole/training
rm -r pool
python stop.py training/loss.csv 4 tp-train --config training.yaml

# 6. Runs: a whole one that keeps its frames, and two that were killed after their first clip.
tp-eval --model frozen --limit 2 --max-frames 101 --keep-frames --out run
PARTIAL="--model reencode --limit 2 --max-frames 101"
CROSS="--model talkingpose --checkpoint checkpoint --model-args steps=1,guidance=1 --protocol tp-cross@1 --limit 2 --max-frames 101"
tp-eval $PARTIAL --out whole/run_partial
tp-eval $CROSS --out whole/run_cross
python stop.py run_partial/cases 1 tp-eval $PARTIAL --out run_partial
python stop.py run_cross/cases 1 tp-eval $CROSS --out run_cross
rm -rf {run_partial,run_cross}/.partial stop.py

# 7. Golden values; `whole` holds what the undisturbed commands made, to be compared with them.
mkdir -p scratch/house scratch/data
ln -s ../.. scratch/data/legacy
cp "$test" scratch/house/test_legacy.py
echo '{"machine": {"packages": {}}}' > expected.json
python - <<'E'
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, "scratch/house")
import test_legacy as legacy

legacy.EXACT = True
folder = Path("scratch/bench").absolute()
folder.mkdir()
os.environ.update(legacy.environment(folder))
words = [sys.executable, "-c", legacy.SERVER]
found = {"machine": legacy.machine()}
with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
    for name, observe in legacy.OBSERVATIONS.items():
        (folder / name).mkdir()
        found[name] = observe(legacy.Bench(folder / name, server))
    (folder / "latents").mkdir()
    bench = legacy.Bench(folder / "latents", server)
    bench.take("checkpoint", "inputs", "stream.pt")
    made = legacy.latents(bench)
np.savez_compressed("expected.npz", latents=made["latents"], frames=made["frames"])
Path("expected.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
E
chmod -R u=rwX,go=rX .
