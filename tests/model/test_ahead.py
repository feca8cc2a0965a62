from __future__ import annotations

import threading
import time

import pytest

from talkingpose.ahead import ahead


def test_items_come_in_order_from_another_thread():
    threads = set()

    def source():
        for number in range(50):
            threads.add(threading.get_ident())
            yield number

    assert list(ahead(source(), depth=3)) == list(range(50))
    assert threads and threading.get_ident() not in threads


def test_it_works_ahead_but_not_further_than_asked():
    taken: list[int] = []

    def source():
        for number in range(100):
            taken.append(number)
            yield number

    stream = ahead(source(), depth=3)
    assert not taken  # nothing is taken before the first item is asked for
    assert next(stream) == 0
    deadline = time.monotonic() + 10
    while len(taken) < 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)
    # One in hand, three waiting, one that the thread holds and cannot put down.
    assert len(taken) == 5
    stream.close()


def test_an_error_comes_after_the_items_before_it():
    def source():
        yield 1
        raise ValueError("no more")

    stream = ahead(source())
    assert next(stream) == 1
    with pytest.raises(ValueError, match="no more"):
        next(stream)


def test_closing_stops_the_thread_and_the_source():
    closed = threading.Event()

    def source():
        try:
            while True:
                yield 0
        finally:
            closed.set()

    before = threading.active_count()
    stream = ahead(source(), depth=1)
    next(stream)
    stream.close()
    assert closed.is_set()
    assert threading.active_count() == before
