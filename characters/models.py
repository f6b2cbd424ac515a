"""Characters: who answers."""

from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import (
    MaxLengthValidator,
    MaxValueValidator,
    MinValueValidator,
)
from django.db import models
from django.db.models import Count, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from characters.rules import BOUNDARIES, LONGEST_TEXT, TAGS, validate_finite


class CharacterQuerySet(models.QuerySet["Character"]):
    def published(self) -> "CharacterQuerySet":
        """Keep those that anyone may see and start to talk with."""
        return self.filter(archived_at=None, is_public=True)

    def with_conversation_count(self) -> "CharacterQuerySet":
        """Add `conversation_count`: how many conversations there are with each."""
        return self.annotate(conversation_count=Count("conversations"))


def share(label: Any, default: float) -> models.FloatField:
    return models.FloatField(
        label,
        default=default,
        validators=[validate_finite, MinValueValidator(0), MaxValueValidator(1)],
    )


def long_text(label: Any, **options: Any) -> models.TextField:
    # Forms and the API go by `max_length`; the model itself would not.
    return models.TextField(
        label,
        blank=True,
        max_length=LONGEST_TEXT,
        validators=[MaxLengthValidator(LONGEST_TEXT)],
        **options,
    )


class Character(models.Model):
    """A persona with sliders; an assistant is a character rated for everyone."""

    class Rating(models.TextChoices):
        EVERYONE = "everyone", _("everyone")
        ADULT = "adult", _("adults only")

    class Tone(models.TextChoices):
        NEUTRAL = "neutral", _("neutral")
        FRIENDLY = "friendly", _("friendly")
        PLAYFUL = "playful", _("playful")
        ROMANTIC = "romantic", _("romantic")
        SERIOUS = "serious", _("serious")
        PROFESSIONAL = "professional", _("professional")

    MAX_EXPLICIT_LEVEL = 3

    slug = models.SlugField(_("slug"), primary_key=True, max_length=60)
    name = models.CharField(_("name"), max_length=80)
    tagline = models.CharField(_("tagline"), max_length=160, blank=True)
    description = long_text(_("description"))
    greeting = long_text(_("greeting"), help_text=_("What they say first."))
    avatar = models.ImageField(_("avatar"), upload_to="characters/", blank=True)
    tone = models.CharField(
        _("tone"), max_length=20, choices=Tone.choices, default=Tone.FRIENDLY
    )
    dominance = share(_("dominance"), 0.5)
    affection = share(_("affection"), 0.5)
    explicit_level = models.PositiveSmallIntegerField(
        _("explicit level"),
        default=0,
        validators=[MaxValueValidator(MAX_EXPLICIT_LEVEL)],
        help_text=_("0 none, 1 suggestive, 2 sensual, 3 explicit."),
    )
    boundaries = models.JSONField(
        _("boundaries"),
        default=list,
        blank=True,
        help_text=_("A list of things the character never does."),
    )
    tags = models.JSONField(_("tags"), default=list, blank=True)
    rating = models.CharField(
        _("rating"), max_length=10, choices=Rating.choices, default=Rating.EVERYONE
    )
    model = models.ForeignKey(
        "llm.LanguageModel",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="characters",
        verbose_name=_("model"),
    )
    is_public = models.BooleanField(_("public"), default=True)
    archived_at = models.DateTimeField(_("archived"), null=True, blank=True)
    created_at = models.DateTimeField(
        _("created"), default=timezone.now, editable=False
    )

    objects = CharacterQuerySet.as_manager()

    class Meta:
        ordering = ["created_at", "slug"]
        verbose_name = _("character")
        verbose_name_plural = _("characters")
        constraints = [
            models.CheckConstraint(
                condition=Q(dominance__range=(0, 1)), name="character_dominance_0_to_1"
            ),
            models.CheckConstraint(
                condition=Q(affection__range=(0, 1)), name="character_affection_0_to_1"
            ),
            models.CheckConstraint(
                condition=Q(explicit_level__lte=3),
                name="character_explicit_level_0_to_3",
            ),
            models.CheckConstraint(
                condition=Q(rating="adult") | Q(explicit_level=0),
                name="character_explicit_only_for_adults",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Refuse what only shows when fields are looked at together, and odd lists."""
        wrong: dict[str, Any] = {}
        if self.explicit_level and not self.is_adult:
            wrong["explicit_level"] = _("Only a character for adults can be explicit.")
        # Not by validators: Django does not ask those of what is blank, and to it {}
        # is as blank as [].
        for name, lines in (("boundaries", BOUNDARIES), ("tags", TAGS)):
            try:
                lines.check(getattr(self, name))
            except ValidationError as error:
                wrong[name] = error
        if wrong:
            raise ValidationError(wrong)

    @property
    def is_adult(self) -> bool:
        return self.rating == self.Rating.ADULT

    @property
    def is_archived(self) -> bool:
        return self.archived_at is not None
