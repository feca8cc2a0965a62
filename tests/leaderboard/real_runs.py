"""Real runs of a few small frames, and the ways to forge them."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmark.protocols.protocol import Protocol
from benchmark.results import read_case, read_run, write_document
from benchmark.run_check.scores import family
from benchmark.run_dir import RunDir
from benchmark.runner.summarize import metrics_under, summarize
from tests.benchmark.tiny_runs import tiny_protocol

METRICS = ("psnr", "psnr_pooled", "ssim", "l1", "tje", "tje_skill", "motion_ratio")
PROTOCOL: Protocol = tiny_protocol().model_copy(update={"metrics": dict.fromkeys(METRICS, 1)})
NOISE = "tests.benchmark.sample_contestants:Noise"
Attack = Callable[[Path], object]


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a JSON document."""
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def cases_of(run: Path) -> list[Path]:
    return sorted((run / "cases").glob("*.json"))


def edit_cases(run: Path, change: Callable[[dict[str, Any]], object]) -> None:
    for path in cases_of(run):
        edit(path, change)


def edit_frames(run: Path, columns: Mapping[str, Callable[[np.ndarray], np.ndarray]]) -> None:
    """Change columns of the frame scores of every clip."""
    for path in sorted((run / "frames").glob("*.parquet")):
        table = pq.read_table(path)
        for name, change in columns.items():
            values = np.asarray(table.column(name).to_numpy(), np.float64)
            index = table.column_names.index(name)
            table = table.set_column(index, name, pa.array(change(values), from_pandas=True))
        pq.write_table(table, path)


def aggregate(run: Path) -> None:
    """Compute the numbers of `run.json` from its cases, as `tp-eval rescore --statistics` does."""
    document = read_run(run)
    cases = [read_case(run / f"cases/{clip_id}.json") for clip_id in document.cases]
    numbers = summarize(RunDir(run), PROTOCOL, metrics_under(PROTOCOL), cases, document.dataset.n_cases)
    write_document(
        document.model_copy(update={"metrics": numbers.metrics, "drift": numbers.drift}), run / "run.json"
    )


def score_from_frames(run: Path) -> None:
    """Set the scores of every clip to what its frame scores give, then aggregate."""
    for path in cases_of(run):
        table = pq.read_table(run / f"frames/{path.stem}.parquet")
        edit(path, lambda document, table=table: _renew(document["metrics"], table))
    aggregate(run)


def _renew(scores: dict[str, Any], table: pa.Table) -> None:
    for name, score in scores.items():
        if family(name) == "tje_skill":
            error = name.replace("tje_skill", "tje")
            motion = scores[error]["value"] / (1 - score["value"])
            score["value"] = 1 - float(np.nanmean(table.column(error).to_numpy())) / motion
    for name in table.column_names[1:]:
        if family(name) != "motion_ratio":
            scores[name]["value"] = float(np.nanmean(table.column(name).to_numpy()))
    error = np.mean(10 ** (-table.column("psnr").to_numpy() / 10))
    scores["psnr_pooled"]["value"] = float(-10 * np.log10(error))


def relabel(name: str, *, control: bool, saw: bool = False, **args: Any) -> Attack:
    """Give a run the name of another contestant."""
    fields = {"name": name, "control": control, "args": args}
    fields |= {"saw_driving_frames": saw, "driving_frames": "all" if saw else "none"}
    return lambda run: edit(run / "run.json", lambda d: d["contestant"].update(fields))


def better_everywhere(run: Path) -> None:
    """Raise PSNR and lower every error in frame scores, clips and run, in agreement."""
    edit_frames(
        run,
        {
            "psnr": lambda v: np.full_like(v, 45.0),
            "l1": lambda v: np.full_like(v, 1.0),
            "tje@1": lambda v: v / 20,
            "tje@2": lambda v: v / 20,
        },
    )
    score_from_frames(run)


def psnr_everywhere(run: Path) -> None:
    """Raise PSNR alone in frame scores, clips and run, in agreement."""
    edit_frames(run, {"psnr": lambda v: np.full_like(v, 45.0)})
    score_from_frames(run)


def psnr_in_cases(run: Path) -> None:
    edit_cases(run, lambda d: d["metrics"]["psnr"].update(value=45.0))
    aggregate(run)


def without_the_worst_clip(run: Path) -> None:
    """Drop a clip from the run, and aggregate the others."""
    gone = cases_of(run)[0]

    def drop(document: dict[str, Any]) -> None:
        document["cases"].remove(gone.stem)
        document["dataset"]["n_cases"] -= 1

    edit(run / "run.json", drop)
    gone.unlink()
    aggregate(run)


def one_cluster_each(run: Path) -> None:
    for number, path in enumerate(cases_of(run)):
        edit(path, lambda d, number=number: d.update(cluster=f"nobody {number}"))
    aggregate(run)


def video_of_the_truth(run: Path) -> None:
    """Replace every video by the real one, with its hash."""
    for path in cases_of(run):
        video = run.parent / f"ground-truth/videos/{path.stem}.mp4"
        shutil.copy(video, run / f"videos/{path.stem}.mp4")
        sha256 = hashlib.sha256(video.read_bytes()).hexdigest()
        edit(path, lambda d, sha256=sha256: d["video"].update(sha256=sha256))


def as_model(control: str) -> Attack:
    """Replace a run by one of a control under another name."""

    def place(run: Path) -> None:
        shutil.rmtree(run)
        shutil.copytree(run.parent / control, run)
        relabel("mine", control=False)(run)

    return place


FORGERIES: dict[str, tuple[str, Attack, str]] = {
    "psnr in run.json": (
        "noise",
        lambda r: edit(r / "run.json", lambda d: d["metrics"]["psnr"].update(value=45.0, ci95=[44, 46])),
        "metric psnr",
    ),
    "a curve in run.json": (
        "noise",
        lambda r: edit(r / "run.json", lambda d: d["drift"]["ssim"].update(slope_per_100_frames=0.5)),
        "drift of ssim",
    ),
    "psnr in the cases": (
        "noise",
        lambda r: edit_cases(r, lambda d: d["metrics"]["psnr"].update(value=45.0)),
        "psnr: the frame scores give",
    ),
    "psnr in cases and run.json": ("noise", psnr_in_cases, "psnr: the frame scores give"),
    "skill in the cases": (
        "noise",
        lambda r: (edit_cases(r, lambda d: d["metrics"]["tje_skill@1"].update(value=0.9)), aggregate(r)),
        "tje_skill@1",
    ),
    "psnr in the frame scores": (
        "noise",
        lambda r: edit_frames(r, {"psnr": lambda v: np.full_like(v, 45.0)}),
        "psnr: the frame scores give",
    ),
    "psnr everywhere": ("noise", psnr_everywhere, "psnr is higher than l1 allows"),
    "every score everywhere": ("noise", better_everywhere, "the videos show"),
    "another video with its hash": ("noise", video_of_the_truth, "the videos show"),
    "a video without its hash": (
        "noise",
        lambda r: shutil.copy(r.parent / "ground-truth/videos/tiny-a.mp4", r / "videos/tiny-a.mp4"),
        "not the file whose hash",
    ),
    "a clip less": (
        "noise",
        lambda r: edit(r / "run.json", lambda d: d["cases"].pop()),
        "names 2 clips",
    ),
    "a clip less, aggregated": ("noise", without_the_worst_clip, "names other clips"),
    "more clusters": ("noise", one_cluster_each, "differ from the run of ground-truth"),
    "another seed": ("noise", lambda r: edit(r / "run.json", lambda d: d.update(seed=7)), "its seed is not"),
    "a limit taken away": (
        "noise",
        lambda r: edit(
            r / "run.json",
            lambda d: d["audit"].append({"kind": "limit", "clip_id": None, "message": "the first 3"}),
        ),
        "marked as comparable",
    ),
    "ground-truth as a model": (
        "ground-truth",
        relabel("mine", control=False),
        "every frame is the real one",
    ),
    "frozen as a model": ("noise", as_model("frozen"), "those of the control frozen"),
    "reencode as a model": ("noise", as_model("reencode"), "those of the control reencode"),
    "a control that is not marked": (
        "frozen",
        lambda r: edit(r / "run.json", lambda d: d["contestant"].update(control=False)),
        "frozen is a control",
    ),
    "a model as ground-truth": (
        "noise",
        relabel("ground-truth", control=True, saw=True),
        "it is not ground-truth",
    ),
    "a model as frozen": ("noise", relabel("frozen", control=True), "it is not frozen"),
    "a model as reencode": (
        "noise",
        relabel("reencode", control=True, saw=True),
        "is not the real frame as reencode shows it",
    ),
    "a model as lag": (
        "noise",
        relabel("lag", control=True, saw=True, frames=1),
        "is not the real frame as lag shows it",
    ),
}


def _deep(run: Path) -> None:
    text = (run / "run.json").read_text()
    (run / "run.json").write_text(
        text.replace('"python"', f'"deep": {"[" * 100_000}{"]" * 100_000}, "python"')
    )


def _million_keys(run: Path) -> None:
    text = (run / "run.json").read_text()
    keys = ", ".join(f'"{number}": 0' for number in range(10**6))
    (run / "run.json").write_text(text.replace('"python"', f'{keys}, "python"'))


def _fifo(run: Path) -> None:
    (run / "run.json").unlink()
    os.mkfifo(run / "run.json")


def _link(name: str, target: str) -> Attack:
    def place(run: Path) -> None:
        (run / name).unlink()
        (run / name).symlink_to(run.parent / target if not target.startswith("/") else target)

    return place


def _metric(**fields: Any) -> Attack:
    return lambda run: edit(run / "run.json", lambda d: d["metrics"]["psnr"].update(fields))


HOSTILE: dict[str, tuple[Attack, str]] = {
    "deep JSON": (_deep, "nested"),
    "a million keys": (_million_keys, "more than"),
    "a name of 2 MB": (
        lambda r: edit(r / "run.json", lambda d: d["contestant"].update(name="x" * 2_000_000)),
        "characters",
    ),
    "10^4000 parameters": (
        lambda r: edit(r / "run.json", lambda d: d["contestant"].update(parameters=10**4000)),
        "larger than",
    ),
    "-1 parameters": (
        lambda r: edit(r / "run.json", lambda d: d["contestant"].update(parameters=-1)),
        "parameters",
    ),
    "a curve of 1e308": (
        lambda r: edit(r / "run.json", lambda d: d["drift"]["psnr"].update(mean=[1e308])),
        "larger than",
    ),
    "a curve of 1e15": (
        lambda r: edit(r / "run.json", lambda d: d["drift"]["ssim"].update(slope_per_100_frames=1e15)),
        "slope_per_100_frames",
    ),
    "a reversed interval": (_metric(ci95=[30.0, 20.0]), "reversed"),
    "a negative count": (_metric(n_frames=-5), "n_frames"),
    "NaN": (
        lambda r: (r / "run.json").write_text(
            (r / "run.json").read_text().replace('"seed": 0', '"seed": NaN')
        ),
        "not finite",
    ),
    "a FIFO as run.json": (_fifo, "not a regular file"),
    "a device as run.json": (_link("run.json", "/dev/zero"), "leads out of the run"),
    "another run's run.json": (_link("run.json", "frozen/run.json"), "leads out of the run"),
    "another run's case": (_link("cases/tiny-a.json", "frozen/cases/tiny-a.json"), "leads out of the run"),
    "another run's frames": (_link("frames/tiny-a.parquet", "frozen/frames/tiny-a.parquet"), "leads out"),
    "another run's video": (_link("videos/tiny-a.mp4", "frozen/videos/tiny-a.mp4"), "leads out of the run"),
    "a case with too many keys": (
        lambda r: edit(
            cases_of(r)[0], lambda d: d["metrics"].update(dict.fromkeys(map(str, range(110_000))))
        ),
        "more than",
    ),
    "half a case": (lambda r: cases_of(r)[0].write_text("{"), "invalid JSON"),
    "frames that are no table": (lambda r: (r / "frames/tiny-a.parquet").write_bytes(b"x"), "not readable"),
    "frames of a billion rows": (
        lambda r: edit(cases_of(r)[0], lambda d: d.update(num_frames=2**31 - 1)),
        "at most",
    ),
}
