"""Where a person is signed in."""

from uuid import UUID

from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from accounts import audit
from accounts.authentication import sessions as open_sessions
from accounts.authentication.bearer import signed_in


@login_required
@never_cache
@require_GET
def sessions(request: HttpRequest) -> HttpResponse:
    user = signed_in(request)
    found = open_sessions.open_sessions(user)
    here = [one for one in found if one.credential == user.credential]

    others = [one for one in found if one.credential != user.credential]
    return render(
        request,
        "accounts/sessions.html",
        {"page": "sessions", "here": here, "others": others},
    )


@login_required
@never_cache
@require_POST
def end_session(request: HttpRequest, pk: UUID) -> HttpResponse:
    user = signed_in(request)
    session = open_sessions.find(user, pk)
    if session is None:
        raise Http404

    open_sessions.end_session(user, session.credential)
    audit.record("session.ended", actor=user, of=user, session=str(session.id))

    if session.credential == user.credential:
        logout(request)
        return redirect("account_login")
    messages.success(request, _("%s is signed out.") % session.device)
    return redirect("sessions")


@login_required
@never_cache
@require_POST
def end_others(request: HttpRequest) -> HttpResponse:
    user = signed_in(request)

    ended = open_sessions.end_all(user, keep=user.credential)
    audit.record("sessions.ended", actor=user, of=user, count=ended)

    said = ngettext(
        "%(count)d other session is signed out.",
        "%(count)d other sessions are signed out.",
        ended,
    )
    messages.success(request, said % {"count": ended})
    return redirect("sessions")
