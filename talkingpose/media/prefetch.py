"""A thread beside the model: before it for what is read and drawn, behind it for what is written."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")

_PATIENCE_S = 0.1


class _Raised:
    def __init__(self, error: BaseException) -> None:
        self.error = error


_END = object()


def prefetch(items: Iterable[Item], depth: int = 8) -> Iterator[Item]:
    """Yield `items` in their order, taken up to `depth` ahead by a thread of its own.

    Around a source of pictures it decodes and draws beside the model, as libraries leave the interpreter
    while they compute. Nothing is taken before the first item is asked for. An error in `items` is raised
    here, after the items before it. When the iterator is closed or dropped, the thread stops and closes
    `items` if it is a generator.

    Args:
        items: used in the thread alone.
        depth: most items that wait, 1 or more.
    """
    waiting: queue.Queue[object] = queue.Queue(maxsize=depth)
    stopped = threading.Event()
    thread = threading.Thread(target=_fill, args=(items, waiting, stopped), daemon=True)
    thread.start()
    try:
        while (item := waiting.get()) is not _END:
            if isinstance(item, _Raised):
                raise item.error
            yield item  # type: ignore[misc]
    finally:
        stopped.set()
        thread.join()


@contextmanager
def write_behind(use: Callable[[Item], None], depth: int = 8) -> Iterator[Callable[[Item], None]]:
    """Give a function that hands items to a thread, which uses one after another.

    When the block ends, everything has been used; when an error ends it, what waits is let go. An error in
    `use` is raised where the next item is handed over, or at the end of the block.

    Args:
        use: called in the thread alone.
        depth: most items that wait, 1 or more; handing over another waits for one to be used.
    """
    waiting: queue.Queue[object] = queue.Queue(maxsize=depth)
    errors: list[BaseException] = []

    def work() -> None:
        while (item := waiting.get()) is not _END:
            # After an error items are taken and not used, so that nobody waits for room.
            if not errors:
                try:
                    use(item)  # type: ignore[arg-type]
                except BaseException as error:  # whatever it is belongs to the one who hands over
                    errors.append(error)

    def hand_over(item: Item) -> None:
        if errors:
            raise errors[0]
        waiting.put(item)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield hand_over
    except BaseException as error:
        errors.append(error)
        raise
    finally:
        waiting.put(_END)
        thread.join()
    if errors:
        raise errors[0]


def _fill(items: Iterable[object], waiting: queue.Queue[object], stopped: threading.Event) -> None:
    last: object = _END
    iterator = iter(items)
    try:
        for item in iterator:
            if not _put(item, waiting, stopped):
                break
    except BaseException as error:  # whatever it is belongs to the reader
        last = _Raised(error)
    close = getattr(iterator, "close", None)
    if close is not None:
        close()
    _put(last, waiting, stopped)


def _put(item: object, waiting: queue.Queue[object], stopped: threading.Event) -> bool:
    while not stopped.is_set():
        try:
            waiting.put(item, timeout=_PATIENCE_S)
        except queue.Full:
            continue
        return True
    return False
