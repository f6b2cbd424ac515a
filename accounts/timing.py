"""How long an answer takes, where that would tell who has an account."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

#: More than looking for a user, storing one and writing a mail take.
SECONDS = 0.05


@contextmanager
def alike(began: float | None = None) -> Iterator[None]:
    """Take the same time, since `began` or now, whatever is done inside.

    Passwords are hashed outside: that takes longer, and as long for everyone.
    """
    if began is None:
        began = time.monotonic()
    try:
        yield
    finally:
        time.sleep(max(0.0, began + SECONDS - time.monotonic()))
