"""One's own picture over the API."""

from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart

from accounts.models import Profile
from accounts.tests.cases import ME, JsonTestCase, in_one_window
from accounts.tests.factories import alice, auth, charlie
from accounts.tests.test_pictures import huge_png
from accounts.tests.uploads import OwnUploads, opened, picture, upload

AVATAR = "/api/v1/me/avatar"


class AvatarTests(OwnUploads, JsonTestCase):
    def setUp(self):
        super().setUp()
        self.auth = auth(alice())

    def send(self, file=None, auth=None, **fields):
        body = encode_multipart(BOUNDARY, fields | ({"file": file} if file else {}))
        return self.client.generic(
            "PATCH", AVATAR, body, MULTIPART_CONTENT, **(auth or self.auth)
        )

    def test_it_answers_with_an_address_that_serves_it(self):
        me = self.send(upload(picture())).json()

        assert me["avatar_url"].startswith("/media/avatars/")
        assert self.client.get(ME, **self.auth).json() == me
        served = self.client.get(me["avatar_url"])
        assert served.status_code == 200
        assert opened(served.content).size == (512, 512)

    def test_it_answers_with_and_without_a_slash(self):
        body = encode_multipart(BOUNDARY, {"file": upload(picture())})

        response = self.client.generic(
            "PATCH", f"{AVATAR}/", body, MULTIPART_CONTENT, **self.auth
        )

        assert response.status_code == 200

    def test_it_believes_neither_name_nor_declared_type(self):
        for name, declared in (
            ("../../etc/passwd.html", "text/html"),
            ("a.svg", "image/svg+xml"),
            ("a\u202egpj.exe", "application/x-msdownload"),
            ("x" * 300, "image/gif"),
        ):
            with self.subTest(name):
                me = self.send(upload(picture(kind="JPEG"), name, declared)).json()
                self.assertRegex(me["avatar_url"], r"^/media/avatars/\w{32}\.webp$")

    def test_it_refuses_what_is_no_picture(self):
        for content in (b"<svg/>", picture(kind="GIF"), picture()[:60]):
            with self.subTest(content[:8]):
                response = self.send(upload(content, "me.png", "image/png"))
                self.assert_refused(response, 400, "avatar_unreadable")

    def test_it_refuses_what_is_too_large(self):
        more = picture().ljust(2 * 1024 * 1024 + 1, b"\0")

        self.assert_refused(self.send(upload(more)), 413, "avatar_too_large")
        response = self.send(upload(huge_png(9000, 9000)))
        self.assert_refused(response, 413, "avatar_too_large")
        assert "megapixels" in response.json()["detail"]

    def test_it_refuses_a_body_without_a_file(self):
        for body in ({}, {"file": ""}, {"file": "text"}, {"other": "x"}):
            with self.subTest(body):
                response = self.send(**body)
                self.assert_refused(response, 400, "invalid")
                assert response.json()["errors"][0]["field"] == "file"
        self.assert_refused(self.send(upload(b"")), 400, "invalid")

    def test_it_refuses_other_kinds_of_bodies(self):
        for body, kind in (
            (b"{}", "application/json"),
            (picture(), "image/png"),
            (b"file=x", "application/x-www-form-urlencoded"),
        ):
            with self.subTest(kind):
                response = self.client.generic("PATCH", AVATAR, body, kind, **self.auth)
                self.assert_refused(response, 415, "unsupported_media_type")
        broken = self.client.generic(
            "PATCH", AVATAR, b"--nothing", "multipart/form-data", **self.auth
        )
        self.assert_refused(broken, 400, "malformed")

    def test_it_changes_only_the_picture(self):
        self.send(upload(picture()), display_name="Eve", user="1", role="admin")

        assert Profile.objects.get().display_name == "Alice"

    def test_it_changes_only_one_s_own(self):
        self.send(upload(picture()))
        mine = Profile.objects.get().avatar.name
        other = auth(charlie())

        self.client.delete(AVATAR, **other)

        assert Profile.objects.get(user__email="alice@example.com").avatar.name == mine
        assert self.client.get(ME, **other).json()["avatar_url"] is None

    def test_it_is_for_who_is_signed_in(self):
        for method in ("PATCH", "DELETE"):
            response = self.client.generic(method, AVATAR)
            self.assert_refused(response, 401, "not_authenticated")

    def test_it_removes_the_picture(self):
        self.send(upload(picture()))

        with self.captureOnCommitCallbacks(execute=True):
            first = self.client.delete(AVATAR, **self.auth)
        again = self.client.delete(AVATAR, **self.auth)

        assert (first.status_code, again.status_code) == (204, 204)
        assert self.client.get(ME, **self.auth).json()["avatar_url"] is None
        assert self.stored() == []

    def test_it_says_that_the_storage_is_away(self):
        (self.uploads / "avatars").write_text("in the way")

        with self.assertLogs("tertulia.app", "ERROR"):
            response = self.send(upload(picture()))

        self.assert_refused(response, 503, "storage_unavailable")
        assert not Profile.objects.get().avatar

    def test_it_limits_how_often(self):
        with in_one_window():
            answers = [self.send(upload(b"x")).status_code for _ in range(31)]

        assert answers == [400] * 30 + [429]
