"""Controls by their behaviour: what their frame scores must be, whatever the run says of itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from benchmark.results import CaseResult, Run
from benchmark.run_check.files import Floats
from benchmark.run_check.problem import RunProblem, contradiction, unchecked
from benchmark.run_check.scores import family

GROUND_TRUTH, FROZEN, PASTE_DRIVER = "ground-truth", "frozen", "paste-driver"
# Controls made of the real frames, one for one; `videos` holds their videos against those of ground-truth.
OF_REAL_FRAMES = frozenset(("reencode", "lag", "drift", "brightness", "flicker", "late-blur"))
KNOWN_CONTROLS = OF_REAL_FRAMES | {GROUND_TRUTH, FROZEN, PASTE_DRIVER}

# The value of leak for pasted driving frames is 1, up to rounding.
_ALL_LEAKED = 1 - 1e-9


def check_control(
    run: Run, cases: Mapping[str, CaseResult], tables: Mapping[str, Mapping[str, Floats]]
) -> Iterator[RunProblem]:
    """Check that a control behaves like one, and that no other run behaves like ground-truth.

    Args:
        run: the run.
        cases: its scored clips by id.
        tables: their frame scores.
    """
    name = run.contestant.name
    if (run.contestant.frames_seen != "none") != run.contestant.saw_driving_frames:
        yield contradiction("run.json", "driving_frames and saw_driving_frames contradict each other")
    if not run.contestant.control:
        if name in KNOWN_CONTROLS:
            yield contradiction("run.json", f"{name} is a control, and the run is not marked as one")
        if tables and all(_is_real(table) for table in tables.values()):
            yield contradiction("run.json", "every frame is the real one: only ground-truth can have made it")
        if cases and all(_stands_still(case) for case in cases.values()):
            yield unchecked("run.json", "nothing moves in any clip, as in a run of frozen")
        return
    if name not in KNOWN_CONTROLS:
        yield unchecked("run.json", f"no check is known for a control of the name {name[:60]}")
    of_driver = OF_REAL_FRAMES | {GROUND_TRUTH, PASTE_DRIVER}
    if name in of_driver and not run.contestant.saw_driving_frames:
        yield contradiction("run.json", f"{name} shows the driving frames, and the run did not see them")
    tests: dict[str, tuple[Callable[[CaseResult, Mapping[str, Floats]], str | None], str]] = {
        GROUND_TRUTH: (_ground_truth_problem, "it does not show the real frames"),
        FROZEN: (_frozen_problem, "it moves"),
        PASTE_DRIVER: (_paste_driver_problem, "it does not show the driving frames"),
    }
    if name in tests:
        test, meaning = tests[name]
        for clip_id, case in cases.items():
            problem = test(case, tables.get(clip_id, {}))
            if problem is not None:
                yield contradiction(f"cases/{clip_id}.json", f"{problem}: {meaning}, so it is not {name}")


def _is_real(table: Mapping[str, Floats]) -> bool:
    """True where every frame is identical to the real one."""
    return "psnr" in table and len(table["psnr"]) > 0 and bool(np.isnan(table["psnr"]).all())


def _stands_still(case: CaseResult) -> bool:
    """True where every metric of motion that the case has says that there is none."""
    scores = [score for name, score in case.metrics.items() if family(name) in ("motion_ratio", "tje_skill")]
    return any(score.value is not None for score in scores) and not any(score.value for score in scores)


def _ground_truth_problem(case: CaseResult, table: Mapping[str, Floats]) -> str | None:
    for name, score in case.metrics.items():
        kind = family(name)
        infinite = kind in ("psnr", "psnr_pooled") and score.state == "ok"
        if infinite and (score.value is not None or score.n_infinite != score.n_frames):
            return f"{name} is finite"
        if kind in ("tje", "l1", "colour") and score.value:
            return f"{name} is {score.value:.4g}"
    wrong = [
        name
        for name, values in table.items()
        if family(name) in ("tje", "l1") and np.nan_to_num(values).any()
    ]
    if wrong:
        return f"frame scores of {wrong[0]} are not 0"
    return None if "psnr" not in table or _is_real(table) else "frame scores of psnr are finite"


def _paste_driver_problem(case: CaseResult, table: Mapping[str, Floats]) -> str | None:
    for name, score in case.metrics.items():
        if family(name) == "leak" and score.value is not None and score.value < _ALL_LEAKED:
            return f"{name} is {score.value:.4g}"
    values = table.get("leak", np.ones(1))
    return "frame scores of leak are not 1" if (values < _ALL_LEAKED).any() else None


def _frozen_problem(case: CaseResult, table: Mapping[str, Floats]) -> str | None:
    for name, score in case.metrics.items():
        if family(name) in ("motion_ratio", "tje_skill") and score.value:
            return f"{name} is {score.value:.4g}"
    moving = [
        name for name in ("motion_ratio", "flicker") if np.nan_to_num(table.get(name, np.zeros(1))).any()
    ]
    return f"frame scores of {moving[0]} are not 0" if moving else None
