"""Scores against the videos beside the runs.

The run of ground-truth has the real video of each clip, and the run of frozen its portrait. The videos are
encoded, so their scores differ from those of the frames. The tolerances cover H.264 at CRF 18; a change of
the scores within them is not seen.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from benchmark.results import CaseResult, ResultError, Run
from benchmark.run_check.checked_run import CheckedRun
from benchmark.run_check.controls import OF_REAL_FRAMES
from benchmark.run_check.files import Floats, read_frame_table
from benchmark.run_check.problem import RunProblem, contradiction, unchecked
from benchmark.run_dir import RunDir
from talkingpose.io.image import Image
from talkingpose.media import MediaError, VideoReader

# Clips of a run whose videos are decoded, and pairs of neighbouring frames compared in each.
SAMPLED_CLIPS = 3
_SAMPLED_FRAMES = 12
# Levels of 0 to 255. H.264 at CRF 18 changed the errors of real footage by less than 0.3 levels. With added
# white noise of +-12 levels they became up to 4 levels smaller, because encoding removes noise.
_ENCODING_ERROR = 5.0  # root mean square error that the encoding of one video adds
_MORE, _LESS = 3.0, 6.0  # how much more or less error the videos may show than the scores say
_COLOUR_ERROR = 3.0  # difference of the mean colour of a frame
# Frames of a model that come this close to the real ones, up to a common offset, in this many frames' delay.
_NEAR_REAL, _MAX_DELAY = 5.0, 4
# A control that is made of the real frames keeps this close to them, encoded twice.
_CONTROL_ERROR = 12.0
# Mean change in levels of an encoded video without motion, from frame to frame and since the first.
_STILL_STEP, _STILL_CHANGE = 1.5, 4.0
_DARK, _BRIGHT = 8, 247

Frames = Mapping[int, Image]


def check_videos(checked: CheckedRun, truth: CheckedRun, clips: Sequence[str]) -> Iterator[RunProblem]:
    """Compare the scores of some clips with the videos.

    Args:
        checked: the run.
        truth: a run over the same clips: of ground-truth where the protocol has real frames, else of frozen.
        clips: ids of the clips to decode, in both runs.
    """
    control = checked.run.contestant.control
    for clip_id in clips:
        case = checked.cases[clip_id]
        try:
            times = sampled_times(case.num_frames)
            delays = (_lag(checked.run), *range(_MAX_DELAY + 1))
            real = read_frames(truth, clip_id, {max(t - delay, 0) for t in times for delay in delays})
            generated = read_frames(checked, clip_id, times)
            table = read_frame_table(RunDir(checked.folder), case)
        except (MediaError, ResultError) as error:
            yield unchecked(f"videos/{clip_id}.mp4", str(error))
            continue
        problem = _score_problem(table, real, generated, times)
        if problem is None and control:
            problem = _control_problem(checked.run, case, real, generated, times)
        blind = "psnr" in table and not (control or checked.run.contestant.saw_driving_frames)
        if blind and _shows_real_frames(real, generated, times):
            message = "as close to the real frames as a re-encoded original, without having seen them"
            yield unchecked(f"videos/{clip_id}.mp4", message)
        if problem is not None:
            yield contradiction(f"videos/{clip_id}.mp4", problem)


def check_stillness(checked: CheckedRun, clips: Sequence[str]) -> Iterator[RunProblem]:
    """Check that the videos of a run of frozen show no motion."""
    for clip_id in clips:
        try:
            times = sampled_times(checked.cases[clip_id].num_frames)
            frames = read_frames(checked, clip_id, {0, *times})
        except (MediaError, ResultError) as error:
            yield unchecked(f"videos/{clip_id}.mp4", str(error))
            continue
        change = max(_mean_error(frames[0], frames[t]) for t in times)
        if change > _STILL_CHANGE:
            yield contradiction(
                f"videos/{clip_id}.mp4", f"it moves by {change:.1f} levels, so it is not frozen"
            )


def sample_clips(checked: CheckedRun, among: Sequence[str]) -> list[str]:
    """Choose the clips to decode at random, so that the choice cannot be predicted."""
    found = sorted(clip for clip in among if clip in checked.cases and checked.cases[clip].video is not None)
    return sorted(random.SystemRandom().sample(found, min(SAMPLED_CLIPS, len(found))))


def sampled_times(num_frames: int) -> list[int]:
    """Choose frames with their neighbours, over the whole clip, with a random start."""
    step = max(2, num_frames // _SAMPLED_FRAMES)
    first = random.SystemRandom().randrange(min(step, num_frames))
    return sorted(
        {t for start in range(first, num_frames, step) for t in (start, start + 1) if t < num_frames}
    )


def read_frames(checked: CheckedRun, clip_id: str, times: Sequence[int] | set[int]) -> dict[int, Image]:
    """Decode a video of a run and convert the frames at some times, uint8 RGB (H, W, 3).

    Raises:
        MediaError: the video cannot be decoded.
        ResultError: there is no video, or it has another size or length than the case says.
    """
    case = checked.cases[clip_id]
    video = case.lossless or case.video
    if video is None:
        raise ResultError("the run kept no video of this clip")
    path = checked.folder / video.path
    if not path.is_file():
        raise ResultError("the video is not in the run's folder")
    frames: dict[int, Image] = {}
    count = 0
    with VideoReader(path) as reader:
        if (reader.info.width, reader.info.height) != (case.width, case.height):
            size = f"{reader.info.width}x{reader.info.height}"
            raise ResultError(f"the video is {size}, the case says {case.width}x{case.height}")
        for frame in reader.lazy_frames():
            if count in times:
                frames[count] = frame.image()
            count += 1
            if count > case.num_frames:
                break
    if count != case.num_frames:
        raise ResultError(f"the video does not have the {case.num_frames} frames of the case")
    return frames


def _score_problem(
    table: Mapping[str, Floats], real: Frames, generated: Frames, times: Sequence[int]
) -> str | None:
    """Return a score that the videos rule out."""
    if "psnr" in table:
        claimed = 255 * 10 ** (-np.nan_to_num(table["psnr"][times], nan=np.inf) / 20)
        seen = np.array([_root_mean_square(real[t], generated[t]) for t in times])
        mean_seen, mean_said = (float(np.square(errors).mean()) for errors in (seen, claimed))
        # Errors of encoding are independent of each other, so their squares add.
        most = math.sqrt(mean_said + 2 * _ENCODING_ERROR**2) + 1
        if not math.sqrt(mean_said) - _LESS <= math.sqrt(mean_seen) <= most:
            values = f"about {_psnr(seen):.1f} dB, the frame scores give {_psnr(claimed):.1f}"
            return f"psnr: the videos show {values}"
    measures: dict[str, Callable[[int], float]] = {
        "l1": lambda t: _mean_error(real[t], generated[t]),
        "tje@1": lambda t: _jitter(real, generated, t) if t - 1 in generated else math.nan,
        "portrait_colour.mean": lambda t: _colour_error(real[t], generated[t]),
    }
    for name, measure in measures.items():
        if name not in table:
            continue
        shown = np.array([measure(t) for t in times])
        stored = table[name][times]
        both = ~np.isnan(shown) & ~np.isnan(stored)
        more, less = (_COLOUR_ERROR, _COLOUR_ERROR) if name.startswith("portrait") else (_MORE, _LESS)
        if both.any() and not -less <= float(shown[both].mean() - stored[both].mean()) <= more:
            values = f"about {shown[both].mean():.1f} levels, the frame scores give {stored[both].mean():.1f}"
            return f"{name}: the videos show {values}"
    return None


def _control_problem(
    run: Run, case: CaseResult, real: Frames, generated: Frames, times: Sequence[int]
) -> str | None:
    """Return how a control differs from the real frames that it is made of.

    Every such control is a real frame, `frames` late for lag, plus one offset for the whole frame; late-blur
    is so before its blurred share.
    """
    if run.contestant.name not in OF_REAL_FRAMES:
        return None
    share = run.contestant.args.get("share", 0.25) if run.contestant.name == "late-blur" else 0.0
    end = case.num_frames * (1 - float(share or 0.0)) - 1
    for t in (t for t in times if t < end):
        error = _error_without_offset(real[max(t - _lag(run), 0)], generated[t])
        if error > _CONTROL_ERROR:
            return f"frame {t} is not the real frame as {run.contestant.name} shows it"
    return None


def _shows_real_frames(real: Frames, generated: Frames, times: Sequence[int]) -> bool:
    """Tell frames that are the real ones up to encoding, a common offset and a delay of few frames."""
    late = [t for t in times if t > _MAX_DELAY]
    errors = [
        float(np.median([_error_without_offset(real[t - delay], generated[t]) for t in late]))
        for delay in range(_MAX_DELAY + 1)
    ]
    return bool(late) and min(errors) < _NEAR_REAL


def _lag(run: Run) -> int:
    """Frames by which a control is late, 0 for all but lag."""
    frames = run.contestant.args.get("frames", 1) if run.contestant.name == "lag" else 0
    return int(frames) if isinstance(frames, int | float) and 0 <= frames < 1000 else 0


def _error_without_offset(real: Image, generated: Image) -> float:
    """Root mean square error without a common offset, over pixels that are neither black nor white."""
    inside = (generated > _DARK) & (generated < _BRIGHT)
    if not inside.any():
        return 0.0
    difference = generated[inside].astype(np.float64) - real[inside]
    return float((difference - np.median(difference)).std())


def _root_mean_square(one: Image, other: Image) -> float:
    return float(np.sqrt(np.square(one.astype(np.float32) - other).mean(dtype=np.float64)))


def _mean_error(one: Image, other: Image) -> float:
    return float(np.abs(one.astype(np.int16) - other).mean())


def _colour_error(one: Image, other: Image) -> float:
    means = [image.reshape(-1, 3).mean(axis=0) for image in (one, other)]
    return float(np.abs(means[0] - means[1]).mean())


def _jitter(real: Frames, generated: Frames, t: int) -> float:
    changes = [np.abs(frames[t].astype(np.int16) - frames[t - 1]) for frames in (real, generated)]
    return float(np.abs(changes[0] - changes[1]).mean())


def _psnr(errors: npt.NDArray[np.float64]) -> float:
    mean = float(np.square(errors).mean())
    return 10 * math.log10(255**2 / mean) if mean > 0 else math.inf
