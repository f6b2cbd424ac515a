"""allauth's pages that turn the authenticator app on and off, once at a time.

Of the same button pressed twice, or in two tabs, the second finds what the first did.
"""

from allauth.mfa.totp import views as allauth
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.cache import never_cache

from accounts.authentication.bearer import signed_in
from accounts.mfa import second_factor
from accounts.mfa.removal import one_at_a_time


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
def turn_off_app(request: HttpRequest) -> HttpResponse:
    if request.method != "POST":
        return allauth.deactivate_totp(request)
    with one_at_a_time(signed_in(request)):
        return allauth.deactivate_totp(request)
