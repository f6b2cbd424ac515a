"""The operator's view of characters, with the prompt they make."""

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from accounts.forms import AvatarField
from accounts.media.avatars import replacing
from characters.models import Character
from characters.persona import system_prompt


class LinesField(forms.CharField):
    """A list of texts, one on each line."""

    widget = forms.Textarea(attrs={"rows": 4})

    def prepare_value(self, value):
        return "\n".join(value) if isinstance(value, list) else value

    def clean(self, value):
        lines = [line.strip() for line in super().clean(value).splitlines()]
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

    def clean(self):
        cleaned = super().clean() or {}
        if cleaned.get("explicit_level") and cleaned.get("rating") != "adult":
            raise ValidationError(
                {"explicit_level": _("Only a character for adults can be explicit.")}
            )
        return cleaned


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
    actions = ("archive", "restore")
    fieldsets = (
        (None, {"fields": ("name", "slug", "tagline", "description", "greeting")}),
        (_("Manner"), {"fields": ("tone", "dominance", "affection", "boundaries")}),
        (_("Adults"), {"fields": ("rating", "explicit_level")}),
        (_("Shown as"), {"fields": ("avatar", "tags", "is_public", "archived_at")}),
        (_("Model"), {"fields": ("model", "prompt", "created_at")}),
    )

    def get_readonly_fields(self, request, obj=None):
        # Conversations refer to the slug.
        return (*self.readonly_fields, "slug") if obj else self.readonly_fields

    def get_prepopulated_fields(self, request, obj=None):
        return {} if obj else self.prepopulated_fields

    def save_model(self, request, obj, form, change):
        with replacing(obj):
            super().save_model(request, obj, form, change)

    def has_delete_permission(self, request, obj=None):
        if obj is not None and obj.conversations.exists():
            return False
        return super().has_delete_permission(request, obj)

    @admin.display(description=_("system prompt"))
    def prompt(self, character: Character) -> str:
        if not character.pk:
            return "–"
        return format_html("<pre>{}</pre>", system_prompt(character))

    @admin.action(description=_("Archive: no new conversations"))
    def archive(self, request, characters):
        characters.update(archived_at=timezone.now())

    @admin.action(description=_("Take out of the archive"))
    def restore(self, request, characters):
        characters.update(archived_at=None)
