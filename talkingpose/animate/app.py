"""Page in the browser: `tp-animate app`. The same file runs as a Space of the Hub (`sdk: gradio`).

The page binds to the loopback interface, shares and reports nothing, and loads nothing from other hosts. One
film is made at a time; others wait.
"""

from __future__ import annotations

import os
import shlex
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from talkingpose.animate.batch_list import AnimateJob
from talkingpose.io.errors import UserError
from talkingpose.io.progress import Progress

if TYPE_CHECKING:
    from talkingpose.animate.animator import AnimateOptions
    from talkingpose.animate.driving_poses import DrivingPictures, DrivingPoses
    from talkingpose.pipeline.talkingpose_pipeline import TalkingPosePipeline

MAX_UPLOAD = "200mb"
# Longest film, in seconds, and the length that the page starts with.
LONGEST_S, LENGTH_S = 60, 5
_WAITING = 8
# Longer side of the driving video and the skeleton beside the film.
_SHOWN_SIDE = 512
_REPORT_EVERY_S = 0.25
# Values of the page in their order, by the names of the command's options.
_SETTINGS = (
    "start", "duration", "model", "pose", "retarget", "size", "steps", "guidance", "gain", "seed", "audio",
)  # fmt: skip
_TITLE = "TalkingPose: animate a portrait"
# On a Space the address is that of its container.
_ON_SPACE = "SPACE_ID" in os.environ


class AppError(UserError):
    """A page that cannot be opened."""


class StoppedError(UserError):
    """A film that the user stopped."""


class Studio:
    """Maker of the films of a page, one at a time.

    Args:
        models: choices of the page; the first is selected.
        device: as for `Animator`.
    """

    def __init__(self, models: tuple[str, ...], device: str = "auto") -> None:
        self.models = models
        self._device = device
        self._pipelines: dict[str, TalkingPosePipeline] = {}
        # Only this user can read it; the folder of the last film is inside.
        self._folder = Path(tempfile.mkdtemp(prefix="talkingpose-app-"))
        self._owner, self._stopped = "", threading.Event()

    def make(
        self,
        portrait: str | None,
        clip: str | None,
        settings: dict[str, Any],
        report: Callable[[float | None, str], None],
        owner: str = "",
    ) -> tuple[str, str, str, str]:
        """Make a film.

        Args:
            portrait, clip: paths of the uploads, None without.
            settings: values of the page, by the names of the command's options.
            report: receives the finished share, None if unknown, and a line.
            owner: session that may stop the film.

        Returns:
            Paths of film, driving video and skeleton, and the lines of the command.

        Raises:
            UserError: an upload or a setting cannot be used, or the film was stopped.
        """
        from talkingpose.animate.animator import Animator

        if portrait is None or clip is None:
            missing = "portrait" if portrait is None else "driving video"
            raise AppError(f"no {missing}: upload one, or record it with the camera")
        self._owner = owner
        self._stopped.clear()
        folder = self._folder / "film"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        job = AnimateJob(Path(portrait), Path(clip), folder / "film.mp4")
        progress = PageProgress(report, self._stopped)
        animator = Animator(
            settings["model"],
            options_of(settings),
            device=self._device,
            progress=progress,
            pipelines=self._pipelines,
        )
        animator.check(job)
        driving = animator.driving(job)
        shown, skeleton = folder / "driving.mp4", folder / "skeleton.mp4"
        write_driving(Path(clip), animator.options, shown)
        write_skeleton(driving, shown, skeleton)
        animator.make(job, driving)
        return str(job.out), str(shown), str(skeleton), "\n".join(progress.lines)

    def stop(self, owner: str = "") -> None:
        """Stop the running film of a session at its next frame."""
        if owner == self._owner:
            self._stopped.set()

    def close(self) -> None:
        """Delete the films."""
        shutil.rmtree(self._folder, ignore_errors=True)


class PageProgress(Progress):
    """Progress of a film on the page.

    Args:
        report: receives the finished share, None if unknown, and a line.
        stopped: set to stop at the next frame.
    """

    def __init__(self, report: Callable[[float | None, str], None], stopped: threading.Event) -> None:
        self.lines: list[str] = []
        self._report, self._stopped = report, stopped
        self._label, self._total, self._done = "", 0, 0
        self._begun = self._last = time.monotonic()

    def message(self, text: str) -> None:
        """Keep a line and show it."""
        self.lines.append(text)
        self._report(None, text)

    def start(self, label: str, total: int | None, unit: str = "") -> None:
        """Begin another piece of work."""
        self._label, self._total, self._done = label, total or 0, 0
        self._begun = self._last = time.monotonic()
        self._report(0.0, label)

    def advance(self, steps: int = 1) -> None:
        """Count frames; StoppedError if the user stopped the film."""
        if self._stopped.is_set():
            raise StoppedError("stopped")
        self._done += steps
        now = time.monotonic()
        if now - self._last < _REPORT_EVERY_S:
            return
        self._last = now
        if not self._total:
            self._report(None, f"{self._label}: {self._done}")
            return
        left = (now - self._begun) / self._done * max(self._total - self._done, 0)
        line = f"{self._label}: {self._done} of {self._total}, about {left:.0f} s left"
        self._report(min(self._done / self._total, 1.0), line)


def options_of(settings: dict[str, Any]) -> AnimateOptions:
    """Return the options of `Animator` for the values of the page.

    Raises:
        UserError: one cannot be used.
    """
    from talkingpose.animate.animator import AnimateOptions
    from talkingpose.animate.film_shape import parse_size

    gain = settings.get("gain")
    feedback = None
    if gain is not None:
        from talkingpose.pipeline.feedback import make_controller

        feedback = make_controller("proportional", {"gain": gain})
    size = (settings.get("size") or "").strip()
    steps, seed = settings.get("steps"), settings.get("seed")
    return AnimateOptions(
        feedback=feedback,
        steps=None if steps is None else int(steps),
        guidance=settings.get("guidance"),
        retarget=settings.get("retarget") or "auto",
        audio=bool(settings.get("audio")),
        seed=AnimateOptions.seed if seed is None else int(seed),
        pose=settings.get("pose") or "auto",
        start=float(settings.get("start") or 0),
        duration=min(float(settings.get("duration") or LENGTH_S), LONGEST_S),
        size=parse_size(size) if size else None,
    )


def command_line(portrait: str | None, clip: str | None, settings: dict[str, Any]) -> str:
    """Return the command that makes the film of the page."""
    words = ["tp-animate", "--reference", Path(portrait or "portrait.png").name]
    words += ["--driving", Path(clip or "talk.mp4").name, "--model", str(settings["model"])]
    defaults = {"start": 0, "pose": "auto", "retarget": "auto", "size": "", "seed": 42}
    for name in ("start", "duration", "pose", "size", "steps", "guidance", "gain", "seed", "retarget"):
        value = settings.get(name)
        if value is None or value == defaults.get(name):
            continue
        words += [f"--{name}", f"{value:g}" if isinstance(value, float) else str(value)]
    words += ["--audio"] if settings.get("audio") else []
    return shlex.join([*words, "--out", "film.mp4"])


def write_driving(clip: Path, options: AnimateOptions, out: Path) -> None:
    """Write the used part of the driving video, small enough for the page."""
    from talkingpose.animate.driving_source import open_source
    from talkingpose.media import VideoWriter, resize_image

    source = open_source(clip)
    size = _shown_size(source.width, source.height)
    with VideoWriter(out, fps=source.fps, preset="veryfast") as writer:
        for _, image in source.frames(options.span):
            writer.write(resize_image(image, size, "area"))


def write_skeleton(driving: DrivingPoses | DrivingPictures, shown: Path, out: Path) -> None:
    """Write the skeleton of the driving poses; drawn poses are their own skeleton."""
    from talkingpose.animate.driving_poses import DrivingPictures
    from talkingpose.media import VideoWriter
    from talkingpose.pose.overlay import pose_image

    if isinstance(driving, DrivingPictures):
        shutil.copyfile(shown, out)
        return
    width, height = _shown_size(driving.width, driving.height)
    with VideoWriter(out, fps=driving.fps, preset="veryfast") as writer:
        for keypoints in driving.keypoints:
            writer.write(pose_image(keypoints, height, width))


def build(studio: Studio) -> Any:
    """Return the page, a `gradio.Blocks`.

    Raises:
        AppError: gradio is not installed.
    """
    gr = _gradio()
    with gr.Blocks(title=_TITLE, analytics_enabled=False, delete_cache=(3600, 6 * 3600)) as page:
        gr.Markdown(f"# {_TITLE}\nUpload a portrait and a video of a person, or record them.")
        with gr.Row():
            sources = ["upload", "webcam"]
            portrait = gr.Image(label="Portrait", sources=sources, type="filepath", height=320)
            # The file as it is: orientation and depth are read like those of the command.
            portrait.preprocess = _path_of
            clip = gr.Video(label="Driving video", sources=sources, include_audio=True, height=320)
        with gr.Row():
            start = gr.Number(0, label="Start (s)", minimum=0)
            duration = gr.Slider(0.2, LONGEST_S, value=LENGTH_S, step=0.2, label="Length (s)")
            model = gr.Dropdown(list(studio.models), value=studio.models[0], label="Model")
        with gr.Accordion("Settings", open=False), gr.Row():
            pose = gr.Dropdown(["auto", "dwpose", "mediapipe"], value="auto", label="Pose estimator")
            retarget = gr.Dropdown(["auto", "on", "off"], value="auto", label="Retarget poses")
            size = gr.Textbox("", label="Size (WxH)", placeholder="of the model")
            steps = gr.Number(None, label="Steps", precision=0, minimum=1)
            guidance = gr.Number(None, label="Guidance")
            gain = gr.Number(None, label="Feedback gain")
            seed = gr.Number(42, label="Seed", precision=0)
            audio = gr.Checkbox(False, label="Keep the audio")
        with gr.Row():
            generate = gr.Button("Generate", variant="primary", elem_id="generate")
            stop = gr.Button("Stop", elem_id="stop")
        with gr.Row():
            film = gr.Video(label="Film", interactive=False, elem_id="film", autoplay=True, loop=True)
            shown = gr.Video(label="Driving video", interactive=False, elem_id="driving", loop=True)
            skeleton = gr.Video(label="Skeleton", interactive=False, elem_id="skeleton", loop=True)
        lines = gr.Textbox(label="Messages", interactive=False, lines=3, elem_id="messages")
        command = gr.Textbox(label="The same on the command line", interactive=False, elem_id="command")
        download = gr.File(label="Download", interactive=False, elem_id="download")

        values = [start, duration, model, pose, retarget, size, steps, guidance, gain, seed, audio]

        # gradio passes the request by its annotation and the progress by its default.
        shown_progress = gr.Progress()

        def run(request: Any, progress: Any = shown_progress, *given: Any) -> tuple[Any, ...]:
            image, video, *rest = given
            settings = dict(zip(_SETTINGS, rest, strict=True))

            def report(share: float | None, line: str) -> None:
                progress(share, desc=line)

            owner = getattr(request, "session_hash", "") or ""
            try:
                paths = studio.make(image, video, settings, report, owner)
            except UserError as error:
                raise gr.Error(" ".join(str(error).split()), print_exception=False) from None
            return *paths[:3], paths[3], command_line(image, video, settings), paths[0]

        run.__annotations__["request"] = gr.Request
        outputs = [film, shown, skeleton, lines, command, download]
        hidden = {"api_visibility": "private"}
        generate.click(run, [portrait, clip, *values], outputs, concurrency_limit=1, **hidden)

        def halt(request: Any) -> None:
            studio.stop(getattr(request, "session_hash", "") or "")

        halt.__annotations__["request"] = gr.Request
        stop.click(halt, None, None, queue=False, **hidden)
    return page


def launch(studio: Studio, *, port: int | None = None, open_browser: bool = False) -> tuple[Any, str]:
    """Serve the page in a background thread.

    Args:
        studio: maker of the films.
        port: None for the first free one from 7860.
        open_browser: open it in the browser of this machine.

    Returns:
        The page and its address. `page.close()` ends it.

    Raises:
        AppError: gradio is not installed, or the port is in use.
    """
    gr = _gradio()
    page = build(studio).queue(max_size=_WAITING, default_concurrency_limit=1, api_open=False)
    system = ("system-ui", "sans-serif")
    try:
        _, address, _ = page.launch(
            server_name=None if _ON_SPACE else "127.0.0.1",
            server_port=port,
            share=False,
            inbrowser=open_browser,
            prevent_thread_lock=True,
            quiet=True,
            footer_links=[],
            max_file_size=MAX_UPLOAD,
            enable_monitoring=False,
            ssr_mode=False,
            theme=gr.themes.Base(font=system, font_mono=("ui-monospace", "monospace")),
        )
    except OSError as error:
        raise AppError(f"--port {port}: cannot be used: give another, or leave it out") from error
    return page, cast(str, address)


def serve(
    model: str | None = None, device: str = "auto", port: int | None = None, open_browser: bool = False
) -> None:
    """Serve the page until Ctrl-C.

    Args:
        model: selected model; a folder becomes another choice.
        device: as for `Animator`.
        port: None for the first free one from 7860.
        open_browser: open it in the browser of this machine.

    Raises:
        AppError, CheckpointError: gradio is missing, the port is in use, or there is no such model.
    """
    studio = Studio(models_of(model), device)
    try:
        page, address = launch(studio, port=port, open_browser=open_browser)
        print(f"{address} (Ctrl-C ends it)", flush=True)
        page.block_thread()
    finally:
        studio.close()


def models_of(selected: str | None = None) -> tuple[str, ...]:
    """Return the choices of the page, the selected one first.

    Raises:
        CheckpointError: the selected model is none.
    """
    from talkingpose.animate.model_choice import AUTO, TINY, WARP, published_weights_present
    from talkingpose.model.checkpoint_folder import HUB_CHECKPOINT, checkpoint_folder

    known = [AUTO, WARP, TINY, *([HUB_CHECKPOINT] if published_weights_present() else [])]
    if selected is None:
        return tuple(known)
    if selected not in known:
        checkpoint_folder(selected)
    return selected, *(name for name in known if name != selected)


def _path_of(payload: Any) -> str | None:
    """Return the path of an upload."""
    return None if payload is None else cast("str | None", payload.path)


def _shown_size(width: int, height: int) -> tuple[int, int]:
    scale = min(1.0, _SHOWN_SIDE / max(width, height))
    even_width, even_height = (max(2, round(side * scale / 2) * 2) for side in (width, height))
    return even_width, even_height


def _gradio() -> Any:
    # Before the import, which reads them.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        import gradio
    except ImportError as error:
        raise AppError("app: gradio is not installed: pip install 'talkingpose[app]'") from error
    return gradio


if __name__ == "__main__":
    serve()
