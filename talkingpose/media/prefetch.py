"""Background threads around the model: prefetching of its input and writing of its output."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")
T = TypeVar("T")

_POLL_S = 0.1


class _Raised:
    def __init__(self, error: BaseException) -> None:
        self.error = error


class _End:
    pass


def prefetch(items: Iterable[Item], depth: int = 8) -> Generator[Item, None, None]:
    """Yield `items` in order, read up to `depth` ahead by a background thread.

    Decoding and drawing overlap with the model, because the libraries release the interpreter lock. Nothing
    is read before the first item is requested. An error in `items` is raised after the items before it. When
    the iterator is closed or garbage-collected, the thread stops and closes `items` if it is a generator.

    Args:
        items: used by the thread only.
        depth: maximum number of waiting items, at least 1.
    """
    waiting: queue.Queue[Item | _Raised | _End] = queue.Queue(maxsize=depth)
    stopped = threading.Event()
    thread = threading.Thread(target=_fill, args=(items, waiting, stopped), daemon=True)
    thread.start()
    try:
        while not isinstance(item := waiting.get(), _End):
            if isinstance(item, _Raised):
                raise item.error
            yield item
    finally:
        stopped.set()
        thread.join()


@contextmanager
def write_behind(use: Callable[[Item], None], depth: int = 8) -> Iterator[Callable[[Item], None]]:
    """Yield a function that passes items to a background thread, which calls `use` on them in order.

    The block ends after all items are used; if it raises, waiting items are dropped. An error in `use` is
    raised at the next item, or at the end of the block.

    Args:
        use: called by the thread only.
        depth: maximum number of waiting items, at least 1; passing another blocks.
    """
    waiting: queue.Queue[Item | _End] = queue.Queue(maxsize=depth)
    errors: list[BaseException] = []

    def work() -> None:
        while not isinstance(item := waiting.get(), _End):
            # After an error, items are taken and dropped, so that `write` does not block.
            if not errors:
                try:
                    use(item)
                except BaseException as error:  # raised in the caller's thread
                    errors.append(error)

    def write(item: Item) -> None:
        if errors:
            raise errors[0]
        waiting.put(item)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield write
    except BaseException as error:
        errors.append(error)
        raise
    finally:
        waiting.put(_End())
        thread.join()
    if errors:
        raise errors[0]


def _fill(
    items: Iterable[Item], waiting: queue.Queue[Item | _Raised | _End], stopped: threading.Event
) -> None:
    last: _Raised | _End = _End()
    iterator = iter(items)
    try:
        for item in iterator:
            if not _put(item, waiting, stopped):
                break
    except BaseException as error:  # raised in the reader's thread
        last = _Raised(error)
    close = getattr(iterator, "close", None)
    if close is not None:
        close()
    _put(last, waiting, stopped)


def _put(item: T, waiting: queue.Queue[T], stopped: threading.Event) -> bool:
    while not stopped.is_set():
        try:
            waiting.put(item, timeout=_POLL_S)
        except queue.Full:
            continue
        return True
    return False
