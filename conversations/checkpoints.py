"""What the database knows of replies being written: text, heartbeat, and the end.

Plain synchronous functions in short transactions; the tasks that call them live in
`generations.py`.
"""

import logging
import uuid
from collections.abc import Collection, Iterable, Mapping
from copy import copy
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from accounts import audit
from accounts.authentication import liveness
from conversations import endings
from conversations.models import Conversation, Generation, Message
from conversations.previews import preview
from conversations.transcripts import LOST, Transcript
from database.rows import update
from database.workers import is_dead, this_worker
from llm import quota
from llm.tokens import estimate_tokens
from llm.types import Usage

logger = logging.getLogger("tertulia.app")

#: A reply whose process has not been heard of for so long is interrupted.
STALE_AFTER = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of one reply at one moment."""

    message_id: uuid.UUID
    text: str
    lengths: str
    model: str
    prompt_tokens: int


@dataclass(frozen=True, slots=True)
class Signals:
    """What the database says about replies this process writes."""

    to_stop: set[uuid.UUID]
    gone: set[uuid.UUID]


def save(
    changed: Iterable[Checkpoint],
    alive: list[uuid.UUID],
    begun: Mapping[uuid.UUID, tuple[uuid.UUID, str]] | None = None,
) -> Signals:
    """Store the text of `changed` replies and the heartbeat of all that are `alive`.

    `begun` are those that were not asked about before, with the user and the session
    they are for: it may have ended just before there was anything to stop.
    """
    worker, now = this_worker(), timezone.now()
    pk = Message._meta.pk.get_db_prep_value
    rows = [
        (pk(c.message_id, connection), c.text, c.lengths, c.model, c.prompt_tokens)
        for c in changed
    ]
    with transaction.atomic():
        if rows:
            _save_all(rows, worker)
        mine = Generation.objects.filter(pk__in=alive, worker=worker)
        mine.update(heartbeat_at=now)
        found = mine.values_list(
            "pk", "stop_requested", "message__conversation__user__is_active"
        )
        # Deactivating somebody stops what is written for them, too.
        is_wanted = {pk: is_active and not stop for pk, stop, is_active in found}
    over = liveness.over(begun.values()) if begun else set()
    for_nobody = {pk for pk, (_user, name) in (begun or {}).items() if name in over}
    return Signals(
        to_stop={pk for pk in is_wanted if not is_wanted[pk]} | for_nobody,
        gone=set(alive) - set(is_wanted),
    )


def _save_all(rows: list[tuple[Any, ...]], worker: str) -> None:
    # Two statements however many replies there are: one for each of them, and the
    # checkpoints of many cost more than all else.
    texts = ", ".join(["(%s, %s)"] * len(rows))
    facts = ", ".join(["(%s, %s, %s, %s)"] * len(rows))
    with connection.cursor() as cursor:
        cursor.execute(
            _SAVE_TEXTS.format(texts), [value for row in rows for value in row[:2]]
        )
        cursor.execute(
            _SAVE_FACTS.format(facts),
            [value for pk, _text, *rest in rows for value in (pk, *rest)] + [worker],
        )


_SAVE_TEXTS = """
UPDATE conversations_message SET content = saved.column2
FROM (VALUES {}) AS saved
WHERE id = saved.column1 AND status = 'streaming'
"""

# What has ended since this was read has its last word already.
_SAVE_FACTS = """
UPDATE conversations_generation
SET lengths = saved.column2, model = saved.column3, run_prompt_tokens = saved.column4
FROM (VALUES {}) AS saved
WHERE message_id = saved.column1 AND worker = %s AND EXISTS (
    SELECT 1 FROM conversations_message m
    WHERE m.id = message_id AND m.status = 'streaming'
)
"""


@dataclass(frozen=True, slots=True)
class Settlement:
    """Everything that is known of a reply when it has ended; times in ms.

    `reply` and its generation are as they were when this run began. `usage` is of
    this run alone; a reply that was continued had others before.
    """

    user_id: uuid.UUID
    reply: Message
    text: str
    lengths: str
    ending: endings.Ending
    usage: Usage
    model: str
    first_token_ms: int | None
    duration_ms: int
    manifest: dict[str, Any] = field(default_factory=dict)


#: What the end of a run changes of its generation.
_SETTLED = (
    "lengths",
    "model",
    "finish_reason",
    "error_code",
    "first_token_ms",
    "duration_ms",
    "manifest",
    "prompt_tokens",
    "completion_tokens",
    "is_usage_exact",
    "reserved_units",
    "run_prompt_tokens",
)


def settle(done: Settlement) -> Generation | None:
    """Store how a reply ended, and charge for it, in one commit.

    Returns None when the reply is not this process's to end any more.
    """
    generation = copy(done.reply.generation)
    generation.lengths = done.lengths
    generation.model = done.model
    generation.finish_reason = done.ending.finish_reason
    is_stopped = done.ending.status == Message.Status.STOPPED
    generation.error_code = "" if is_stopped else done.ending.code
    generation.first_token_ms = done.first_token_ms
    generation.duration_ms = done.duration_ms
    generation.manifest = done.manifest
    pk = done.reply.pk
    changes = {"content": done.text, "status": done.ending.status}
    with transaction.atomic():
        # First, because it also locks the conversation, as whoever opens a turn does:
        # two who lock in different orders wait for each other.
        _tell_conversation(done.reply, done.text)
        if update(Message, {"id": pk, "status": "streaming"}, changes):
            _charge(generation, done.user_id, done.usage)
            changed: tuple[str, ...] = _SETTLED
        elif update(Message, {"id": pk, "status": "interrupted"}, changes):
            # Another process gave it up, and charged for it, while the database was
            # away; the text here is the whole of it.
            changed = _SETTLED[:7]
        else:
            transaction.set_rollback(True)
            return None
        mine = {"message_id": pk, "worker": this_worker()}
        values = {name: getattr(generation, name) for name in changed}
        if not update(Generation, mine, values):
            transaction.set_rollback(True)
            return None
        if done.ending.code == "blocked_content":
            owner = str(done.user_id)
            audit.record("reply.blocked", of=done.reply, owner=owner, model=done.model)
    return generation


def recover(alive: Collection[uuid.UUID] = ()) -> int:
    """Mark replies whose process is gone as interrupted; return how many.

    Their text up to the last checkpoint is kept, and charged by our estimate. Those
    in `alive` are written by this process, however late their heartbeat is.
    """
    interrupted = 0
    for generation in Generation.objects.filter(
        message__status=Message.Status.STREAMING
    ).exclude(pk__in=alive):
        is_silent = generation.heartbeat_at < timezone.now() - STALE_AFTER
        if is_silent or is_dead(generation.worker):
            interrupted += _interrupt(generation)
    return interrupted


def _interrupt(seen: Generation) -> bool:
    with transaction.atomic():
        generation = _locked(
            pk=seen.pk, worker=seen.worker, heartbeat_at=seen.heartbeat_at
        )
        if generation is None:
            return False
        message = generation.message
        generation.error_code = "interrupted"
        user_id = message.conversation.user_id
        _charge(generation, user_id, _saved_so_far(generation))
        # Followers may have seen up to a second more than was saved.
        generation.lengths = f"{generation.lengths or 0},{LOST},0"
        generation.save()
        message.status = Message.Status.INTERRUPTED
        message.save(update_fields=["status"])
        _tell_conversation(message, message.content)
    endings.note(endings.Ending("interrupted", "", "interrupted"), generation.model)
    logger.warning(
        "reply.interrupted",
        extra={"reply": str(message.pk), "worker": generation.worker},
    )
    return True


def charge_open_replies(conversation: Conversation) -> None:
    """Charge for what is being written in a conversation that is about to go.

    Called in a transaction. Whoever writes it finds it gone, and charges nothing.
    """
    Conversation.objects.select_for_update().filter(pk=conversation.pk).first()
    for generation in Generation.objects.filter(
        message__conversation=conversation, message__status=Message.Status.STREAMING
    ).select_related("message"):
        _charge(generation, conversation.user_id, _saved_so_far(generation))


def _locked(**which: Any) -> Generation | None:
    """Return the generation of an open reply with its message and conversation.

    All are locked, the conversation first, as `settle` does. What is only joined
    would be shown as it was before the wait for the lock.
    """
    return (
        Generation.objects.filter(**which, message__status=Message.Status.STREAMING)
        .select_related("message__conversation")
        .select_for_update(of=("message__conversation", "message", "self"))
        .first()
    )


def _saved_so_far(generation: Generation) -> Usage:
    """Return what a run that broke off is charged; of what was not saved, nothing."""
    content = generation.message.content
    run = Transcript.restore(content, generation.lengths).last_run()
    if not run:
        return Usage(0, 0, exact=False)
    return Usage(generation.run_prompt_tokens, estimate_tokens(run), exact=False)


def _charge(generation: Generation, user_id: uuid.UUID, usage: Usage) -> None:
    """Count what a run used, in the quota and in `generation`, which is not saved."""
    was_exact = generation.is_usage_exact or not generation.completion_tokens
    generation.is_usage_exact = usage.exact and was_exact
    generation.prompt_tokens = (generation.prompt_tokens or 0) + usage.prompt
    generation.completion_tokens = (
        generation.completion_tokens or 0
    ) + usage.completion
    date, units = generation.usage_date, 0
    if usage.prompt or usage.completion:
        units = quota.record(user_id, date, generation.model, usage)
    quota.settle(user_id, date, generation.reserved_units, units)
    generation.reserved_units = generation.run_prompt_tokens = 0


def _tell_conversation(reply: Message, text: str) -> None:
    changes: dict[str, Any] = {"last_message_at": timezone.now()}
    if text:
        changes["last_message_preview"] = preview(text)
    update(Conversation, {"id": reply.conversation_id}, changes)
    if reply.parent_id:
        update(Message, {"id": reply.parent_id}, {"status": Message.Status.READ})
