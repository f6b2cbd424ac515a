"""Pages about oneself."""

from allauth.account.adapter import get_adapter
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from accounts.errors import BirthdateLocked, EmailTaken
from accounts.forms import ProfileForm, SetupForm
from accounts.models import Profile
from accounts.setup import is_usable, make_first_admin


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def profile(request: HttpRequest) -> HttpResponse:
    # An object of its own: a form writes into it even when it is not valid.
    mine = Profile.objects.get(pk=request.user.pk)
    form = ProfileForm(request.POST or None, instance=mine)

    if request.method == "POST" and form.is_valid():
        try:
            form.save()
        except BirthdateLocked as refusal:
            form.add_error("birthdate", refusal.detail)
        else:
            messages.success(request, _("Your profile is saved."))
            return redirect("profile")

    status = 422 if form.errors else 200
    return render(request, "accounts/profile.html", {"form": form}, status=status)


@sensitive_post_parameters("password")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def setup(request: HttpRequest, token: str) -> HttpResponse:
    if not is_usable(token):
        raise Http404
    form = SetupForm(request.POST or None)

    if request.method == "POST" and form.is_valid():
        try:
            admin = make_first_admin(token, **form.cleaned_data)
        except EmailTaken as refusal:
            form.add_error("email", refusal.detail)
        else:
            if admin is None:
                raise Http404
            get_adapter().login(request, admin)
            return redirect("/")

    status = 422 if form.errors else 200
    return render(request, "accounts/setup.html", {"form": form}, status=status)
