"""The panel: people, their conversations and what was said, in three columns.

For supervisors and administrators, who see there what `accounts/access.py` lets them
and hand conversations from one to another. Every step is an address and a page.
"""

import uuid
from functools import wraps
from typing import Any

from django.contrib import messages as notices
from django.core.exceptions import PermissionDenied
from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from accounts.api.parsing import UNSTORABLE
from accounts.errors import Refusal
from accounts.models import User, normalize_email
from conversations import access, history, reassignment
from conversations.errors import Invalid
from conversations.models import Conversation
from conversations.people import seen_by
from conversations.querysets import ConversationQuerySet
from conversations.views import Request, View, signed_in

#: People and conversations on one page of their column.
PAGE_SIZE = 50
#: How many people are offered by name for a conversation; others are typed.
OFFERED = 200


def for_supervision(view: View) -> View:
    """Show workers nothing of the panel: what is theirs has pages of its own."""

    @signed_in
    @wraps(view)
    def checked(request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        if "person" in kwargs:
            kwargs["person"] = _person(request, kwargs["person"])
        if not request.user.sees_others:
            raise PermissionDenied
        return view(request, *args, **kwargs)

    return checked


def _person(request: Request, pk: uuid.UUID) -> User:
    seen: QuerySet[User] = User.objects.visible_to(request.user)
    return get_object_or_404(seen.select_related("profile", "team"), pk=pk)


def _conversations(request: Request) -> ConversationQuerySet:
    return Conversation.objects.visible_to(request.user).select_related(
        "character__model", "model", "user__profile"
    )


@require_safe
@for_supervision
def people(request: Request) -> HttpResponse:
    return _panel(request)


@require_safe
@for_supervision
def conversations(request: Request, person: User) -> HttpResponse:
    return _panel(request, person)


@require_safe
@for_supervision
def messages(request: Request, person: User, pk: uuid.UUID) -> HttpResponse:
    shown = get_object_or_404(_conversations(request), pk=pk)

    if shown.user != person:  # it was handed over since the link was made
        return redirect("panel_conversation", shown.user_id, pk)
    return _panel(request, person, shown)


@require_POST
@for_supervision
def reassign(request: Request, person: User, pk: uuid.UUID) -> HttpResponse:
    email = normalize_email(UNSTORABLE.sub(" ", request.POST.get("to", "")))
    reason = UNSTORABLE.sub(" ", request.POST.get("reason", ""))

    shown = get_object_or_404(_conversations(request), pk=pk)
    try:
        to = User.objects.visible_to(request.user).filter(email=email).first()
        if to is None:
            raise Invalid(_("You see nobody with this e-mail; choose from the list."))
        if len(reason) > reassignment.MAX_REASON:
            raise Invalid(
                _("The reason can have %(count)d characters.")
                % {"count": reassignment.MAX_REASON}
            )
        reassignment.reassign(request.user, pk, to.pk, reason=reason)
    except Refusal as refusal:
        typed = {"to": request.POST.get("to", ""), "reason": reason}
        return _panel(request, person, shown, refusal=refusal, typed=typed)

    notices.success(
        request, _("The conversation is now %(name)s’s.") % {"name": to.profile}
    )
    return redirect("panel_conversation", to.pk, pk)


def _panel(
    request: Request,
    person: User | None = None,
    shown: Conversation | None = None,
    *,
    refusal: Refusal | None = None,
    typed: dict[str, str] | None = None,
) -> HttpResponse:
    text = UNSTORABLE.sub(" ", request.GET.get("q", ""))[:254].strip()
    context: dict[str, Any] = {
        "text": text,
        "people": _page(seen_by(request.user, text), request, "people"),
        "person": person,
        "current": shown,
        "is_read_only": True,
    }
    if person is not None:
        access.note_listing(request.user, person)
        theirs = _conversations(request).owned_by(person).with_unread()
        context["conversations"] = _page(theirs, request, "page")
    if shown is not None:
        access.note_reading(request.user, shown)
        offered = User.objects.visible_to(request.user).filter(is_active=True)
        context |= {
            "conversation": shown,
            "character": shown.character,
            "history": history.newest(shown),
            "offered": offered.exclude(pk=shown.user_id)
            .select_related("profile")
            .order_by("email")[:OFFERED],
            "max_reason": reassignment.MAX_REASON,
            "refusal": refusal,
            "typed": typed or {},
        }
    return render(
        request,
        "conversations/panel.html",
        context,
        status=refusal.status if refusal else 200,
    )


def _page(rows: Any, request: HttpRequest, name: str) -> Page[Any]:
    # A number that there is not, or that is none, is the nearest that there is.
    return Paginator(rows, PAGE_SIZE).get_page(request.GET.get(name))
