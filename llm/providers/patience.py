"""How long to wait for a model, and the one timer that ends the waiting."""

import asyncio
from dataclasses import dataclass
from math import inf
from types import TracebackType
from typing import Self

from django.conf import settings


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait, in seconds, for each thing that may not come."""

    connect: float
    first_token: float
    idle: float
    total: float

    @classmethod
    def from_settings(cls) -> Self:
        return cls(
            connect=settings.LLM_CONNECT_TIMEOUT,
            first_token=settings.LLM_FIRST_TOKEN_TIMEOUT,
            idle=settings.LLM_IDLE_TIMEOUT,
            total=settings.LLM_TOTAL_TIMEOUT,
        )


class Deadline:
    """`asyncio.timeout` for a wait that is entered for every read of a reply.

    Inside `with deadline:` a task that waits past `due` gets a TimeoutError; outside,
    as in a `yield`, it never does. Moving `due` later costs nothing: the timer that
    is running looks again when it fires. Making and cancelling one timer per read
    costs as much CPU as decoding what was read.
    """

    def __init__(self, due: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[object] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._has_cancelled = False
        self._cancelled_before = 0
        self._due = inf
        self.due = due

    @property
    def due(self) -> float:
        """The loop's time after which nobody waits any more."""
        return self._due

    @due.setter
    def due(self, due: float) -> None:
        if self._timer is not None and due < self._due:
            self.stop()
        self._due = due

    def stop(self) -> None:
        """Let the timer go; entering makes a new one."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def __enter__(self) -> None:
        self._task = asyncio.current_task(self._loop)
        assert self._task is not None
        self._cancelled_before = self._task.cancelling()
        if self._timer is None:
            self._timer = self._loop.call_at(self._due, self._ring)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        task, self._task = self._task, None
        if self._has_cancelled:
            self._has_cancelled = False
            assert task is not None
            # Somebody else may have cancelled the task as well; that goes first.
            is_ours = task.uncancel() <= self._cancelled_before
            if is_ours and kind is asyncio.CancelledError:
                raise TimeoutError from error

    def _ring(self) -> None:
        self._timer = None
        if self._task is None:
            return
        if self._loop.time() < self._due:
            self._timer = self._loop.call_at(self._due, self._ring)
        else:
            self._has_cancelled = True
            self._task.cancel()
