"""Which pages are open to who has to set up a second factor first."""

from django.test import TestCase, override_settings
from django.urls import path, re_path, reverse

from accounts.media.serving import avatar
from accounts.tests.factories import alice
from config import urls
from config.views import health

#: Uploads where STATIC_URL_PREFIX=/our/files puts them; what begins like an open page.
urlpatterns = [
    re_path(r"^our/files/(?P<folder>\w+)/(?P<name>[\w.]+)\Z", avatar, name="media"),
    path("theme-of-the-week", health, name="theme_of_the_week"),
    path("media/list", health, name="list_of_media"),
    *urls.urlpatterns,
]


@override_settings(ROOT_URLCONF=__name__, MFA_REQUIRED_ROLES=["worker"])
class BeforeSecondFactorTests(TestCase):
    def setUp(self):
        self.client.force_login(alice())

    def is_led_away(self, address):
        answer = self.client.get(address)
        return answer.headers.get("Location") == reverse("mfa_activate_totp")

    def test_pictures_are_shown_wherever_uploads_are_served(self):
        assert not self.is_led_away(f"/our/files/avatars/{'0' * 32}.webp")

    def test_what_only_begins_like_an_open_page_is_closed(self):
        for address in ("/theme-of-the-week", "/media/list", "/healthy", "/theme/x"):
            with self.subTest(address):
                assert self.is_led_away(address)

    def test_its_own_pages_are_open(self):
        for name in ("mfa_index", "mfa_list_webauthn", "security", "language"):
            with self.subTest(name):
                assert not self.is_led_away(reverse(name))
        assert self.client.get(reverse("mfa_activate_totp")).status_code == 302
        assert not self.is_led_away("/health")
        assert self.client.post(reverse("account_logout")).status_code == 302
