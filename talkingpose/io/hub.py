"""Errors of the Hugging Face Hub as one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from talkingpose.io.errors import UserError


@contextmanager
def hub_errors(where: str, kind: type[UserError]) -> Iterator[None]:
    """Turn errors of an upload into one line that begins with `where`.

    Raises:
        UserError: of the class `kind`; the Hub refuses, cannot be reached, or a name is not valid there.
    """
    from huggingface_hub.errors import HfHubHTTPError

    try:
        yield
    except UserError:
        raise
    except Exception as error:
        # Without a network the HTTP client raises its own errors; its name depends on the version of the hub.
        expected = isinstance(error, HfHubHTTPError | OSError | ValueError)
        if not expected and not type(error).__module__.startswith("httpx"):
            raise
        reason = " ".join(str(error).split())[:300]
        raise kind(
            f"{where}: {type(error).__name__}: {reason}: check the name, the network and `hf auth login`"
        ) from error
