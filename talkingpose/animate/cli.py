"""Command line of `tp-animate`."""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from talkingpose.animate.batch_list import AnimateJob, read_batch_list
from talkingpose.io import console
from talkingpose.io.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from talkingpose.animate.animator import Animator
    from talkingpose.pipeline.feedback import FeedbackController

PROGRAM = "tp-animate"
_DEFAULT_FEEDBACK = "proportional"

app = console.application("Animate a portrait with the poses of a driving video.")
page = console.application("Animate portraits on a page in the browser, on this machine.")


class AnimateError(UserError):
    """Options that exclude each other or are incomplete."""


@app.command()
def animate(
    reference: Annotated[Path | None, typer.Option(help="Portrait: a picture.")] = None,
    driving: Annotated[
        Path | None,
        typer.Option(
            help="Driving video; poses as .npz (keypoints [T, 133, 3], fps, width, height); or drawn poses, "
            "as a video or a folder of pictures."
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Video to write, .mp4.")] = None,
    batch: Annotated[
        Path | None,
        typer.Option(help="CSV with the columns reference, driving, out: one video per line."),
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            "--model",
            "--checkpoint",
            help="auto, warp (no weights), tiny (bundled, for drawn speakers), hub (published), or a "
            "folder of weights. auto: hub if it is here, else warp, or tiny for a picture of 128 pixels.",
        ),
    ] = "auto",
    pose: Annotated[
        Literal["auto", "dwpose", "mediapipe"],
        typer.Option(
            help="Pose estimator; auto: dwpose for the published weights if it is here, else mediapipe."
        ),
    ] = "auto",
    driving_kind: Annotated[
        Literal["auto", "video", "pose", "keypoints"],
        typer.Option(help="Content of --driving: a film of a person, drawn poses, or a pose file."),
    ] = "auto",
    fps: Annotated[
        float | None, typer.Option(min=0.1, max=1000, help="Rate of a folder of pictures. [default: 25]")
    ] = None,
    start: Annotated[float, typer.Option(min=0, help="Start in the driving video, in seconds.")] = 0.0,
    duration: Annotated[
        float | None, typer.Option(min=0.001, help="Length of the film in seconds. [default: all]")
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            help="Size of the film, WxH; black bars keep the shape of the portrait. [default: of the model]"
        ),
    ] = None,
    gain: Annotated[
        float | None, typer.Option(help="Feedback gain; 0 makes frames independent. [default: 0.05]")
    ] = None,
    feedback: Annotated[
        str,
        typer.Option(
            help="Feedback controller, NAME or NAME,SETTING=VALUE,... (docs: Feedback controllers)."
        ),
    ] = _DEFAULT_FEEDBACK,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Denoising steps per frame. [default: of the checkpoint]")
    ] = None,
    guidance: Annotated[
        float | None,
        typer.Option(help="Classifier-free guidance; 1 turns it off. [default: of the checkpoint]"),
    ] = None,
    retarget: Annotated[
        Literal["auto", "on", "off"],
        typer.Option(
            help="Adapt poses to the portrait; auto: unless the portrait is the first driving frame."
        ),
    ] = "auto",
    keep_background: Annotated[
        bool,
        typer.Option("--keep-background", help="Paste the background of the portrait into the frames."),
    ] = False,
    audio: Annotated[bool, typer.Option("--audio", help="Keep the audio of the driving video.")] = False,
    seed: Annotated[int, typer.Option(help="Seed of the noise.")] = 42,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    precision: Annotated[
        Literal["auto", "float32", "bfloat16", "float16"],
        typer.Option(help="Type of the weights; auto: float16 on a GPU, float32 on a CPU."),
    ] = "auto",
    cpu_offload: Annotated[
        bool | None,
        typer.Option(
            "--cpu-offload/--no-cpu-offload",
            help="Keep one part of the model on the GPU at a time. [default: if memory is short]",
        ),
    ] = None,
    compiled: Annotated[
        bool,
        typer.Option("--compile", help="Compile the model first, in minutes; CUDA graphs on a GPU."),
    ] = False,
    parallel_frames: Annotated[
        int, typer.Option(min=1, help="Frames that are denoised at once: faster on a large GPU.")
    ] = 1,
    max_frames: Annotated[int | None, typer.Option(min=1, help="Maximum number of frames.")] = None,
    max_missing: Annotated[
        float,
        typer.Option(min=0, max=100, help="Warn if more than this % of the driving frames lack a part."),
    ] = 20.0,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at a missing part instead of a warning.")
    ] = False,
    preview: Annotated[
        bool, typer.Option("--preview", help="Make only OUT.preview.png, from the first frame.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace --out if it exists.")] = False,
    fresh: Annotated[
        bool,
        typer.Option(
            "--fresh", help="Start over instead of continuing; with --batch also make existing videos again."
        ),
    ] = False,
) -> int:
    """Animate a portrait with the poses of a driving video, at its frame rate.

    The same command continues a film that was stopped. `tp-animate app` opens a page in the browser.
    Exit code 3: some videos of --batch failed.
    """
    if batch is not None:
        if reference or driving or out:
            raise AnimateError("--batch: not together with --reference, --driving or --out: leave them out")
        jobs = read_batch_list(batch)
    elif reference is None or driving is None or out is None:
        raise AnimateError("--reference, --driving and --out: give all three, or --batch")
    else:
        jobs = [AnimateJob(reference, driving, out)]
    if preview and batch is not None:
        raise AnimateError("--preview: not together with --batch: leave one out")

    from talkingpose.animate.animator import AnimateOptions, Animator, preview_path
    from talkingpose.animate.film_shape import parse_size
    from talkingpose.io.progress import ConsoleProgress

    options = AnimateOptions(
        # Controllers import torch, which warp does not need.
        feedback=None if (feedback, gain) == (_DEFAULT_FEEDBACK, None) else _controller(feedback, gain),
        steps=steps,
        guidance=guidance,
        retarget=retarget,
        audio=audio,
        seed=seed,
        parallel_frames=parallel_frames,
        max_frames=max_frames,
        max_missing=max_missing,
        strict=strict,
        pose=pose,
        kind=driving_kind,
        fps=None if fps is None else Fraction(fps).limit_denominator(100_000),
        start=start,
        duration=duration,
        size=None if size is None else parse_size(size),
        keep_background=keep_background,
    )
    with ConsoleProgress() as progress:
        animator = Animator(
            model,
            options,
            device=device,
            precision=precision,
            cpu_offload=cpu_offload,
            compiled=compiled,
            overwrite=overwrite or preview or batch is not None,
            fresh=fresh,
            progress=progress,
        )
        if batch is not None:
            return _make_all(jobs, animator, fresh=fresh)
        animator.check(jobs[0])
        if preview:
            animator.preview(jobs[0])
            print(preview_path(jobs[0]))
            return console.EXIT_COMPLETE
        animator.make(jobs[0])
    print(jobs[0].out)
    return console.EXIT_COMPLETE


@page.command()
def open_page(
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="[default: the first free one from 7860]")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Selected model: auto, warp, tiny, hub or a folder. [default: auto]")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the page in the browser.")
    ] = True,
) -> None:
    """Serve a page on 127.0.0.1 until Ctrl-C: portrait and driving video in, film out.

    It needs gradio: pip install 'talkingpose[app]'.
    """
    from talkingpose.animate.app import serve

    serve(model, device, port, browser)


def _make_all(jobs: Sequence[AnimateJob], animator: Animator, *, fresh: bool) -> int:
    """Make the videos of a list that do not exist yet, or all with `fresh`."""
    due = [job for job in jobs if fresh or not job.out.is_file()]
    if len(due) < len(jobs):
        animator.progress.message(f"{len(jobs) - len(due)} of {len(jobs)} videos exist already")
    for job in due:
        animator.check(job)
    finished = 0
    for job in animator.make_all(due):
        finished += 1
        print(job.out, flush=True)
    if finished == len(due):
        return console.EXIT_COMPLETE
    failed = len(due) - finished
    animator.progress.message(f"{failed} of {len(due)} videos failed; run the same command to try them again")
    return console.EXIT_PARTIAL


def _controller(text: str, gain: float | None) -> FeedbackController:
    """Make the controller of `NAME,SETTING=VALUE,...` and `--gain`."""
    from talkingpose.pipeline.feedback import make_controller, setting_names

    name, *parts = text.split(",")
    settings: dict[str, str | float] = {}
    for part in parts:
        key, equals, value = part.partition("=")
        if not equals:
            raise AnimateError(f"--feedback {text}: {part}: give NAME,SETTING=VALUE,...")
        settings[key] = value
    if gain is not None:
        if "gain" not in setting_names(make_controller(name)):
            raise AnimateError(f"--gain {gain:g}: feedback {name} has no gain: leave it out")
        settings["gain"] = gain
    return make_controller(name, settings)


def main() -> None:
    """Run the command line; `tp-animate app` serves a page."""
    if sys.argv[1:2] == ["app"]:
        # A page without options shows itself, not its help.
        page.info.no_args_is_help = False
        console.run(page, f"{PROGRAM} app", sys.argv[2:], stopped="the page is closed")
    console.run(app, PROGRAM, stopped="the same command continues")
