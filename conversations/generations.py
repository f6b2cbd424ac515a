"""Write replies, detached from whoever asked for them.

A generation is a task of the server's event loop. A closed tab, a lost socket or a
finished request changes nothing for it; Stop, a limit or the end of the process do.
What it writes goes to followers at once and to the database about once a second; how
it ended is in the database before anybody is told.
"""

import asyncio
import contextvars
import logging
import time
import uuid
from contextlib import aclosing
from typing import TYPE_CHECKING

from asgiref.sync import async_to_sync
from django.conf import settings
from django.utils.translation import override

from conversations import (
    broker,
    checkpoints,
    doorbell,
    endings,
    guardrails,
    loop,
    prompts,
    relay,
)
from conversations.events import ReplyEnded
from conversations.rendering import usage_json
from database.threads import Outage, in_database, use_own_threads
from llm import catalog
from llm.errors import ProviderError
from llm.tokens import estimate_tokens
from llm.types import Usage

if TYPE_CHECKING:
    from conversations.turns import Turn

logger = logging.getLogger("tertulia.app")

#: How often text and heartbeats go to the database, in seconds.
CHECKPOINT_SECONDS = 0.8
#: How often every process looks for replies whose process is gone.
SWEEP_SECONDS = 4.0
#: How long the end of a reply waits for a database that is away.
PATIENCE_SECONDS = 900.0

_runs: dict[uuid.UUID, "_Run"] = {}
_checkpointer: asyncio.Task[None] | None = None
_database_failed_at = float("-inf")
_is_draining = False


def start(turn: "Turn") -> None:
    """Begin to write the reply of `turn`; from any thread, after the commit.

    Where no event loop would go on running (a plain WSGI request, a command), the
    reply is written before this returns.
    """
    if not turn.is_new:
        return
    run = _Run(turn)
    _runs[turn.reply.pk] = run
    relay.live[turn.reply.pk] = run.live
    serving = loop.serving()
    if serving is None:
        async_to_sync(run.write)()
    else:
        # A context of its own: the request's holds the thread in which its database
        # work is done, and that thread ends with the request.
        serving.call_soon_threadsafe(run.spawn, context=contextvars.Context())


def stop(message_id: uuid.UUID) -> bool:
    """Stop writing a reply and keep its words; False when it is not written here."""
    run, serving = _runs.get(message_id), loop.serving()
    if run is None or serving is None:
        return False
    serving.call_soon_threadsafe(run.end_early, endings.Stopped())
    return True


async def run_background() -> None:
    """Do what every serving process does until it ends: listen, sweep, recover."""
    loop.serve()
    use_own_threads()
    broker.on_ring(_stop_on_ring)
    broker.connect()
    while True:
        try:
            await _sweep()
        except Exception:
            # What sweeps up after crashes must outlive one of its own.
            logger.exception("sweep failed")
        await asyncio.sleep(SWEEP_SECONDS)


def is_draining() -> bool:
    """Whether this process is about to end, and takes no turns any more."""
    return _is_draining


async def drain(seconds: float) -> None:
    """Take no more turns, let replies finish for so long, then interrupt the rest.

    Their words are kept, and they can be continued.
    """
    global _is_draining
    _is_draining = True
    deadline = time.monotonic() + seconds
    while _runs and time.monotonic() < deadline:  # noqa: ASYNC110  rarely, and once
        await asyncio.sleep(0.05)
    tasks = [run.task for run in list(_runs.values()) if run.task]
    for run in list(_runs.values()):
        run.end_early(endings.Interrupted())
    if tasks:
        await asyncio.wait(tasks, timeout=5)
    await catalog.aclose()


def _stop_on_ring(ring: broker.Ring) -> None:
    if ring.get("kind") == "stop" and (run := _runs.get(uuid.UUID(ring["message"]))):
        run.end_early(endings.Stopped())


async def _sweep() -> None:
    # While the database was away nobody could send a heartbeat: give the others
    # time to, before calling them dead.
    stale = checkpoints.STALE_AFTER.total_seconds()
    if time.monotonic() - _database_failed_at < stale:
        return
    try:
        await in_database(checkpoints.recover, list(_runs))
    except Outage as error:
        _note_outage(error)


def _note_outage(error: Exception) -> None:
    global _database_failed_at
    if time.monotonic() - _database_failed_at > 30:
        logger.error("database unavailable", extra={"cause": error})
    _database_failed_at = time.monotonic()


async def _checkpoint_until_idle() -> None:
    """Save what is being written, once for all replies of this process."""
    while _runs:
        await asyncio.sleep(CHECKPOINT_SECONDS)
        # A copy: other threads begin replies.
        runs = [run for run in list(_runs.values()) if run.task]
        changed = [run for run in runs if run.live.seq != run.saved_seq]
        saved = {run: run.live.seq for run in changed}
        try:
            signals = await in_database(
                checkpoints.save,
                [run.checkpoint() for run in changed],
                [run.live.message_id for run in runs],
                {
                    run.live.message_id: run.opened_by
                    for run in runs
                    if not run.was_asked
                },
            )
        except Outage as error:
            _note_outage(error)
            continue
        except Exception:
            logger.exception("checkpoint failed")
            continue
        for run, seq in saved.items():
            run.saved_seq = seq
        for run in runs:
            run.was_asked = True
            # The run that was asked about: another may have begun meanwhile.
            if run.live.message_id in signals.to_stop | signals.gone:
                run.end_early(endings.Stopped())


class _Run:
    """One model writing one reply."""

    def __init__(self, turn: "Turn") -> None:
        self.turn = turn
        self.live = relay.LiveReply(turn.reply, turn.reply.generation.lengths)
        self.task: asyncio.Task[None] | None = None
        self.saved_seq = 0
        #: Whether its session is still open was asked once, after the turn's commit.
        self.was_asked = False
        self.model = ""
        self._began = time.monotonic()
        self._first_token_ms: int | None = turn.reply.generation.first_token_ms
        self._prompt: prompts.Prompt | None = None
        self._usage: Usage | None = None
        self._finish_reason: str | None = None
        self._reason: BaseException | None = None
        self._is_streaming = False

    @property
    def opened_by(self) -> tuple[uuid.UUID, str]:
        generation = self.turn.reply.generation
        return self.turn.conversation.user_id, generation.opened_by

    def spawn(self) -> None:
        global _checkpointer
        self.task = asyncio.ensure_future(self.write())
        if (
            _checkpointer is None
            or _checkpointer.done()
            or _checkpointer.get_loop() is not asyncio.get_running_loop()
        ):
            _checkpointer = asyncio.ensure_future(_checkpoint_until_idle())
        doorbell.ring(
            self.turn.conversation.user_id,
            "turn",
            conversation=str(self.live.conversation_id),
            message=str(self.turn.message.pk) if self.turn.message else None,
            reply=str(self.live.message_id),
            after=self.live.run_start - 1,
        )

    def end_early(self, reason: BaseException) -> None:
        if self._reason is None:
            self._reason = reason
            if self._is_streaming and self.task:
                self.task.cancel()

    def checkpoint(self) -> checkpoints.Checkpoint:
        return checkpoints.Checkpoint(
            self.live.message_id,
            self.live.transcript.text,
            self.live.transcript.lengths,
            self.model,
            self._prompt.tokens if self._prompt else 0,
        )

    async def write(self) -> None:
        """Write the reply to whatever end, store it, and tell the followers."""
        error: BaseException | None = None
        try:
            try:
                if self._reason:
                    raise self._reason
                self._is_streaming = True
                await self._stream()
            except asyncio.CancelledError:
                if self._reason is None:
                    # The event loop itself ends; the next sweep finds the reply.
                    raise
                error = self._reason
            except Exception as problem:
                error = problem
            finally:
                self._is_streaming = False
            self._log(error)
            await self._settle(
                endings.decide(
                    has_text=bool(self.live.transcript.text),
                    finish_reason=self._finish_reason,
                    error=error,
                )
            )
        finally:
            # Whoever saw the end in the database may continue it by now.
            if _runs.get(self.live.message_id) is self:
                del _runs[self.live.message_id]
            if relay.live.get(self.live.message_id) is self.live:
                del relay.live[self.live.message_id]

    async def _stream(self) -> None:
        conversation = self.turn.conversation
        choice = await catalog.achoose(
            conversation.model or conversation.character.model
        )
        self.model = choice.label
        self._prompt = self._build_prompt(choice)
        check = guardrails.ReplyCheck(self.turn.reply.content)
        write, feed = self.live.write, check.feed
        is_buffered = choice.provider.is_buffered
        async with aclosing(choice.provider.stream(self._prompt.request)) as chunks:
            async for chunk in chunks:
                if chunk.text:
                    if self._first_token_ms is None:
                        self._first_token_ms = self._elapsed_ms()
                    if feed(chunk.text):
                        raise endings.Blocked
                    write(chunk.text)
                    if is_buffered:
                        await relay.pause()
                if chunk.usage:
                    self._usage = chunk.usage
                if chunk.finish_reason:
                    self._finish_reason = chunk.finish_reason
        if feed("", is_last=True):
            raise endings.Blocked

    def _build_prompt(self, choice: catalog.Choice) -> prompts.Prompt:
        conversation, generation = self.turn.conversation, self.turn.reply.generation
        return prompts.build(
            character=conversation.character,
            user_name=conversation.user.profile.display_name,
            explicit_level=guardrails.explicit_level(
                conversation.character, settings.EXPLICIT_CAP
            ),
            history=self.turn.history,
            choice=choice,
            max_output_tokens=max(generation.reserved_units, 1),
            is_continuation=self.turn.is_continuation and bool(self.turn.reply.content),
        )

    async def _settle(self, ending: endings.Ending) -> None:
        """Store the end, however long the database takes to come back."""
        live = self.live
        text, lengths = live.transcript.text, live.transcript.lengths
        if ending.code == "blocked_content":
            # What is not allowed is not kept either; its event numbers are.
            text, lengths = "", ",".join("0" for _event in range(live.seq))
        done = checkpoints.Settlement(
            self.turn.conversation.user_id,
            self.turn.reply,
            text,
            f"{lengths},0",
            ending,
            self._used(),
            self.model,
            self._first_token_ms,
            self._elapsed_ms(),
            self._prompt.manifest if self._prompt else {},
        )
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        pause = 0.2
        while True:
            try:
                generation = await in_database(checkpoints.settle, done)
                break
            except Outage as error:
                _note_outage(error)
                if time.monotonic() > give_up_at:
                    raise
                await asyncio.sleep(pause)
                pause = min(2 * pause, 5)
        if generation is None:
            # Deleted, or taken over: whoever follows looks into the database.
            live.abandon()
            return
        is_first = self.turn.reply.generation.first_token_ms is None
        first_token_ms = done.first_token_ms if is_first else None
        endings.note(ending, self.model, first_token_ms, done.duration_ms)
        live.end(
            ReplyEnded(
                live.conversation_id,
                live.message_id,
                live.seq + 1,
                status=ending.status,
                finish_reason=ending.finish_reason,
                usage=usage_json(generation) or {},
                code=ending.code,
                detail=self._in_their_language(ending.code),
            )
        )

    def _in_their_language(self, code: str) -> str:
        with override(self.turn.conversation.user.profile.language):
            return endings.sentence(code)

    def _used(self) -> Usage:
        """Return what this run cost; nothing written costs nothing."""
        written = self.live.transcript.since(self.live.run_start)
        if self._usage:
            return self._usage
        if written and self._prompt:
            return Usage(self._prompt.tokens, estimate_tokens(written), exact=False)
        return Usage(0, 0, exact=True)

    def _elapsed_ms(self) -> int:
        return int((time.monotonic() - self._began) * 1000)

    def _log(self, error: BaseException | None) -> None:
        where = {"reply": str(self.live.message_id), "model": self.model}
        match error:
            case None | endings.Stopped() | endings.Interrupted() | endings.Blocked():
                pass  # which its end in the database says
            case ProviderError():
                logger.warning(
                    "provider failed",
                    extra={
                        **where,
                        "code": error.code,
                        "cause": error.cause,
                        "ms": self._elapsed_ms(),
                    },
                )
            case _:
                logger.error("generation broke", extra=where, exc_info=error)
