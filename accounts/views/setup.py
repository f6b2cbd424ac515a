"""The first administrator, made by whoever reads the server's console."""

from allauth.account.adapter import get_adapter
from allauth.account.internal.flows.reauthentication import reauthenticate_by_password
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from accounts.authentication import sign_ins
from accounts.errors import EmailTaken
from accounts.forms import SetupForm
from accounts.models import User
from accounts.setup import is_set_up, is_usable, make_first_admin


@sensitive_post_parameters("password")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def setup(request: HttpRequest, token: str) -> HttpResponse:
    if not is_usable(token):
        return _end(request)
    form = SetupForm(request.POST or None)

    if request.method == "POST" and form.is_valid():
        try:
            admin = make_first_admin(token, **form.cleaned_data)
        except EmailTaken as refusal:
            form.add_error("email", refusal.detail)
        else:
            return _go_on(request, admin) if admin else _end(request)

    status = 422 if form.errors else 200
    return render(request, "accounts/setup.html", {"form": form}, status=status)


def _go_on(request: HttpRequest, admin: User) -> HttpResponse:
    sign_ins.begin(request, admin)
    get_adapter().login(request, admin)
    # They have just typed the password: the second factor need not ask for it again.
    reauthenticate_by_password(request)
    # While it is there, every page shows the way back to the set-up.
    request.session["first_run"] = True
    return redirect("setup_second_factor")


def _end(request: HttpRequest) -> HttpResponse:
    """Answer for a link that is used up; whoever used it goes on where they were."""
    user = request.user
    if user.is_authenticated and user.role == User.Role.ADMIN:
        return redirect("setup_second_factor")
    context = {"is_set_up": is_set_up()}
    return render(request, "accounts/setup_over.html", context, status=404)
