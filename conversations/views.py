"""Pages of conversations; every one works by post and reload, without any script.

With htmx the same addresses answer fragments. What happens in a conversation is
decided in `turns.py`; a refusal is shown where it was caused, with what was typed.
"""

import uuid
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe
from django_htmx.http import HttpResponseClientRedirect
from django_htmx.middleware import HtmxDetails

from accounts.api.parsing import UNSTORABLE
from accounts.errors import NotYours, Refusal
from accounts.models import User
from characters.models import Character
from conversations import access, generations, guardrails, history, lifecycle, turns
from conversations.errors import AgeRestricted, NotFound
from conversations.models import Conversation, Message
from conversations.querysets import ConversationQuerySet, MessageQuerySet

PAGE_SIZE = 40

View = Callable[..., HttpResponse]


class Request(HttpRequest):
    """A request of somebody signed in, with what htmx says of itself."""

    user: User  # type: ignore[assignment]
    htmx: HtmxDetails


def signed_in(view: View) -> View:
    """Send people without a session to the sign-in page, and back to a page they can
    read: what they posted has no address of its own."""

    @never_cache
    @wraps(view)
    def checked(request: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.user.is_authenticated:
            return view(request, *args, **kwargs)
        if request.method in ("GET", "HEAD") and not request.htmx:
            back = request.get_full_path()
        elif "slug" in kwargs:
            back = reverse("character", args=[kwargs["slug"]])
        else:
            back = reverse("conversations")
        answer = redirect_to_login(back)
        return HttpResponseClientRedirect(answer.url) if request.htmx else answer

    return checked


def _conversations(request: Request) -> ConversationQuerySet:
    return Conversation.objects.owned_by(request.user).select_related(
        "character__model", "model"
    )


def _own(request: Request, pk: uuid.UUID) -> Conversation:
    """Return a conversation to change it; 403 for whoever may only read it."""
    conversation = _conversations(request).filter(pk=pk).first()
    if conversation is None:
        raise _denial(request, Conversation.objects.filter(pk=pk))
    return conversation


def _own_message(request: Request, pk: uuid.UUID) -> Message:
    message = Message.objects.owned_by(request.user).filter(pk=pk)
    found = message.select_related("conversation__character", "generation").first()
    if found is None:
        raise _denial(request, Message.objects.filter(pk=pk))
    return found


def _denial(
    request: Request, asked: ConversationQuerySet | MessageQuerySet
) -> Exception:
    refusal = access.refusal(request.user, asked)
    return Http404() if isinstance(refusal, NotFound) else PermissionDenied()


@require_POST
@signed_in
def start(request: Request, slug: str) -> HttpResponse:
    character = get_object_or_404(Character.objects.published(), slug=slug)

    if not guardrails.may_talk(request.user.profile, character):
        refusal = AgeRestricted(request.user.profile)
        return render(
            request,
            "characters/character.html",
            {"character": character, "refusal": refusal, "is_refused": True},
            status=refusal.status,
        )
    unused = _conversations(request).filter(
        character=character, status=Conversation.Status.OPEN
    )
    conversation = unused.exclude(messages__role=Message.Role.USER).first()
    try:
        conversation = conversation or lifecycle.begin(request.user, character)
    except NotFound:  # deleted this very moment
        raise Http404 from None

    return redirect("conversation", conversation.pk)


@require_safe
@signed_in
def conversations(request: Request) -> HttpResponse:
    page = _positive(request.GET.get("page", "1"))
    first = (page - 1) * PAGE_SIZE
    found = list(_conversations(request).with_unread()[first : first + PAGE_SIZE + 1])

    return render(
        request,
        "conversations/conversations.html",
        {
            "conversations": found[:PAGE_SIZE],
            "page": page,
            "has_next": len(found) > PAGE_SIZE,
        },
    )


@require_safe
@signed_in
def conversation(request: Request, pk: uuid.UUID) -> HttpResponse:
    readable = Conversation.objects.visible_to(request.user).select_related(
        "character__model", "model", "user__profile"
    )
    shown = get_object_or_404(readable, pk=pk)
    before = _message_id(shown, request.GET.get("before"))

    if request.htmx:
        context = _history_context(request, shown, before)
        access.note_reading(request.user, shown)
        return render(request, "conversations/_history.html", context)
    if shown.user_id != request.user.pk:
        # A page that is loaded again to see a reply grow is one reading.
        access.note_reading(request.user, shown)
        return _page(request, shown, before=before)
    if shown.last_message_at > shown.last_read_at:
        shown.last_read_at = timezone.now()
        shown.save(update_fields=["last_read_at"])
    return _page(request, shown, before=before)


@require_POST
@signed_in
def send_message(request: Request, pk: uuid.UUID) -> HttpResponse:
    typed = request.POST.get("content", "")
    client_id = request.POST.get("client_id", "")[:64] or None

    try:
        turn = turns.open(request.user, pk, typed, client_id=client_id)
        generations.start(turn)
    except Refusal as refusal:
        return _refuse(request, pk, refusal, typed=typed, client_id=client_id)

    return _answer(request, pk, turn.sent, turn.reply)


@require_POST
@signed_in
def stop(request: Request, pk: uuid.UUID) -> HttpResponse:
    message = _own_message(request, pk)

    turns.stop(request.user, message.pk)

    return _answer(request, message.conversation_id, message)


@require_POST
@signed_in
def continue_reply(request: Request, pk: uuid.UUID) -> HttpResponse:
    message = _own_message(request, pk)

    try:
        turn = turns.resume(request.user, message.pk)
        generations.start(turn)
    except Refusal as refusal:
        return _refuse(request, message.conversation_id, refusal)

    return _answer(request, message.conversation_id, turn.reply)


@require_POST
@signed_in
def regenerate(request: Request, pk: uuid.UUID) -> HttpResponse:
    message = _own_message(request, pk)

    try:
        turn = turns.regenerate(request.user, message.pk)
        generations.start(turn)
    except Refusal as refusal:
        return _refuse(request, message.conversation_id, refusal)

    return _answer(request, message.conversation_id, turn.reply)


@require_safe
@signed_in
def message(request: Request, pk: uuid.UUID) -> HttpResponse:
    messages = Message.objects.visible_to(request.user).select_related(
        "conversation__character", "generation"
    )
    message = get_object_or_404(messages, pk=pk)
    access.note_reading(request.user, message.conversation)

    return render(
        request,
        "conversations/_message.html",
        {
            "message": message,
            "character": message.conversation.character,
            "conversation": message.conversation,
            "is_read_only": message.conversation.user_id != request.user.pk,
        },
    )


@require_POST
@signed_in
def rename(request: Request, pk: uuid.UUID) -> HttpResponse:
    conversation = _own(request, pk)

    title = UNSTORABLE.sub(" ", request.POST.get("title", ""))
    lifecycle.change(conversation, title=" ".join(title.split())[:200])

    return redirect("conversation", pk)


@require_POST
@signed_in
def pin(request: Request, pk: uuid.UUID) -> HttpResponse:
    conversation = _own(request, pk)

    lifecycle.change(conversation, is_pinned=not conversation.is_pinned)

    return redirect("conversation", pk)


@require_POST
@signed_in
def reset(request: Request, pk: uuid.UUID) -> HttpResponse:
    try:
        fresh = lifecycle.reset(request.user, pk)
    except Refusal as refusal:
        return _refuse(request, pk, refusal)

    return redirect("conversation", fresh.pk)


@require_POST
@signed_in
def delete(request: Request, pk: uuid.UUID) -> HttpResponse:
    conversation = _own(request, pk)

    lifecycle.delete(conversation)

    return redirect("conversations")


def _positive(number: str) -> int:
    return int(number) if number.isdecimal() and 0 < int(number) < 100_000 else 1


def _message_id(conversation: Conversation, text: str | None) -> uuid.UUID | None:
    """Return the id of a message of `conversation`, or None where none was asked for.

    A branch is walked from it, so it must not lead into somebody else's.
    """
    if not text:
        return None
    try:
        pk = uuid.UUID(text)
    except ValueError:
        raise Http404 from None
    if not conversation.messages.filter(pk=pk).exists():
        raise Http404
    return pk


def _history_context(
    request: Request, conversation: Conversation, before: uuid.UUID | None = None
) -> dict[str, Any]:
    return {
        "is_read_only": conversation.user_id != request.user.pk,
        "conversation": conversation,
        "character": conversation.character,
        "history": history.newest(conversation, before),
    }


def _page(
    request: Request,
    conversation: Conversation,
    *,
    before: uuid.UUID | None = None,
    refusal: Refusal | None = None,
    typed: str = "",
    client_id: str | None = None,
) -> HttpResponse:
    beside = list(_conversations(request).with_unread()[: PAGE_SIZE + 1])
    context = {
        **_history_context(request, conversation, before),
        "current": conversation,
        "pinned": [other for other in beside[:PAGE_SIZE] if other.is_pinned],
        "recent": [other for other in beside[:PAGE_SIZE] if not other.is_pinned],
        "has_more": len(beside) > PAGE_SIZE,
        "is_past": before is not None,
        "refusal": refusal,
        "typed": typed,
        # So that a form sent twice is one message, also without any script.
        "client_id": client_id or uuid.uuid4(),
        "max_length": settings.MESSAGE_MAX_CHARS,
    }
    return render(
        request,
        "conversations/conversation.html",
        context,
        status=refusal.status if refusal else 200,
    )


def _answer(request: Request, pk: uuid.UUID, *changed: Message) -> HttpResponse:
    """Show what changed: as fragments to htmx, as the page to everybody else."""
    if not request.htmx:
        return redirect("conversation", pk)
    messages = [_own_message(request, message.pk) for message in changed if message]
    return render(request, "conversations/_changed.html", {"changed": messages})


def _refuse(
    request: Request,
    pk: uuid.UUID,
    refusal: Refusal,
    *,
    typed: str = "",
    client_id: str | None = None,
) -> HttpResponse:
    if isinstance(refusal, NotFound):
        raise Http404
    if isinstance(refusal, NotYours):
        raise PermissionDenied
    if request.htmx:
        answer = render(
            request,
            "conversations/_refused.html",
            {"detail": refusal.detail, "client_id": client_id},
            status=refusal.status,
        )
    else:
        conversation = get_object_or_404(_conversations(request), pk=pk)
        answer = _page(
            request, conversation, refusal=refusal, typed=typed, client_id=client_id
        )
    if wait := refusal.extra.get("retry_after"):
        answer["Retry-After"] = str(wait)
    return answer
