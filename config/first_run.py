"""The first run in a browser: a second factor, a model, the first conversation.

It begins where the set-up link has made an administrator. Every step is a page of its
own that may be reloaded, gone back to and left; it ends when a model has been chosen or
the administrator has said to leave it as it is. Nothing here asks for a secret.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from asgiref.sync import async_to_sync
from django import forms
from django.contrib.auth.decorators import login_required
from django.db import IntegrityError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from accounts import audit, registration
from accounts.mfa import second_factor as factors
from accounts.models import AuditEvent, User
from characters.models import Character
from llm import catalog, choosing
from llm.models import LanguageModel

#: What the audit says when the administrator leaves everything as it is. It is never
#: deleted, so nothing else has to remember it.
LEFT = "setup.left_as_is"


class Request(HttpRequest):
    user: User  # type: ignore[assignment]


View = Callable[..., HttpResponse]


class ModelForm(forms.Form):
    """Which of the offered models answers."""

    model = forms.ChoiceField(
        label=_("Which model answers?"),
        error_messages={"invalid_choice": _("This model is not offered any more.")},
    )

    def __init__(self, offers: list[choosing.Offer], *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.fields["model"].choices = [  # type: ignore[attr-defined]
            (offer.name, list(zip(offer.labels, offer.models, strict=True)))
            for offer in offers
            if offer.models
        ]


def is_over() -> bool:
    """Whether the first run has come to its end, here or in the administration."""
    is_chosen = LanguageModel.objects.filter(is_default=True, is_active=True).exists()
    return is_chosen or AuditEvent.objects.filter(action=LEFT).exists()


def for_administrators(view: View) -> View:
    """Ask people to sign in; to those who do not administer, there is no such page."""

    @never_cache
    @login_required
    @wraps(view)
    def checked(request: Request) -> HttpResponse:
        if request.user.role != User.Role.ADMIN:
            raise Http404
        return view(request)

    return checked


@require_safe
@for_administrators
def second_factor(request: Request) -> HttpResponse:
    if is_over():
        return redirect("setup_ready")

    context = {
        "is_on": factors.is_enabled(request.user),
        "is_required": factors.is_required(request.user),
    }
    return render(request, "config/second_factor.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@for_administrators
def model(request: Request) -> HttpResponse:
    if is_over():
        return redirect("setup_ready")
    if "leave" in request.POST:
        return _leave(request)
    offers, answering = async_to_sync(choosing.alook)()
    suggested = choosing.suggest(offers, answering)
    form = ModelForm(offers, request.POST or None, initial={"model": suggested})

    trial = None
    if request.method == "POST" and form.is_valid():
        provider, _slash, name = form.cleaned_data["model"].partition("/")
        if "try" not in request.POST:
            return _choose(request, provider, name)
        trial = async_to_sync(choosing.atry)(provider, name)

    context = {
        "offers": offers,
        "answering": answering,
        "is_offered": answering in choosing.labels(offers),
        "form": form,
        "trial": trial,
    }
    status = 422 if form.errors else 200
    return render(request, "config/model.html", context, status=status)


@require_safe
@for_administrators
def ready(request: Request) -> HttpResponse:
    if not is_over():
        return redirect("setup_model")
    request.session.pop("first_run", None)
    everyone = Character.objects.published().filter(rating="everyone")

    context = {
        "answering": async_to_sync(catalog.achoose)().label,
        "character": everyone.filter(slug="assistant").first() or everyone.first(),
        "has_second_factor": factors.is_enabled(request.user),
        "is_open": registration.is_open(),
    }
    return render(request, "config/ready.html", context)


def _leave(request: Request) -> HttpResponse:
    audit.record(LEFT, actor=request.user)
    return redirect("setup_ready")


def _choose(request: Request, provider: str, name: str) -> HttpResponse:
    try:
        chosen = choosing.choose(provider, name)
    except IntegrityError:
        # The button was pressed twice, or a second administrator was faster.
        return redirect("setup_ready")
    audit.record("model.made_default", actor=request.user, of=chosen, model=name)
    return redirect("setup_ready")
