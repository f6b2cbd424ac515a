"""The operator's view of characters, with the prompt they make."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.actions import delete_selected as ask_first
from django.db import models, transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from accounts.authentication.bearer import signed_in
from accounts.forms import AvatarField
from characters import administration
from characters.errors import HasConversations
from characters.models import Character
from characters.persona import system_prompt


class LinesField(forms.CharField):
    """A list of texts, one on each line."""

    widget = forms.Textarea(attrs={"rows": 4})

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    def has_changed(self, initial: Any, data: Any) -> bool:
        return _lines(data or "") != (initial or [])

    def clean(self, value: Any) -> list[str]:
        return _lines(super().clean(value))


def _lines(text: str) -> list[str]:
    lines = [line.strip() for line in text.splitlines()]
    return [line for line in lines if line]


class CharacterForm(forms.ModelForm):
    boundaries = LinesField(
        label=_("boundaries"),
        required=False,
        help_text=_("What the character never does, one on each line."),
    )
    tags = LinesField(label=_("tags"), required=False, help_text=_("One on each line."))

    class Meta:
        model = Character
        fields = (
            "slug",
            "name",
            "tagline",
            "description",
            "greeting",
            "avatar",
            "tone",
            "dominance",
            "affection",
            "explicit_level",
            "boundaries",
            "tags",
            "rating",
            "model",
            "is_public",
        )


@admin.register(Character)
class CharacterAdmin(admin.ModelAdmin):
    form = CharacterForm
    formfield_overrides = {models.ImageField: {"form_class": AvatarField}}
    list_display = ("name", "slug", "tone", "rating", "is_public", "archived_at")
    list_filter = (
        "rating",
        "tone",
        "is_public",
        ("archived_at", admin.EmptyFieldListFilter),
    )
    search_fields = ("name", "slug", "tagline")
    prepopulated_fields = {"slug": ("name",)}
    list_select_related = ("model",)
    readonly_fields = ("prompt", "archived_at", "created_at")
    actions = ("archive", "restore", "delete_selected")
    fieldsets = (
        (None, {"fields": ("name", "slug", "tagline", "description", "greeting")}),
        (_("Manner"), {"fields": ("tone", "dominance", "affection", "boundaries")}),
        (_("Adults"), {"fields": ("rating", "explicit_level")}),
        (_("Shown as"), {"fields": ("avatar", "tags", "is_public", "archived_at")}),
        (_("Model"), {"fields": ("model", "prompt", "created_at")}),
    )

    def get_readonly_fields(
        self, request: HttpRequest, obj: Character | None = None
    ) -> tuple[str, ...]:
        # Conversations refer to the slug.
        return (*self.readonly_fields, "slug") if obj else self.readonly_fields

    def get_prepopulated_fields(
        self, request: HttpRequest, obj: Character | None = None
    ) -> dict[str, Sequence[str]]:
        return {} if obj else self.prepopulated_fields

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Character | None:
        if request.method == "POST":
            # What the form has checked stays so until the page's transaction ends.
            held = Character.objects.select_for_update().filter(pk=object_id)
            held.values_list("pk").first()
        return super().get_object(request, object_id, from_field)

    def save_model(
        self, request: HttpRequest, obj: Character, form: forms.ModelForm, change: bool
    ) -> None:
        if change:
            changes = {name: getattr(obj, name) for name in form.changed_data}
            administration.change(obj, **_door(request), **changes)
        else:
            administration.make(obj, **_door(request))

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[str]]:
        """Refuse before anybody is asked, where Django would list what is in the way.

        Raises HasConversations.
        """
        chosen = [character.pk for character in objs]
        held = Character.objects.filter(pk__in=chosen, conversations__isnull=False)
        if names := sorted({str(character) for character in held.distinct()}):
            raise HasConversations(
                _("There are conversations with %(names)s: archive instead.")
                % {"names": ", ".join(names)}
            )
        return super().get_deleted_objects(objs, request)

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: Any = None
    ) -> HttpResponse:
        try:
            return super().delete_view(request, object_id, extra_context)
        except HasConversations as refusal:
            messages.error(request, str(refusal.detail))
            return redirect("admin:characters_character_change", object_id)

    def delete_model(self, request: HttpRequest, obj: Character) -> None:
        administration.delete(obj, **_door(request))

    def delete_queryset(
        self, request: HttpRequest, queryset: QuerySet[Character]
    ) -> None:
        for character in queryset:
            administration.delete(character, **_door(request))

    @admin.action(permissions=["delete"], description=_("Delete the chosen characters"))
    def delete_selected(
        self, request: HttpRequest, characters: QuerySet[Character]
    ) -> HttpResponse | None:
        try:
            with transaction.atomic():
                return ask_first(self, request, characters)
        except HasConversations as refusal:
            messages.error(request, str(refusal.detail))
            return None

    @admin.display(description=_("system prompt"))
    def prompt(self, character: Character) -> str:
        if not character.pk:
            return "–"
        return format_html("<pre>{}</pre>", system_prompt(character))

    @admin.action(
        permissions=["change"], description=_("Archive: no new conversations")
    )
    def archive(self, request: HttpRequest, characters: QuerySet[Character]) -> None:
        self._set_archived(request, characters, True)

    @admin.action(permissions=["change"], description=_("Take out of the archive"))
    def restore(self, request: HttpRequest, characters: QuerySet[Character]) -> None:
        self._set_archived(request, characters, False)

    def _set_archived(
        self, request: HttpRequest, characters: QuerySet[Character], is_archived: bool
    ) -> None:
        changed = [one for one in characters if one.is_archived != is_archived]
        with transaction.atomic():
            for one in changed:
                administration.change(one, **_door(request), is_archived=is_archived)
                self.log_change(request, one, [{"changed": {"fields": ["archived"]}}])
        said = ngettext(
            "%(count)d character changed.",
            "%(count)d characters changed.",
            len(changed),
        )
        messages.success(request, said % {"count": len(changed)})


def _door(request: HttpRequest) -> dict[str, Any]:
    return {"actor": signed_in(request), "via": "admin site"}
