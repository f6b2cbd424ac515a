"""What people read of a user agent."""

from django.test import SimpleTestCase
from django.utils import translation

from accounts.authentication.devices import device_of

CHROME = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0"
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15"


class DeviceTests(SimpleTestCase):
    def test_it_says_what_people_know_it_by(self):
        for user_agent, device in (
            (
                f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {CHROME} Safari/537.36",
                "Chrome on Windows",
            ),
            (
                f"Mozilla/5.0 (Linux; Android 14; Pixel 8) {CHROME} Mobile Safari/537",
                "Chrome on Android",
            ),
            (
                f"{PHONE} (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
                "Safari on iPhone",
            ),
            ("Dart/3.4 (dart:io)", "Dart"),
            ("python-httpx/0.27.0", "python-httpx"),
            ("tertulia", "tertulia"),
            ("", "Unknown device"),
            ("   ", "Unknown device"),
        ):
            with self.subTest(user_agent):
                assert device_of(user_agent) == device

    def test_it_keeps_what_is_made_up_short(self):
        assert len(device_of("x" * 300)) == 40

    def test_it_speaks_the_readers_language(self):
        for language in ("en", "es"):
            with translation.override(language):
                assert "Firefox" in device_of("Mozilla/5.0 (X11; Linux) Firefox/128.0")
