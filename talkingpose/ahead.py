"""An iterator that a thread fills while its items are being used."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")

_PATIENCE_S = 0.1


class _Raised:
    def __init__(self, error: BaseException) -> None:
        self.error = error


_END = object()


def ahead(items: Iterable[Item], depth: int = 8) -> Iterator[Item]:
    """Yield `items` in their order, taken up to `depth` ahead by a thread of its own.

    Around a source of pictures it decodes and draws beside the model; around a stream of frames it generates
    beside whatever writes them, as libraries leave the interpreter while they compute. Nothing is taken
    before the first item is asked for. An error in `items` is raised here, after the items before it. When
    the iterator is closed or dropped, the thread stops and closes `items` if it is a generator.

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
