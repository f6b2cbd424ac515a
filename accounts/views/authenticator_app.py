"""The pages that turn the authenticator app on and off, once at a time.

Of the same button pressed twice, or in two tabs, the second finds what the first did.
Turning it off asks for what the API asks for: the password, and a code.
"""

import time

from allauth.account import app_settings
from allauth.account.adapter import get_adapter
from allauth.account.decorators import reauthentication_required
from allauth.account.internal.flows.login import get_authentication_records
from allauth.mfa.totp import views as allauth
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.authentication.bearer import signed_in
from accounts.errors import SecondFactorRequired, TotpDisabled
from accounts.mfa import removal, second_factor
from accounts.mfa.adapter import CodeForm
from accounts.mfa.removal import one_at_a_time
from accounts.models import User


@login_required
@never_cache
def turn_on_app(request: HttpRequest) -> HttpResponse:
    user = signed_in(request)
    if request.method != "POST":
        return allauth.activate_totp(request)
    with one_at_a_time(user):
        if second_factor.has_totp(user):
            return redirect("mfa_view_recovery_codes")
        return allauth.activate_totp(request)


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def turn_off_app(request: HttpRequest) -> HttpResponse:
    user = signed_in(request)
    if not second_factor.has_totp(user):
        raise Http404
    if user.has_usable_password() and not _gave_password_lately(request, user):
        confirm = reverse("account_reauthenticate")
        return redirect_to_login(request.path, confirm)
    return _turn_off(request)


@reauthentication_required(app="allauth.mfa")
def _turn_off(request: HttpRequest) -> HttpResponse:
    user = signed_in(request)
    form = CodeForm(request.POST if request.method == "POST" else None, user=user)
    refused = ""
    try:
        # Before a code is used up for it.
        removal.check_totp(user)
        if request.method == "POST" and form.is_valid():
            removal.remove_totp(user)
            get_adapter().add_message(
                request, messages.SUCCESS, "mfa/messages/totp_deactivated.txt"
            )
            get_adapter().send_notification_mail("mfa/email/totp_deactivated", user)
            return redirect("security")
    except TotpDisabled:
        return redirect("security")
    except SecondFactorRequired as refusal:
        refused = str(refusal.detail)
    context = {"form": form, "refused": refused}
    return render(request, "mfa/totp/deactivate_form.html", context)


def _gave_password_lately(request: HttpRequest, user: User) -> bool:
    # For allauth a code alone will do: it would be enough to steal the phone.
    since = time.time() - app_settings.REAUTHENTICATION_TIMEOUT
    return any(
        record["method"] == "password" and record["at"] > since
        for record in get_authentication_records(request, user)
    )
