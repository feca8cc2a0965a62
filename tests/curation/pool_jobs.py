"""Jobs for workers: some answer, some raise, some end the process."""

from __future__ import annotations

import os
import signal
import time


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
