from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_in
from django.db.models.signals import post_delete, pre_delete
from django.utils.translation import gettext_lazy as _


class AccountsConfig(AppConfig):
    """People, what they may do, and the sessions they do it in."""

    name = "accounts"
    verbose_name = _("Accounts")

    def ready(self) -> None:
        # drf-spectacular finds its extensions by their being imported.
        from accounts import receivers
        from accounts.api import schema  # noqa: F401
        from accounts.data import holdings
        from accounts.media.avatars import discard_with_row
        from accounts.mfa import adapter as mfa

        pre_delete.connect(discard_with_row, sender="accounts.Profile")
        user_logged_in.connect(receivers.begin_browser_session)
        pre_delete.connect(receivers.end_sessions_first, sender="accounts.User")
        receivers.connect_allauth()
        mfa.connect()
        user_logged_in.connect(receivers.keep_account)
        post_delete.connect(receivers.delete_export, sender="accounts.Export")
        holdings.register_all()
