"""Jobs for workers: some answer, some raise, some end the process."""

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
    """The first time the process is lost, the second time there is a result."""
    path = Path(mark)
    if not path.exists():
        path.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "done"


def answers_of_this_machine(pid, fails=False):
    """What one process, here, has differs from what all others have; or these cannot even say it."""
    here = os.getpid() == pid
    if fails and not here:
        raise ValueError("no weights here")
    return {"av": 2 if here else 1, "numpy": 1}


def note_process(path):
    with path.open("a") as file:
        file.write(f"{os.getpid()}\n")
