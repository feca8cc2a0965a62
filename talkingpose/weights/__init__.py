"""Weight files: sources, location and verification.

    find("lpips-alex", needed_by="lpips")    path of a verified file; WeightsError names the fetch command
    status("lpips-alex")                     missing, present, verified or damaged; does not read the file
    verify(["lpips-alex"])                   the same, reading the file
    fetch(["lpips-alex"], "FOLDER")          resumable download, verified before the file gets its name

Files are stored in the folder passed as argument, else in $TALKINGPOSE_WEIGHTS, else in the user's cache
folder. A file copied there by hand is equivalent to a fetched one. Only `fetch` uses the network.
"""

from __future__ import annotations

from talkingpose.weights.archive import read_member
from talkingpose.weights.errors import UnreachableError, WeightsError
from talkingpose.weights.fetch import FetchedWeights, fetch
from talkingpose.weights.folder import VARIABLE, WeightStatus, find, status, verify, weights_folder
from talkingpose.weights.lock import LOCK_FILE, WeightFile, files_for, pick, read_lock
from talkingpose.weights.offline import offline_environment

__all__ = [
    "LOCK_FILE",
    "VARIABLE",
    "FetchedWeights",
    "UnreachableError",
    "WeightFile",
    "WeightStatus",
    "WeightsError",
    "fetch",
    "files_for",
    "find",
    "offline_environment",
    "pick",
    "read_lock",
    "read_member",
    "status",
    "verify",
    "weights_folder",
]
