"""Curate a folder of videos and list what was kept and why the rest was not.

python examples/curate_folder.py FOOTAGE OUT
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

from curation import curate
from talkingpose import load_clips


def main(footage: str, out: str) -> None:
    """Write the dataset to `out` and print its clips."""
    summary = curate([footage], out, workers=1)
    for clip in load_clips(out):
        print(clip.clip_id, f"{clip.num_frames} frames", clip.metadata["source"])
    print(f"{Path(out)}: {len(load_clips(out))} clips")
    reasons = Counter(shot.reason for record in summary.records for shot in record.shots if shot.reason)
    for reason, count in reasons.most_common():
        print(f"rejected: {count} x {reason}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
