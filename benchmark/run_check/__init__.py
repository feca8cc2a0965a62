"""Check of runs by their own files, without a model and without the dataset.

`check_run` holds the parts of one run against each other: documents, frame scores, features, videos and
their hashes; it computes every aggregated number again. `check_together` holds runs over the same clips
against each other: their clips, their controls and their videos.

Neither can tell a run whose files are all forged in agreement with each other, videos included: for that the
clips have to be generated again.
"""

from benchmark.run_check.checked_run import CheckedRun
from benchmark.run_check.problem import RunProblem
from benchmark.run_check.single import check_run, read_frame_scores
from benchmark.run_check.summaries import installed_protocol
from benchmark.run_check.together import check_together

__all__ = [
    "CheckedRun",
    "RunProblem",
    "check_run",
    "check_together",
    "installed_protocol",
    "read_frame_scores",
]
