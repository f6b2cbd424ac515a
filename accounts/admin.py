"""Users, teams, plans and API sessions for the operator."""

from typing import Any

from allauth.account.decorators import secure_admin_login
from allauth.account.models import EmailAddress
from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminUserCreationForm
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from accounts.models import Plan, Profile, Session, Team, User

# One door, with its limits and its second factor, for pages and the admin site.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]


class ProfileInline(admin.StackedInline):
    model = Profile
    can_delete = False


class NewUserForm(AdminUserCreationForm):
    class Meta:
        model = User
        fields = ["email", "role"]
        field_classes = {"email": forms.EmailField}


@admin.register(User)
class UserAdmin(DjangoUserAdmin):
    add_form = NewUserForm
    list_display = ["email", "name", "role", "team", "plan", "is_active", "last_login"]
    list_filter = ["role", "is_active", "team", "plan"]
    list_select_related = ["profile", "team", "plan"]
    search_fields = ["email", "profile__display_name"]
    ordering = ["-created_at"]
    date_hierarchy = "created_at"
    autocomplete_fields = ["team", "plan"]
    readonly_fields = ["created_at", "last_login"]
    filter_horizontal = ()
    actions = ["activate", "deactivate"]
    fieldsets = [
        (None, {"fields": ["email", "password", "is_active"]}),
        (_("Rights"), {"fields": ["role", "team"]}),
        (_("Limits"), {"fields": ["plan", "daily_units"]}),
        (_("Dates"), {"fields": ["created_at", "last_login"]}),
    ]
    add_fieldsets = [
        (
            None,
            {
                "classes": ["wide"],
                "fields": [
                    "email",
                    "role",
                    "usable_password",
                    "password1",
                    "password2",
                ],
            },
        )
    ]

    @admin.display(description=_("display name"), ordering="profile__display_name")
    def name(self, user: User) -> str:
        return user.profile.display_name

    def get_inlines(self, request: HttpRequest, obj: User | None) -> list[type]:
        # A new user's profile is made with them, filled in or not.
        return [ProfileInline] if obj else []

    def save_model(
        self, request: HttpRequest, obj: User, form: forms.ModelForm, change: bool
    ) -> None:
        with transaction.atomic():
            super().save_model(request, obj, form, change)
            if not change:
                Profile.objects.create(user=obj)
            if "email" in form.changed_data:
                # allauth keeps the address a second time, and would go on letting the
                # old one in.
                EmailAddress.objects.filter(user=obj).delete()
            if "is_active" in form.changed_data:
                obj.set_active(obj.is_active)

    @admin.action(description=_("Let the chosen users in"))
    def activate(self, request: HttpRequest, users: QuerySet[User]) -> None:
        self._set_active(request, users, True)

    @admin.action(description=_("Keep the chosen users out, and end their sessions"))
    def deactivate(self, request: HttpRequest, users: QuerySet[User]) -> None:
        self._set_active(request, users.exclude(pk=str(request.user.pk)), False)

    def _set_active(
        self, request: HttpRequest, users: QuerySet[User], is_active: bool
    ) -> None:
        changed = users.exclude(is_active=is_active)
        for user in changed:
            user.set_active(is_active)
            self.log_change(request, user, [{"changed": {"fields": ["is_active"]}}])
        count = len(changed)
        messages.success(
            request,
            ngettext("%(count)d user changed.", "%(count)d users changed.", count)
            % {"count": count},
        )


@admin.register(Team)
class TeamAdmin(admin.ModelAdmin):
    list_display = ["name"]
    search_fields = ["name"]


@admin.register(Plan)
class PlanAdmin(admin.ModelAdmin):
    list_display = ["name", "daily_units"]
    search_fields = ["name"]


@admin.register(Session)
class SessionAdmin(admin.ModelAdmin):
    list_display = ["user", "ip", "user_agent", "last_seen_at", "expires_at", "live"]
    list_filter = ["last_seen_at", ("revoked_at", admin.EmptyFieldListFilter)]
    list_select_related = ["user"]
    search_fields = ["user__email", "ip"]
    date_hierarchy = "created_at"
    actions = ["revoke"]
    fields = [
        "user",
        "ip",
        "user_agent",
        "created_at",
        "last_seen_at",
        "expires_at",
        "revoked_at",
    ]

    @admin.display(description=_("live"), boolean=True)
    def live(self, session: Session) -> bool:
        return session.is_live

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.action(description=_("End the chosen sessions"))
    def revoke(self, request: HttpRequest, sessions: QuerySet[Session]) -> None:
        count = Session.objects.filter(pk__in=sessions).revoke()
        messages.success(
            request,
            ngettext("%(count)d session ended.", "%(count)d sessions ended.", count)
            % {"count": count},
        )
