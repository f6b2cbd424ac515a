"""Profile, picture, appearance and language: what a person says of themself."""

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.utils import translation
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import (
    require_http_methods,
    require_POST,
    require_safe,
)

from accounts.authentication.bearer import signed_in
from accounts.errors import BirthdateLocked, Refusal
from accounts.forms import AvatarForm, LanguageForm, ProfileForm
from accounts.limits import AVATAR
from accounts.media import avatars
from accounts.models import Profile
from accounts.throttling import check

THEMES = ("auto", "light", "dark")
YEAR = 365 * 24 * 3600


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def profile(request: HttpRequest) -> HttpResponse:
    form = ProfileForm(request.POST or None, instance=_profile_of(request))

    if request.method == "POST" and form.is_valid():
        try:
            form.save()
        except BirthdateLocked as refusal:
            form.add_error("birthdate", refusal.detail)
        else:
            messages.success(request, _("Your profile is saved."))
            return redirect("profile")

    status = 422 if form.errors else 200
    return _profile_page(request, form, AvatarForm(), status)


@login_required
@never_cache
@require_POST
def avatar(request: HttpRequest) -> HttpResponse:
    """Change the picture, or remove it where that was the button."""
    mine = _profile_of(request)
    form = AvatarForm(request.POST, request.FILES)
    status = 422
    headers = {}

    if "remove" in request.POST:
        avatars.remove(mine)
        messages.success(request, _("Your picture is removed."))
        return redirect("profile")
    if form.is_valid():
        try:
            check(*AVATAR, str(mine.pk))
            avatars.put(mine, form.cleaned_data["file"])
        except Refusal as refusal:
            form.add_error("file", str(refusal.detail))
            status = refusal.status
            if "retry_after" in refusal.extra:
                headers["Retry-After"] = str(refusal.extra["retry_after"])
        else:
            messages.success(request, _("Your picture is saved."))
            return redirect("profile")

    answer = _profile_page(request, ProfileForm(instance=mine), form, status)
    for name, value in headers.items():
        answer[name] = value
    return answer


@login_required
@never_cache
@require_safe
def appearance(request: HttpRequest) -> HttpResponse:
    return render(request, "accounts/appearance.html", {"page": "appearance"})


@require_POST
def choose_theme(request: HttpRequest) -> HttpResponse:
    """Keep the choice of light in a cookie, which scripts of ours write as well."""
    theme = request.POST.get("theme")
    back = request.POST.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(back, allowed_hosts=None)
    if not (back.startswith("/") and is_ours):
        back = "/"

    # No `redirect`, which would take a word for the name of a view.
    response: HttpResponse = HttpResponseRedirect(back)
    if theme in THEMES:
        response.set_cookie(
            "theme", theme, max_age=YEAR, secure=settings.IS_HTTPS, samesite="Lax"
        )
    return response


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def language(request: HttpRequest) -> HttpResponse:
    form = LanguageForm(request.POST or None, instance=_profile_of(request))

    if request.method == "POST" and form.is_valid():
        with translation.override(form.save().language):
            messages.success(request, _("Your language is saved."))
        return redirect("language")

    status = 422 if form.errors else 200
    context = {"form": form, "page": "language"}
    return render(request, "accounts/language.html", context, status=status)


def _profile_of(request: HttpRequest) -> Profile:
    # An object of its own: a form writes into it even when it is not valid.
    return Profile.objects.get(pk=signed_in(request).pk)


def _profile_page(
    request: HttpRequest, form: ProfileForm, avatar_form: AvatarForm, status: int
) -> HttpResponse:
    context = {"form": form, "avatar_form": avatar_form, "page": "profile"}
    return render(request, "accounts/profile.html", context, status=status)
