"""Functions of `tp-curate` for Python: curate and explain."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from curation.config import Config, load_config
from curation.orchestrator import fetch_and_curate, read_inputs
from curation.report.explain import Decision, find_decisions
from curation.report.explain import document as decisions_document
from curation.report.explain import lines as decision_lines
from curation.run import DEFAULT_OPTIONS, CurationSummary, RunOptions
from talkingpose.io.progress import SILENT, Progress

PathOrName = str | os.PathLike[str]


@dataclass(frozen=True)
class Explanation:
    """Explanation of verdicts; `print` shows it as `tp-curate explain` does.

    Attributes:
        decisions: one for a clip, or one for each span of a source.
    """

    decisions: tuple[Decision, ...]

    def __str__(self) -> str:
        return "\n".join(decision_lines(self.decisions))

    def document(self) -> list[dict[str, Any]]:
        """Return the explanation as JSON values."""
        return decisions_document(self.decisions)


def curate(
    sources: PathOrName | Iterable[PathOrName],
    out: str | os.PathLike[str],
    config: Config | str | os.PathLike[str] | None = None,
    *,
    workers: int | None = None,
    progress: Progress = SILENT,
    options: RunOptions = DEFAULT_OPTIONS,
) -> CurationSummary:
    """Curate sources into a dataset, as `tp-curate run` does. The same call resumes.

    Args:
        sources: video files, folders, lists (.txt, .csv, .tsv), YouTube ids, URLs: one or several.
        out: output folder: a new one, or that of an earlier run.
        config: configuration, or a YAML file with what differs from `curation/default.yaml`.
        workers: number of worker processes; None for one per core.
        progress: receives the plan, finished sources and errors.
        options: further options of the command line.

    Returns:
        Counts, errors and records of the folder. `is_partial` is True if a source failed that another call
        may process; `downloads` has the remote sources that are missing.

    Raises:
        UserError: invalid sources, configuration or output folder, or nothing could be downloaded. The
            message is one line.

    Example:
        >>> from curation import curate, explain
        >>> summary = curate("footage", "dataset", workers=1)
        >>> clip = summary.records[0].clips[0]
        >>> clip.num_frames, summary.is_partial
        (32, False)
        >>> print(explain("dataset", clip.clip_id))
        source        footage/talk.mp4 (file, ...
    """
    several = [sources] if isinstance(sources, str | os.PathLike) else list(sources)
    inputs = read_inputs([os.fspath(one) for one in several])
    for line in (*inputs.refused, *inputs.skipped):
        progress.message(line)
    loaded = config if isinstance(config, Config) else load_config(None if config is None else Path(config))
    chosen = options if workers is None else replace(options, workers=workers)
    return fetch_and_curate(inputs, Path(out), loaded, chosen, progress)


def explain(dataset: str | os.PathLike[str], clip: str) -> Explanation:
    """Explain the verdict of a clip, or of each span of a source, as `tp-curate explain` does.

    Args:
        dataset: output folder of a run.
        clip: clip id or its beginning, or id, hash or name of a source.

    Raises:
        ExplainError: no run worked in the folder, or the name is unknown or ambiguous.
    """
    return Explanation(tuple(find_decisions(Path(dataset), clip)))
