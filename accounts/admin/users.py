"""Users for the operator."""

from typing import Any

from allauth.account.models import EmailAddress
from django import forms
from django.contrib import admin, messages
from django.contrib.admin.actions import delete_selected as ask_first
from django.contrib.admin.utils import unquote
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.db import models, transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from accounts import administration, audit, verification
from accounts.admin.sessions import sessions_ended
from accounts.authentication.bearer import signed_in
from accounts.authentication.sessions import end_all
from accounts.data import deletion
from accounts.errors import OwnAccount, Refusal
from accounts.forms import AddressField, AvatarField
from accounts.mail import write_to
from accounts.media.avatars import replacing
from accounts.mfa import second_factor
from accounts.mfa.removal import remove_all
from accounts.models import Profile, User


class ProfileForm(forms.ModelForm):
    def save(self, commit: bool = True) -> Profile:
        with replacing(self.instance):
            return super().save(commit)


class ProfileInline(admin.StackedInline):
    model = Profile
    form = ProfileForm
    formfield_overrides = {models.ImageField: {"form_class": AvatarField}}
    can_delete = False


class NewUserForm(AdminUserCreationForm):
    class Meta:
        model = User
        fields = ["email", "role"]
        field_classes = {"email": AddressField}


class UserForm(UserChangeForm):
    """Refuses what would leave nobody to administer; `actor` is who is at it."""

    actor: User

    class Meta(UserChangeForm.Meta):
        model = User
        field_classes = {"email": AddressField}

    def clean(self) -> dict[str, Any]:
        given = super().clean() or self.cleaned_data
        changes = {
            name: given[name] for name in administration.ACTIONS if name in given
        }
        try:
            # Django's page is one transaction: until its end nobody else decides.
            self.before = administration.check(
                self.instance, actor=self.actor, **changes
            )
        except Refusal as refusal:
            raise forms.ValidationError(str(refusal.detail)) from refusal
        return given


@admin.register(User)
class UserAdmin(DjangoUserAdmin):
    form = UserForm
    add_form = NewUserForm
    list_display = ["email", "name", "role", "team", "plan", "is_active", "last_login"]
    list_filter = ["role", "is_active", "team", "plan"]
    list_select_related = ["profile", "team", "plan"]
    search_fields = ["email", "profile__display_name"]
    ordering = ["-created_at"]
    date_hierarchy = "created_at"
    autocomplete_fields = ["team", "plan"]
    readonly_fields = ["factors", "created_at", "last_login"]
    filter_horizontal = ()
    actions = [
        "activate",
        "deactivate",
        "sign_out",
        "remove_second_factor",
        "confirm_address",
        "delete_selected",
    ]
    fieldsets = [
        (None, {"fields": ["email", "password", "factors", "is_active"]}),
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

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return User.objects.managed_by(request.user).order_by(*self.ordering)

    @admin.display(description=_("display name"), ordering="profile__display_name")
    def name(self, user: User) -> str:
        return user.profile.display_name

    @admin.display(description=_("second factor"))
    def factors(self, user: User) -> str:
        return second_factor.in_words(user)

    def get_inlines(self, request: HttpRequest, obj: User | None) -> list[type]:
        # A new user's profile is made with them, filled in or not.
        return [ProfileInline] if obj else []

    def get_form(
        self,
        request: HttpRequest,
        obj: User | None = None,
        change: bool = False,
        **kwargs: Any,
    ) -> type[forms.ModelForm]:
        form = super().get_form(request, obj, change=change, **kwargs)
        form.actor = request.user  # type: ignore[attr-defined]
        return form

    def has_delete_permission(
        self, request: HttpRequest, obj: User | None = None
    ) -> bool:
        # So that somebody stays administrator.
        return super().has_delete_permission(request, obj) and obj != request.user

    def save_model(
        self, request: HttpRequest, obj: User, form: forms.ModelForm, change: bool
    ) -> None:
        actor = signed_in(request)
        with transaction.atomic():
            if isinstance(form, UserForm):
                # The rest of the row may be another since it was read.
                obj.save(update_fields=list(form.before))
                administration.note(obj, form.before, actor=actor, via="admin site")
            else:
                super().save_model(request, obj, form, change)
                Profile.objects.create(user=obj)
                audit.record("user.made", actor=actor, of=obj, role=obj.role)
            if "email" in form.changed_data:
                # allauth keeps the address a second time, and would go on letting the
                # old one in.
                EmailAddress.objects.filter(user=obj).delete()

    def save_formset(
        self, request: HttpRequest, form: Any, formset: Any, change: bool
    ) -> None:
        super().save_formset(request, form, formset, change)
        actor = signed_in(request)
        for profile in formset.initial_forms:
            user, changed = profile.instance.user, set(profile.changed_data)
            if "birthdate" in changed:
                old, new = profile.initial["birthdate"], profile.instance.birthdate
                dates = {"old": old and str(old), "new": new and str(new)}
                audit.record("profile.birthdate_changed", actor=actor, of=user, **dates)
            if others := sorted(changed - {"birthdate"}):
                # What the person says of themself stays theirs to say.
                audit.record("profile.changed", actor=actor, of=user, fields=others)

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[str]]:
        """Answer the page that asks with numbers, where Django lists every row.

        What the accounts hold goes with them, whoever may delete it by itself.
        """
        return [str(user) for user in objs], deletion.extent(objs), set(), []

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: Any = None
    ) -> HttpResponse:
        try:
            return super().delete_view(request, object_id, extra_context)
        except Refusal as refusal:
            messages.error(request, str(refusal.detail))
            return redirect("admin:accounts_user_change", object_id)

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        deletion.remove(obj, actor=signed_in(request), via="admin site")

    def response_delete(
        self, request: HttpRequest, obj_display: str, obj_id: int
    ) -> HttpResponse:
        messages.success(request, _accounts_deleted(1))
        return redirect("admin:accounts_user_changelist")

    @admin.action(permissions=["delete"], description=_("Delete the chosen users"))
    def delete_selected(
        self, request: HttpRequest, users: QuerySet[User]
    ) -> HttpResponse | None:
        actor, chosen = signed_in(request), list(users)
        try:
            if actor in chosen:
                raise OwnAccount
            if not request.POST.get("post"):
                return ask_first(self, request, users)
            with transaction.atomic():
                self.log_deletions(request, users)
                for user in chosen:
                    deletion.remove(user, actor=actor, via="admin site")
        except Refusal as refusal:
            messages.error(request, str(refusal.detail))
        else:
            messages.success(request, _accounts_deleted(len(chosen)))
        return None

    def user_change_password(
        self, request: HttpRequest, id: str, form_url: str = ""
    ) -> HttpResponse:
        actor = signed_in(request)
        if self.get_object(request, unquote(id)) == actor:
            # There the old one is asked for.
            return redirect("account_change_password")
        answer = super().user_change_password(request, id, form_url)
        is_away = request.method == "POST" and answer.status_code == 302
        if is_away and answer["Location"] != request.get_full_path():
            user = User.objects.get(pk=unquote(id))
            audit.record(
                "user.password_changed", actor=actor, of=user, via="admin site"
            )
            is_set = user.has_usable_password()
            write_to(user, "accounts/email/password_by_operator", is_set=is_set)
        return answer

    @admin.action(description=_("Let the chosen users in"))
    def activate(self, request: HttpRequest, users: QuerySet[User]) -> None:
        self._set_active(request, users, True)

    @admin.action(description=_("Keep the chosen users out, and end their sessions"))
    def deactivate(self, request: HttpRequest, users: QuerySet[User]) -> None:
        self._set_active(request, users.exclude(pk=str(request.user.pk)), False)

    @admin.action(description=_("Sign the chosen users out everywhere"))
    def sign_out(self, request: HttpRequest, users: QuerySet[User]) -> None:
        actor, count = signed_in(request), 0
        for user in users:
            if ended := end_all(user):
                how = {"count": ended, "via": "admin site"}
                audit.record("sessions.ended", actor=actor, of=user, **how)
            count += ended
        messages.success(request, sessions_ended(count))

    @admin.action(description=_("Remove the second factor of the chosen users"))
    def remove_second_factor(self, request: HttpRequest, users: QuerySet[User]) -> None:
        actor = signed_in(request)
        others = users.exclude(pk=actor.pk)
        if users.filter(pk=actor.pk).exists():
            # Theirs may have to stay, and is asked for before it is taken away.
            messages.warning(
                request, _("Your own is on your security page; remove it there.")
            )
        count = sum(remove_all(user, actor=actor) for user in others)
        said = ngettext(
            "The second factor of %(count)d user is removed.",
            "The second factors of %(count)d users are removed.",
            count,
        )
        messages.success(request, said % {"count": count})

    @admin.action(description=_("Take the addresses of the chosen users for confirmed"))
    def confirm_address(self, request: HttpRequest, users: QuerySet[User]) -> None:
        actor, count = signed_in(request), 0
        for user in users:
            if verification.awaited(user):
                verification.confirm(user)
                audit.record("user.email_confirmed", actor=actor, of=user)
                count += 1
        self._say_changed(request, count)

    def _set_active(
        self, request: HttpRequest, users: QuerySet[User], is_active: bool
    ) -> None:
        changed = list(users.exclude(is_active=is_active))
        for user in changed:
            administration.change(
                user, actor=signed_in(request), via="admin site", is_active=is_active
            )
            self.log_change(request, user, [{"changed": {"fields": ["is_active"]}}])
        self._say_changed(request, len(changed))

    def _say_changed(self, request: HttpRequest, count: int) -> None:
        said = ngettext("%(count)d user changed.", "%(count)d users changed.", count)
        messages.success(request, said % {"count": count})


def _accounts_deleted(count: int) -> str:
    said = ngettext(
        "%(count)d account is closed, and deleted in the background.",
        "%(count)d accounts are closed, and deleted in the background.",
        count,
    )
    return said % {"count": count}
