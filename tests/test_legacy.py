"""Artefacts of an earlier commit load, resume and score to the same bit.

The artefacts and the golden values lie in tests/data/legacy, whose README says how they were made. Everything
goes through the installed commands, so that no name of a module stands here.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

DATA = Path(__file__).parent / "data" / "legacy"
EXPECTED: dict[str, Any] = json.loads((DATA / "expected.json").read_text(encoding="utf-8"))

# They decide the bits of a result, or stand in what a record remembers of its tools.
PACKAGES = (
    "ImageHash", "av", "diffusers", "mediapipe", "numpy", "opencv-contrib-python", "pillow", "pyarrow",
    "safetensors", "scenedetect", "scipy", "talkingpose", "torch", "transformers",
)  # fmt: skip

# What a run notes of its time and its machine.
VOLATILE = {"cost", "env", "finished_at", "generation_s", "scoring_s"}
# Texts for people, which may be reworded.
WORDING = {"reason", "message"}
# Names of hashes of something computed.
COMPUTED = ("file_sha256", "frames_sha256", "weights_sha256")
# Floats of another processor or another version of a library may differ by so much, relatively.
TOLERANCE = 1e-3

CURATE = ("run", "sources/dark.mp4", "sources/room.mp4", "http://127.0.0.1:8931/talk.mp4", "--out", "dataset")
CURATE_OPTIONS = ("--config", "config.yaml", "--workers", "1", "--json")
DRAW = ("synth", "--frames", "5-9", "--size", "64", "--seed", "40", "--splits", "test=1", "--crf", "30")
PART = ("--limit", "2", "--max-frames", "101")
MODEL = ("--model", "talkingpose", "--checkpoint", "checkpoint", "--model-args", "steps=1,guidance=1")
CROSS = (*MODEL, "--protocol", "tp-cross@1", *PART)

# Latents of the checkpoint, from the first frame on and from the stream that was stopped after the second.
LATENTS = """
import numpy as np
import torch
from PIL import Image
from talkingpose import TalkingPosePipeline

pipeline = TalkingPosePipeline.from_pretrained("checkpoint")
pictures = list(np.load("inputs/pictures.npz")["pictures"])
arguments = {"num_inference_steps": 2, "guidance_scale": 2.0, "output_type": "latent"}
portrait = np.asarray(Image.open("inputs/portrait.png"))
stream = pipeline.stream(portrait, pictures, generator=torch.Generator().manual_seed(7), **arguments)
latents = [next(stream)]
state = type(stream.state).load("stream.pt")
latents += list(stream)
resumed = list(pipeline.stream(portrait, pictures[state.index :], state=state, **arguments))
frames = pipeline.decode(torch.stack(latents))
np.savez("made.npz", latents=torch.stack(latents), resumed=torch.stack(resumed), frames=np.stack(frames))
"""

# One process for all commands that load torch, which takes longer than the commands themselves; it does so
# while tp-curate is looked at.
SERVER = """
import json, os, runpy, sys, traceback
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from transformers import CLIPImageProcessor, CLIPVisionModelWithProjection
for line in sys.stdin:
    folder, *words = json.loads(line)
    os.chdir(folder)
    sys.argv, code = words, 0
    with open("stdout.txt", "w") as sys.stdout:
        try:
            runpy.run_path(words[0], run_name="__main__")
        except SystemExit as left:
            code = left.code or 0
        except Exception:
            traceback.print_exc()
            code = 1
    answers.write(json.dumps(code) + "\\n")
    answers.flush()
"""


def processor() -> str:
    """Names the kind of processor, by what it can do as well."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else [platform.processor()]
    told = ("model name", "cpu family", "model\t", "flags", "Features")
    kept = sorted({" ".join(line.split()) for line in lines if line.startswith(told)})
    return hashlib.sha256("\n".join(kept).encode()).hexdigest()[:16]


def machine() -> dict[str, Any]:
    """Everything outside the project that decides bits."""
    return {
        "processor": processor(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
    }


# Elsewhere floats are compared with a tolerance, and hashes of what was computed are not.
EXACT = machine() == EXPECTED.get("machine")
CHANGED = [name for name, known in EXPECTED["machine"]["packages"].items() if version(name) != known]
# A record of a curated source names the libraries and the project it was made with, a run the project. With
# other versions both are out of date, and that is meant to be so.
same_tools = pytest.mark.skipif(bool(CHANGED), reason=f"made with another {', '.join(CHANGED)}")
same_project = pytest.mark.skipif("talkingpose" in CHANGED, reason="made with another version of the project")


class Bench:
    """A folder with copies of artefacts, and the commands, started in it."""

    def __init__(self, folder: Path, server: subprocess.Popen[str]) -> None:
        self.folder, self._server = folder, server

    def take(self, *names: str) -> None:
        """Copy artefacts into the folder."""
        for name in names:
            source, target = DATA / name, self.folder / name
            if source.is_dir():
                shutil.copytree(source, target)
            else:
                shutil.copy(source, target)

    def alone(self, name: str, *words: str, code: int = 0) -> str:
        """The output of a command in a process of its own."""
        done = subprocess.run(
            [str(command(name)), *words], cwd=self.folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stderr
        return done.stdout

    def __call__(self, name: str, *words: str, code: int = 0) -> str:
        """The output of a command in the process that has torch loaded."""
        return self.script(command(name), *words, code=code)

    def script(self, path: Path, *words: str, code: int = 0) -> str:
        """The output of a Python file in that process."""
        stdin, stdout = self._server.stdin, self._server.stdout
        assert stdin is not None and stdout is not None
        stdin.write(json.dumps([str(self.folder), str(path), *words]) + "\n")
        stdin.flush()
        answer = stdout.readline()
        assert answer and json.loads(answer) == code, f"{path.name} {' '.join(words)}: {answer or 'died'}"
        return (self.folder / "stdout.txt").read_text(encoding="utf-8")


def command(name: str) -> Path:
    """The installed command."""
    return Path(sys.executable).parent / name


def environment(folder: Path) -> dict[str, str]:
    """One thread, no network, no weights: whatever this machine has of them."""
    own = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "HF_HUB_OFFLINE": "1"}
    return {**os.environ, **own, "TALKINGPOSE_WEIGHTS": str(folder / "no-weights")}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[subprocess.Popen[str]]:
    folder = tmp_path_factory.mktemp("server")
    with subprocess.Popen(
        [sys.executable, "-c", SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(folder),
    ) as process:
        yield process
        # It holds nothing that an orderly end would save, and that takes seconds.
        process.kill()


@pytest.fixture
def bench(tmp_path: Path, server: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch) -> Bench:
    for name, value in environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    return Bench(tmp_path, server)


def test_curated_dataset_is_read(bench: Bench) -> None:
    same(read_dataset(bench), EXPECTED["read_dataset"])


def test_dataset_of_former_filters_is_judged_again_and_then_complete(bench: Bench) -> None:
    """Filters have changed since: cached verdicts are outdated, the folder itself resumes."""
    bench.take("config.yaml", "dataset", "sources")
    first, second = (json.loads(bench.alone("tp-curate", *CURATE, *CURATE_OPTIONS)) for _ in range(2))
    assert (first["sources"]["done_before"], first["sources"]["worked_on"]) == (0, 3)
    assert (second["sources"]["done_before"], second["sources"]["worked_on"]) == (3, 0)
    assert first["clips"]["kept"] >= 1 and clips(bench.folder / "dataset")


def test_rebuilt_dataset_is_sound(bench: Bench) -> None:
    """Its clips stay, although a run of the present version would make them again from their source."""
    bench.take("rebuilt")
    findings = json.loads(bench.alone("tp-eval", "validate", "rebuilt", "--kind", "dataset", "--json"))
    assert not [one for one in findings["findings"] if one["severity"] == "error"]
    assert clips(bench.folder / "rebuilt")


@same_tools
def test_drawn_dataset_grows(bench: Bench) -> None:
    same(drawn(bench), EXPECTED["drawn"])


def test_checkpoint_makes_the_same_latents_and_a_stream_goes_on(bench: Bench) -> None:
    bench.take("checkpoint", "inputs", "stream.pt")
    made = latents(bench)
    with np.load(DATA / "expected.npz") as expected:
        assert np.array_equal(made["resumed"], made["latents"][2:])
        if EXACT:
            assert all(np.array_equal(made[name], expected[name]) for name in ("latents", "frames"))
        assert np.abs(made["latents"] - expected["latents"]).max() < 1e-3
        assert np.abs(made["frames"].astype(int) - expected["frames"]).mean() < 0.1


def test_checkpoint_makes_the_same_film(bench: Bench) -> None:
    same(film(bench), EXPECTED["film"])


def test_training_goes_on_to_the_same_weights(bench: Bench) -> None:
    same(training(bench), EXPECTED["training"])


def test_whole_run_is_sound_and_its_scores_are_the_same(bench: Bench) -> None:
    same(rescored(bench), EXPECTED["rescored"])


@same_project
def test_stopped_run_is_completed(bench: Bench) -> None:
    same(completed(bench), EXPECTED["completed"])


@same_project
def test_stopped_run_of_a_model_is_completed(bench: Bench) -> None:
    same(cross(bench), EXPECTED["cross"])


def read_dataset(bench: Bench) -> dict[str, Any]:
    """Clips of a dataset, the records of its sources, and the result of its check."""
    bench.take("dataset")
    status = json.loads(bench.alone("tp-curate", "status", "dataset", "--json"))
    findings = json.loads(bench.alone("tp-eval", "validate", "dataset", "--kind", "dataset", "--json"))
    return {
        "status": {name: status[name] for name in ("sources", "clips", "rejected", "undecided", "errors")},
        "findings": findings["findings"],
        "clips": clips(bench.folder / "dataset"),
    }


def drawn(bench: Bench) -> dict[str, Any]:
    """A dataset of drawn speakers after a third one was added: the first two are not drawn again."""
    bench.take("synth")
    store = bench.folder / "synth" / ".curation"
    before = contents(store / "clips") | contents(store / "sources")
    words = (*DRAW, "--clips", "3", "--out", "synth", "--workers", "1", "--json")
    summary = json.loads(bench.alone("tp-curate", *words))
    after = contents(store / "clips") | contents(store / "sources")
    assert before.items() <= after.items()
    return {"summary": summary, "files": hashes(bench.folder / "synth", "*/*.parquet", rows_sha256)}


def rows_sha256(path: Path) -> str:
    """Hash of the rows of a Parquet file; its bytes have changed since: page index, chunks by content."""
    return hashlib.sha256(repr(pq.read_table(path).to_pylist()).encode()).hexdigest()


def latents(bench: Bench) -> dict[str, Any]:
    """Latents and frames of the checkpoint."""
    path = bench.folder / "latents.py"
    path.write_text(LATENTS, encoding="utf-8")
    bench.script(path)
    with np.load(bench.folder / "made.npz") as made:
        return dict(made)


def film(bench: Bench) -> dict[str, Any]:
    """The film of the checkpoint: its hash, and the mean of every frame and channel."""
    import av

    bench.take("checkpoint", "inputs")
    inputs = ("--reference", "inputs/portrait.png", "--driving", "inputs/poses.npz", "--retarget", "off")
    bench("tp-animate", "--checkpoint", "checkpoint", *inputs, "--out", "film.mp4", "--seed", "7")
    path = bench.folder / "film.mp4"
    with av.open(str(path)) as file:
        frames = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
    means = [[float(mean) / 255 for mean in frame.mean(axis=(0, 1))] for frame in frames]
    return {"file_sha256": digest(path), "size": list(frames[0].shape), "means": means}


def training(bench: Bench) -> dict[str, Any]:
    """Losses and weights of a training that was killed in the middle and went on to its end."""
    from safetensors.numpy import load_file

    bench.take("checkpoint", "pool", "training", "training.yaml")
    begun = (bench.folder / "training" / "loss.csv").read_text(encoding="utf-8").splitlines()
    summary = json.loads(bench("tp-train", "--config", "training.yaml", "--json"))
    folder = bench.folder / "training"
    rows = (folder / "loss.csv").read_text(encoding="utf-8").splitlines()
    # A head and three steps; step 4 came after the state and is made again.
    assert rows[:4] == begun[:4]
    weights = hashlib.sha256()
    for path in sorted((folder / "checkpoint").glob("*/*.safetensors")):
        for name, value in sorted(load_file(path).items()):
            weights.update(f"{path.parent.name} {name} {value.shape}".encode() + value.tobytes())
    index = json.loads((folder / "checkpoint" / "model_index.json").read_text(encoding="utf-8"))
    kept = ("steps", "samples", "validation_psnr", "parameters", "trained_parameters", "source")
    return {
        "losses": [[float(cell) for cell in row.split(",")] for row in rows[1:]],
        "weights_sha256": weights.hexdigest(),
        "summary": {name: summary[name] for name in kept},
        "parts": sorted(name for name in index if not name.startswith("_")),
    }


def rescored(bench: Bench) -> dict[str, Any]:
    """A run whose every number was computed anew from the frames that it kept."""
    bench.take("run")
    bench("tp-eval", "validate", "run", "--json")
    old = run_of(bench.folder / "run")
    bench("tp-eval", "rescore", "run")
    new = run_of(bench.folder / "run")
    same(new, old)
    bench("tp-leaderboard", "run", "--out", "site")
    return {"run": new}


def completed(bench: Bench) -> dict[str, Any]:
    """A run of the codec control that was killed after one of two clips, completed; another run beside it."""
    bench.take("run", "run_partial")
    kept = (bench.folder / "run_partial" / "cases" / "234862d5bf482b7d.json").read_bytes()
    words = ("--model", "reencode", *PART, "--out", "run_partial")
    assert len(json.loads(bench("tp-eval", *words, "--dry-run", "--json"))) == 1
    bench("tp-eval", *words)
    assert (bench.folder / "run_partial" / "cases" / "234862d5bf482b7d.json").read_bytes() == kept
    bench("tp-eval", "rescore", "run", "--statistics", "--codec-run", "run_partial")
    bench("tp-eval", "compare", "run", "run_partial", "--json")
    beside = run_of(bench.folder / "run")["run"]["long_form"]
    return {**run_of(bench.folder / "run_partial"), "long_form": beside}


def cross(bench: Bench) -> dict[str, Any]:
    """A run of the model on two pairs of people that was killed after the first, completed."""
    bench.take("checkpoint", "run_cross")
    words = (*CROSS, "--out", "run_cross")
    assert len(json.loads(bench("tp-eval", *words, "--dry-run", "--json"))) == 1
    bench("tp-eval", *words)
    return run_of(bench.folder / "run_cross")


def run_of(folder: Path) -> dict[str, Any]:
    """The documents of a run, and the hashes of its videos, without what is volatile."""
    paths = [folder / "run.json", *sorted((folder / "cases").glob("*.json"))]
    documents = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    run, *cases = [
        {name: value for name, value in document.items() if name not in VOLATILE} for document in documents
    ]
    assert run["status"] == "complete"
    return {"run": run, "cases": cases, "files": hashes(folder, "*/*.mp4")}


def clips(folder: Path) -> list[Any]:
    """Split, id and hash of every clip of a dataset, and the hash of the settings it was made with."""
    import pyarrow.parquet as pq

    columns = ["clip_id", "source_id", "num_frames", "sha256", "config_hash"]
    paths = sorted((folder / "manifest").glob("*.parquet"))
    rows = [(path.name, row) for path in paths for row in pq.read_table(path, columns=columns).to_pylist()]
    return [[name.partition("-")[0], *row.values()] for name, row in rows]


def contents(folder: Path) -> dict[str, bytes]:
    """All files of a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def hashes(folder: Path, pattern: str, hashed: Callable[[Path], str] | None = None) -> dict[str, str]:
    """Hashes of the files of a folder under their names; `file_sha256` marks what only these bits give."""
    return {
        f"{path.relative_to(folder).as_posix()} file_sha256": (hashed or digest)(path)
        for path in sorted(folder.glob(pattern))
    }


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def same(found: Any, expected: Any, where: str = "") -> None:
    """Refuse the first difference; elsewhere than on the machine of the golden values with a tolerance."""
    if isinstance(expected, dict):
        assert isinstance(found, dict) and found.keys() >= expected.keys(), where
        for name, value in expected.items():
            # LPIPS had no weights then and has them now.
            if name in WORDING or name == "lpips":
                continue
            if name == "weights":
                assert all(weight in found[name] for weight in value), where
                continue
            # Hashes of what was computed; those of what was given hold everywhere.
            computed = name.endswith(COMPUTED) or (name == "sha256" and "path" in expected)
            if EXACT or not computed:
                same(found[name], value, f"{where}/{name}")
    elif isinstance(expected, list):
        assert isinstance(found, list) and len(found) == len(expected), where
        for number, value in enumerate(expected):
            same(found[number], value, f"{where}/{number}")
    elif isinstance(expected, float) and isinstance(found, float) and not EXACT:
        assert math.isclose(found, expected, rel_tol=TOLERANCE, abs_tol=TOLERANCE), where
    else:
        assert found == expected, f"{where}: {found!r}, expected {expected!r}"


OBSERVATIONS: dict[str, Callable[[Bench], dict[str, Any]]] = {
    function.__name__: function
    for function in (
        read_dataset,
        drawn,
        film,
        training,
        rescored,
        completed,
        cross,
    )
}
