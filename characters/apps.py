from django.apps import AppConfig
from django.db.models.signals import pre_delete
from django.utils.translation import gettext_lazy as _


class CharactersConfig(AppConfig):
    """Who answers: personas, their sliders, and the instructions made of them."""

    name = "characters"
    verbose_name = _("Characters")

    def ready(self) -> None:
        from accounts.media.avatars import discard_with_row

        pre_delete.connect(discard_with_row, sender="characters.Character")
