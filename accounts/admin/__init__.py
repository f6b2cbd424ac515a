"""Accounts on the admin site, whose door is the one of the pages."""

from allauth.account.decorators import secure_admin_login
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib import admin

# Each registers what it shows.
from accounts.admin import audit, sessions, users  # noqa: F401

# One door, with its limits and its second factor, for pages and the admin site.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]
# What is deleted there goes on letting its browser in.
admin.site.unregister(UserSession)
# Secrets, even sealed, are nobody's to read or to enter; a user's page removes them.
admin.site.unregister(Authenticator)
