"""allauth's pages for a new password, closed to whom the operator closed them."""

from allauth.account import views as allauth
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache

from accounts import passwords
from accounts.authentication.bearer import signed_in
from accounts.errors import PasswordChangeClosed


@login_required
@never_cache
def change_password(request: HttpRequest) -> HttpResponse:
    if not passwords.may_change(signed_in(request)):
        return _refused(request)
    return allauth.password_change(request)


@login_required
@never_cache
def set_password(request: HttpRequest) -> HttpResponse:
    if not passwords.may_change(signed_in(request)):
        return _refused(request)
    return allauth.password_set(request)


@never_cache
def reset_password(request: HttpRequest, uidb36: str, key: str) -> HttpResponse:
    try:
        return allauth.password_reset_from_key(request, uidb36=uidb36, key=key)
    except PasswordChangeClosed:
        return _refused(request)


def _refused(request: HttpRequest) -> HttpResponse:
    refusal = PasswordChangeClosed()
    return render(
        request,
        "account/password_change_closed.html",
        {"detail": refusal.detail},
        status=refusal.status,
    )
