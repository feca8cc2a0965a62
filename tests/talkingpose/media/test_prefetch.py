from __future__ import annotations

import threading
import time

import pytest

from talkingpose.media.prefetch import prefetch, write_behind


def test_items_come_in_order_from_another_thread():
    threads = set()

    def source():
        for number in range(50):
            threads.add(threading.get_ident())
            yield number

    assert list(prefetch(source(), depth=3)) == list(range(50))
    assert threads and threading.get_ident() not in threads


def test_it_works_ahead_but_not_further_than_asked():
    taken: list[int] = []

    def source():
        for number in range(100):
            taken.append(number)
            yield number

    stream = prefetch(source(), depth=3)
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

    stream = prefetch(source())
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
    stream = prefetch(source(), depth=1)
    next(stream)
    stream.close()
    assert closed.is_set()
    assert threading.active_count() == before


def test_items_are_used_in_order_in_another_thread():
    used, threads = [], set()

    def use(item: int) -> None:
        threads.add(threading.get_ident())
        used.append(item)

    before = threading.active_count()
    with write_behind(use, depth=2) as hand_over:
        for number in range(50):
            hand_over(number)
    assert used == list(range(50))
    assert len(threads) == 1 and threading.get_ident() not in threads
    assert threading.active_count() == before


def test_no_more_than_asked_wait_to_be_used():
    go, used = threading.Event(), []

    def use(item: int) -> None:
        go.wait(10)
        used.append(item)

    handed = []

    def hand_all() -> None:
        with write_behind(use, depth=3) as hand_over:
            for number in range(10):
                hand_over(number)
                handed.append(number)

    thread = threading.Thread(target=hand_all)
    thread.start()
    deadline = time.monotonic() + 10
    while len(handed) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)
    assert len(handed) == 4  # one in use, three waiting
    go.set()
    thread.join()
    assert used == list(range(10))


@pytest.mark.parametrize("last", [3, 5])
def test_an_error_in_use_is_raised_by_the_block(last: int):
    """The error is raised at a later item or at the end."""
    used = []

    def use(item: int) -> None:
        if item == 3:
            raise OSError("disk full")
        used.append(item)

    before = threading.active_count()
    with pytest.raises(OSError, match="disk full"), write_behind(use, depth=1) as hand_over:
        for number in range(last + 1):
            hand_over(number)
    assert used == [0, 1, 2]
    assert threading.active_count() == before


def test_an_error_in_the_block_lets_go_of_what_waits():
    go, used = threading.Event(), []

    def use(item: int) -> None:
        go.wait(10)
        used.append(item)

    with pytest.raises(KeyboardInterrupt), write_behind(use, depth=8) as hand_over:
        for number in range(6):
            hand_over(number)
        threading.Timer(0.1, go.set).start()
        raise KeyboardInterrupt
    assert used in ([], [0])
