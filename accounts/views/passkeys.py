"""allauth's page to remove a passkey, closed where it is the one that has to stay."""

from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn import views as allauth
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.cache import never_cache

from accounts.authentication.bearer import signed_in
from accounts.errors import SecondFactorRequired
from accounts.mfa import second_factor
from accounts.mfa.removal import can_remove, one_at_a_time


@login_required
@never_cache
def remove_passkey(request: HttpRequest, pk: int) -> HttpResponse:
    if request.method != "POST":
        return _removal(request, pk)
    with one_at_a_time(signed_in(request)):
        return _removal(request, pk)


def _removal(request: HttpRequest, pk: int) -> HttpResponse:
    passkeys = Authenticator.objects.filter(type=second_factor.PASSKEY)
    found = passkeys.filter(user=signed_in(request), pk=pk).first()
    if found is not None and not can_remove(found):
        messages.error(request, SecondFactorRequired.detail)
        return redirect("security")
    return allauth.remove_webauthn(request, pk=pk)
