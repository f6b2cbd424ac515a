"""A copy of everything, and the end of an account."""

from allauth.account.decorators import reauthentication_required
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST, require_safe

from accounts.authentication.bearer import signed_in
from accounts.data import deletion, exports
from accounts.data.downloads import download_of
from accounts.errors import LastAdmin, RateLimited, StorageUnavailable
from accounts.forms import DeletionForm
from accounts.models import User


@login_required
@never_cache
@require_safe
def account_data(request: HttpRequest) -> HttpResponse:
    return _page(request, DeletionForm(request))


@login_required
@require_POST
def start_export(request: HttpRequest) -> HttpResponse:
    try:
        exports.start(signed_in(request))
    except RateLimited as refusal:
        messages.error(request, str(refusal.detail))
    return redirect("account_data")


@login_required
@never_cache
@require_safe
def download_export(request: HttpRequest) -> HttpResponseBase:
    try:
        return download_of(signed_in(request))
    except StorageUnavailable as refusal:
        messages.error(request, str(refusal.detail))
        return redirect("account_data")


def _has_no_password(request: HttpRequest) -> bool:
    return not signed_in(request).has_usable_password()


@sensitive_post_parameters("password")
@login_required
@never_cache
@require_POST
@reauthentication_required(enabled=_has_no_password)
def delete_account(request: HttpRequest) -> HttpResponse:
    form = DeletionForm(request, request.POST)
    user = signed_in(request)

    if form.is_valid():
        try:
            deletion.ask(user)
        except LastAdmin as refusal:
            form.add_error(None, str(refusal.detail))
        else:
            logout(request)
            messages.success(request, _farewell(user))
            return redirect("account_login")

    return _page(request, form, status=422)


def _page(request: HttpRequest, form: DeletionForm, status: int = 200) -> HttpResponse:
    export = exports.newest(signed_in(request))
    return render(
        request,
        "accounts/data.html",
        {
            "page": "data",
            "export": export,
            "export_until": export
            and export.finished_at
            and export.finished_at + exports.KEPT_FOR,
            "form": form,
            "grace_days": settings.DELETION_GRACE_DAYS,
        },
        status=status,
    )


def _farewell(user: User) -> str:
    if deletion.is_final(user):
        return _("You are signed out for good, and your account is being deleted.")
    return _(
        "You are signed out. Your account will be deleted on %(date)s; "
        "sign in before then to keep it."
    ) % {"date": date_format(timezone.localdate(user.delete_at))}
