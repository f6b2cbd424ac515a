"""Accounts on the admin site, whose door is the one of the pages."""

from allauth.account.decorators import secure_admin_login
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib import admin
from django.utils.translation import gettext_lazy as _
from django.views.generic import RedirectView

# Each registers what it shows.
from accounts.admin import audit, groups, sessions, users  # noqa: F401

admin.site.site_header = _("Tertulia administration")
admin.site.site_title = _("Tertulia administration")
# One door, with its limits and its second factor, for pages and the admin site.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]
# One page for one's own password, with its limits, its rules and its mail.
admin.site.password_change = RedirectView.as_view(  # type: ignore[assignment, method-assign]
    pattern_name="account_change_password"
)
# What is deleted there goes on letting its browser in.
admin.site.unregister(UserSession)
# A user has one address, which is on their page: a second one would sign them in, too.
admin.site.unregister(EmailAddress)
# Secrets, even sealed, are nobody's to read or to enter; a user's page removes them.
admin.site.unregister(Authenticator)
