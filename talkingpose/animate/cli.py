"""`tp-animate`: a portrait and a driving video become a video; the command line alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from talkingpose.animate.batch_list import Job, read_batch_list
from talkingpose.io import console
from talkingpose.io.errors import UserError

if TYPE_CHECKING:
    from talkingpose.animate.animator import Animator
    from talkingpose.pipeline.feedback import FeedbackController

PROGRAM = "tp-animate"

app = console.application("Animate one portrait with the poses of a driving video (the reference model).")


class AnimateError(UserError):
    """Options that do not go together."""


@app.command()
def animate(
    reference: Annotated[Path | None, typer.Option(help="The portrait: a picture.")] = None,
    driving: Annotated[
        Path | None,
        typer.Option(help="A video, or poses as .npz (keypoints [T, 133, 3], fps, width, height)."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The video to write, .mp4.")] = None,
    batch: Annotated[
        Path | None,
        typer.Option(help="CSV with the columns reference, driving, out instead: one film a line."),
    ] = None,
    checkpoint: Annotated[
        str, typer.Option(help="tiny (bundled), hub (published), or a folder of weights of either layout.")
    ] = "tiny",
    gain: Annotated[
        float | None, typer.Option(help="Feedback gain; 0 makes frames independent. [default: 0.05]")
    ] = None,
    feedback: Annotated[
        str,
        typer.Option(
            help="Controller: NAME or NAME,SETTING=VALUE,... (docs/reference/feedback-controllers.md)"
        ),
    ] = "proportional",
    steps: Annotated[
        int | None, typer.Option(min=1, help="Denoising steps per frame. [default: the checkpoint's]")
    ] = None,
    guidance: Annotated[
        float | None,
        typer.Option(help="Classifier-free guidance; 1 turns it off. [default: the checkpoint's]"),
    ] = None,
    retarget: Annotated[
        Literal["auto", "on", "off"],
        typer.Option(help="Poses in the portrait's proportions; auto: unless it is the first driving frame."),
    ] = "auto",
    audio: Annotated[bool, typer.Option("--audio", help="Keep the sound of the driving video.")] = False,
    seed: Annotated[int, typer.Option(help="Of the noise, drawn once for the video.")] = 42,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    precision: Annotated[
        Literal["auto", "float32", "bfloat16", "float16"],
        typer.Option(help="Of the weights; auto: float16 on a GPU, float32 on a CPU."),
    ] = "auto",
    cpu_offload: Annotated[
        bool | None,
        typer.Option(
            "--cpu-offload/--no-cpu-offload",
            help="Keep one part of the model on the GPU at a time. [default: where memory is short]",
        ),
    ] = None,
    compiled: Annotated[
        bool,
        typer.Option("--compile", help="Compile the model first, for minutes; CUDA graphs on a GPU."),
    ] = False,
    parallel_frames: Annotated[
        int, typer.Option(min=1, help="Frames that are denoised at once: pays on a large GPU.")
    ] = 1,
    max_frames: Annotated[int | None, typer.Option(min=1, help="Stop after so many frames.")] = None,
    max_missing: Annotated[
        float,
        typer.Option(min=0, max=100, help="Report a part that more than this % of the driving frames lack."),
    ] = 20.0,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop where a part is missing, instead of reporting it.")
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="With --batch: make films again that are there already.")
    ] = False,
) -> int:
    """Portrait and driving video in, video at the driving rate out. Exit code 3: some films were not made."""
    if batch is not None:
        if reference or driving or out:
            raise AnimateError("--batch: its list names portrait, driving and out: leave the options out")
        films = read_batch_list(batch)
    elif reference is None or driving is None or out is None:
        raise AnimateError("--reference, --driving and --out: give all three, or --batch")
    else:
        films = [Job(reference, driving, out)]

    from talkingpose.animate.animator import AnimateOptions, Animator

    options = AnimateOptions(
        feedback=_controller(feedback, gain),
        steps=steps,
        guidance=guidance,
        retarget=retarget,
        audio=audio,
        seed=seed,
        parallel_frames=parallel_frames,
        max_frames=max_frames,
        max_missing=max_missing,
        strict=strict,
    )
    maker = Animator(
        checkpoint,
        options,
        device=device,
        precision=precision,
        cpu_offload=cpu_offload,
        compiled=compiled,
        say=lambda line: console.note(f"{PROGRAM}: {line}"),
    )
    if batch is not None:
        return _make_all(films, maker, fresh=fresh)
    maker.check(films[0])
    maker.make(films[0])
    print(films[0].out)
    return console.EXIT_COMPLETE


def _make_all(films: Sequence[Job], maker: Animator, *, fresh: bool) -> int:
    """Make the films of a list; one that fails is named, and the others are made."""
    wanted = [film for film in films if fresh or not film.out.is_file()]
    if len(wanted) < len(films):
        maker.say(f"{len(films) - len(wanted)} of {len(films)} films are there already")
    for film in wanted:
        maker.check(film)
    failed = 0
    for number, film in enumerate(wanted, start=1):
        maker.say(f"film {number} of {len(wanted)}: {film.out}")
        try:
            maker.make(film)
        except UserError as error:
            failed += 1
            maker.say(f"not made: {' '.join(str(error).split())}")
            continue
        print(film.out, flush=True)
    if not failed:
        return console.EXIT_COMPLETE
    maker.say(f"{failed} of {len(wanted)} films were not made; the same command tries them again")
    return console.EXIT_PARTIAL


def _controller(text: str, gain: float | None) -> FeedbackController:
    """`NAME,SETTING=VALUE,...` and `--gain` as a controller."""
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
    """Entry point of `tp-animate`."""
    console.run(app, PROGRAM, stopped="a film that was not finished is made anew")
