from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """People, what they may do, and the sessions they do it in."""

    name = "accounts"

    def ready(self) -> None:
        # drf-spectacular finds its extensions by their being imported.
        from accounts.api import schema  # noqa: F401
