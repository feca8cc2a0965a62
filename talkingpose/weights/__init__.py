"""Weight files: what each is and where from, where it lies, and whether it is what it should be.

    find("lpips-alex", needed_by="lpips")    its path, checked; WeightsError names the command that fetches it
    status("lpips-alex")                     missing, present, verified or damaged, at a glance
    verify(["lpips-alex"])                   the same, read in full
    fetch(["lpips-alex"], "FOLDER")          resumable, checked before it gets its name

Files lie in the folder given, else in the one that TALKINGPOSE_WEIGHTS names, else in the user's cache
folder; a file copied there by hand is as good as a fetched one. Nothing but `fetch` uses the network.
"""

from __future__ import annotations

from talkingpose.weights.archive import read_member
from talkingpose.weights.errors import UnreachableError, WeightsError
from talkingpose.weights.fetch import FetchedWeights, FetchListener, fetch
from talkingpose.weights.folder import VARIABLE, WeightStatus, find, status, verify, weights_folder
from talkingpose.weights.lock import LOCK_FILE, WeightFile, files_for, pick, read_lock
from talkingpose.weights.offline import offline_environment

__all__ = [
    "LOCK_FILE",
    "VARIABLE",
    "FetchListener",
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
