"""Where what is being done comes from: the address and the request it belongs to.

Set around every request and every command of a socket, read by the audit and the logs;
what lies between need not pass it on.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Origin:
    """`request_id` is also what the `X-Request-ID` header of the answer says."""

    ip: str = ""
    request_id: str = ""


_NOWHERE = Origin()
_current: ContextVar[Origin] = ContextVar("origin", default=_NOWHERE)


def current() -> Origin:
    return _current.get()


def new_request_id() -> str:
    return uuid.uuid4().hex


@contextmanager
def coming_from(origin: Origin) -> Iterator[None]:
    token = _current.set(origin)
    try:
        yield
    finally:
        _current.reset(token)
