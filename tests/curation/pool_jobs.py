"""Jobs for workers: some return, some raise, some end the process."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path


def work(job):
    if job == "pid":
        return os.getpid()
    if job == "raise":
        raise ValueError("made\nto fail")
    if job == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if job == "crash":
        os.abort()
    if job == "leave":
        os._exit(7)
    if job == "wait":
        time.sleep(60)
    return job * 2


def die_once(mark):
    """Kill the process at the first call, return at the second."""
    path = Path(mark)
    if not path.exists():
        path.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "done"


def versions_of_this_machine(pid, fails=False):
    """Versions that differ between this process and all others; with `fails` the others raise."""
    here = os.getpid() == pid
    if fails and not here:
        raise ValueError("no weights here")
    return {"av": 2 if here else 1, "numpy": 1}


def note_process(path):
    with path.open("a") as file:
        file.write(f"{os.getpid()}\n")
