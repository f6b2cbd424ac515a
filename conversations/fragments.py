"""Events as HTML: what the pages' socket sends for htmx to swap in.

Each fragment names its target, so one frame may hold several. Functions that read
the database are called in a thread.
"""

import uuid
from collections.abc import Iterable

from django.template.loader import render_to_string
from django.utils import translation
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts.errors import Refusal
from accounts.models import User
from conversations import errors
from conversations.markdown import GrowingMarkdown
from conversations.models import Conversation, Message

#: How many messages a page shows at first.
SHOWN = 100


def partial(target: str, swap: str, html: str) -> SafeString:
    """Return a fragment that htmx puts at the CSS selector `target`."""
    return format_html(
        '<hx-partial hx-target="{}" hx-swap="{}">{}</hx-partial>', target, swap, html
    )


def whole(user: User, conversation_id: uuid.UUID) -> tuple[str, list[uuid.UUID]]:
    """Return all messages of a conversation, and which of them are being written."""
    conversation = (
        Conversation.objects.owned_by(user)
        .select_related("character", "user__profile")
        .filter(pk=conversation_id)
        .first()
    )
    if conversation is None:
        raise errors.NotFound
    messages = Message.objects.shown(conversation.head_id, SHOWN)
    html = "".join(_message(m, conversation) for m in messages)
    streaming = [m.pk for m in messages if m.is_streaming]
    return partial("#messages", "innerHTML", SafeString(html)), streaming


def created(message_ids: Iterable[uuid.UUID]) -> str:
    """Return new messages, to be added at the end."""
    messages = _with_conversation(message_ids)
    html = SafeString("".join(_message(m, m.conversation) for m in messages))
    return partial("#messages", "beforeend", html)


def ended(message_id: uuid.UUID) -> str:
    """Return a reply as it is in the database now, in the place of what was shown."""
    found = _with_conversation([message_id])
    if not found:
        return ""
    message = found[0]
    return partial(
        f"#message-{message.pk}", "outerHTML", _message(message, message.conversation)
    ) + conversation_item(message.conversation_id)


def conversation_item(conversation_id: uuid.UUID) -> str:
    """Return a conversation's line in the list, where it goes on top if it is new."""
    conversation = (
        Conversation.objects.with_unread()
        .select_related("character", "user__profile")
        .filter(pk=conversation_id)
        .first()
    )
    if conversation is None:
        return ""
    with translation.override(conversation.user.profile.language):
        html = render_to_string(
            "conversations/_conversation_item.html",
            {"conversation": conversation},
        )
    line = f"#conversation-{conversation.pk}"
    return partial(line, "outerHTML", html) + partial(
        f"body:not(:has({line})) #recent", "afterbegin", html
    )


def without(conversation_id: uuid.UUID, *, is_shown: bool, language: str | None) -> str:
    """Take a conversation that is gone off the list, and say so where it is shown."""
    html = partial(f"#conversation-{conversation_id}", "delete", "")
    if is_shown:
        with translation.override(language):
            said = render_to_string("conversations/_gone.html")
        html += partial("#talk-menu, [popovertarget=talk-menu]", "delete", "")
        html += partial("#composer-inner", "innerHTML", said)
    return html


def refusal(refused: Refusal, client_id: str | None) -> str:
    """Return why a command was not carried out, beside the composer."""
    sentence = format_html(
        '<p data-code="{}" data-client-id="{}">{}</p>',
        refused.code,
        client_id or "",
        refused.detail,
    )
    return partial("#composer-error", "innerHTML", sentence)


class GrowingReply:
    """A reply on the page while it is written."""

    def __init__(self, message_id: uuid.UUID) -> None:
        self._id = message_id
        self._text = GrowingMarkdown()

    def feed(self, text: str) -> str:
        """Return the blocks that `text` finished, and the one it goes on in."""
        done, current = self._text.feed(text)
        added = partial(f"#message-{self._id}-done", "beforeend", done) if done else ""
        return added + partial(f"#message-{self._id}-open", "innerHTML", current)


def _with_conversation(message_ids: Iterable[uuid.UUID]) -> list[Message]:
    return list(
        Message.objects.filter(pk__in=list(message_ids)).select_related(
            "generation", "conversation__character", "conversation__user__profile"
        )
    )


def _message(message: Message, conversation: Conversation) -> SafeString:
    language = conversation.user.profile.language
    with translation.override(language):
        return render_to_string(
            "conversations/_message.html",
            {
                "message": message,
                "character": conversation.character,
                "conversation": conversation,
            },
        )
