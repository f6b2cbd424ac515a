"""What of the uploads can be asked for, by whom, and how it is answered."""

from io import BytesIO

from django.core.files.storage import default_storage
from django.test import TestCase

from accounts.media import avatars
from accounts.models import Profile
from accounts.tests.factories import alice
from accounts.tests.uploads import OwnUploads, opened, picture

NAME = "0123456789abcdef0123456789abcdef.webp"


class MediaTests(OwnUploads, TestCase):
    def setUp(self):
        super().setUp()
        profile = alice().profile
        avatars.put(profile, BytesIO(picture()))
        self.url = profile.avatar.url

    def keep(self, name: str, content: bytes = b"kept apart") -> None:
        path = self.uploads / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def test_it_serves_a_picture_as_nothing_else(self):
        response = self.client.get(self.url)

        assert response.status_code == 200
        assert opened(response.content).format == "WEBP"
        assert response["Content-Type"] == "image/webp"
        assert response["Content-Length"] == str(len(response.content))
        assert response["X-Content-Type-Options"] == "nosniff"
        assert response["Content-Disposition"] == 'inline; filename="avatar.webp"'
        assert response["Content-Security-Policy"] == "default-src 'none'; sandbox"
        assert response["Cache-Control"] == "private, max-age=31536000, immutable"

    def test_it_lets_shared_caches_keep_a_character_s(self):
        self.keep(f"characters/{NAME}", picture(kind="WEBP"))

        response = self.client.get(f"/media/characters/{NAME}")

        assert response["Cache-Control"].startswith("public,")

    def test_it_does_not_send_again_what_is_known(self):
        etag = self.client.get(self.url)["ETag"]

        known = self.client.get(self.url, HTTP_IF_NONE_MATCH=etag)
        other = self.client.get(self.url, HTTP_IF_NONE_MATCH='"other"')

        assert (known.status_code, known.content) == (304, b"")
        assert known["Cache-Control"].endswith("immutable")
        assert other.status_code == 200

    def test_it_answers_a_head_with_the_headers_of_a_get(self):
        asked = self.client.head(self.url)
        got = self.client.get(self.url)

        assert asked.content == b""
        for name in ("Content-Type", "Content-Length", "ETag", "Cache-Control"):
            assert asked[name] == got[name]

    def test_it_takes_no_other_method(self):
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            assert self.client.generic(method, self.url).status_code in (403, 405)

    def test_it_knows_no_more_what_is_removed(self):
        etag = self.client.get(self.url)["ETag"]
        with self.captureOnCommitCallbacks(execute=True):
            avatars.remove(Profile.objects.get())

        response = self.client.get(self.url, HTTP_IF_NONE_MATCH=etag)

        assert response.status_code == 404

    def test_it_serves_nothing_but_avatars_and_lists_nothing(self):
        self.keep("secret.txt")
        self.keep(f"exports/{NAME}")
        self.keep(NAME)
        self.keep("avatars/page.html")
        self.keep(f"avatars/deeper/{NAME}")
        (self.uploads.parent / "outside.webp").write_bytes(b"kept apart")
        self.addCleanup((self.uploads.parent / "outside.webp").unlink)
        for path in (
            "",
            "avatars",
            "avatars/",
            "secret.txt",
            NAME,
            f"exports/{NAME}",
            f"avatars/../exports/{NAME}",
            f"avatars/%2e%2e/exports/{NAME}",
            f"avatars%2f..%2fexports%2f{NAME}",
            f"avatars/..%5cexports%5c{NAME}",
            f"avatars\\..\\exports\\{NAME}",
            f"/avatars/{NAME}",
            f"avatars//{NAME}",
            f"avatars/{NAME}%00",
            f"avatars/{NAME}%00.png",
            f"avatars/{NAME}%0a",
            f"avatars/{NAME}/",
            f"avatars/./{NAME}",
            f"avatars/{NAME.upper()}",
            f"avatars/{NAME.replace('.webp', '.html')}",
            f"avatars/{NAME}",
            f"avatars/deeper/{NAME}",
            "avatars/page.html",
            "../outside.webp",
            "%2e%2e/outside.webp",
            "%2e%2e%2foutside.webp",
            "avatars/../../outside.webp",
            "/etc/passwd",
            "//etc/passwd",
            "%2fetc%2fpasswd",
        ):
            with self.subTest(path):
                response = self.client.get(f"/media/{path}")
                assert response.status_code == 404, response
                assert b"kept apart" not in response.content

    def test_it_follows_no_link(self):
        self.keep("exports/archive")
        (self.uploads / "avatars" / NAME).symlink_to(self.uploads / "exports/archive")
        (self.uploads / "characters").symlink_to(self.uploads / "avatars")

        for folder in ("avatars", "characters"):
            response = self.client.get(f"/media/{folder}/{NAME}")
            assert response.status_code == 404

    def test_it_serves_no_directory(self):
        (self.uploads / "avatars" / NAME).mkdir()

        assert self.client.get(f"/media/avatars/{NAME}").status_code == 404

    def test_it_serves_from_a_directory_that_is_a_link(self):
        linked = self.uploads.parent / f"{self.uploads.name}-link"
        linked.symlink_to(self.uploads)
        self.addCleanup(linked.unlink)

        with self.settings(MEDIA_ROOT=str(linked)):
            assert default_storage.location == str(linked)
            assert self.client.get(self.url).status_code == 200
