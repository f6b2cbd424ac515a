from django.apps import AppConfig


class CharactersConfig(AppConfig):
    """Who answers: personas, their sliders, and the instructions made of them."""

    name = "characters"
