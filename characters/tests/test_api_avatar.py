"""The picture of a character over the operator's API."""

from django.test import override_settings
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart

from accounts.models import AuditEvent
from accounts.tests.cases import JsonTestCase, in_one_window
from accounts.tests.factories import ada, auth, charlie
from accounts.tests.test_pictures import huge_png
from accounts.tests.uploads import GREEN, OwnUploads, opened, picture, upload
from characters.models import Character
from characters.tests.factories import make_character

NORA = "/api/v1/admin/characters/nora"
AVATAR = f"{NORA}/avatar"
SECRET = "an operator key of more than thirty-two characters"


class CharacterAvatarTests(OwnUploads, JsonTestCase):
    def setUp(self):
        super().setUp()
        self.auth = auth(ada())
        make_character()

    def send(self, file=None, path=AVATAR, **fields):
        body = encode_multipart(BOUNDARY, fields | ({"file": file} if file else {}))
        with self.captureOnCommitCallbacks(execute=True):
            return self.client.generic(
                "PATCH", path, body, MULTIPART_CONTENT, **self.auth
            )

    def delete(self, path=AVATAR):
        with self.captureOnCommitCallbacks(execute=True):
            return self.client.delete(path, **self.auth)

    def events(self):
        events = AuditEvent.objects.filter(object_type="character").order_by("at")
        return [(event.action, event.details) for event in events]

    def test_it_answers_with_an_address_that_serves_it(self):
        answer = self.send(upload(picture()))

        assert answer.status_code == 200, answer.content
        nora = answer.json()
        self.assertRegex(nora["avatar_url"], r"^/media/characters/\w{32}\.webp$")
        assert self.client.get(NORA, **self.auth).json() == nora
        seen = self.client.get("/api/v1/characters/nora").json()
        assert seen["avatar_url"] == nora["avatar_url"]
        served = self.client.get(nora["avatar_url"])
        assert opened(served.content).size == (512, 512)

    def test_it_keeps_one_file(self):
        self.send(upload(picture()))
        self.send(upload(picture(GREEN)))

        assert self.stored() == [Character.objects.get().avatar.name]

    def test_it_removes_the_picture(self):
        self.send(upload(picture()))

        assert [self.delete().status_code for _ in range(2)] == [204, 204]

        assert self.client.get(NORA, **self.auth).json()["avatar_url"] is None
        assert self.stored() == []

    def test_the_file_goes_with_the_character(self):
        self.send(upload(picture()))

        assert self.delete(NORA).status_code == 204

        assert self.stored() == []

    def test_each_change_is_recorded(self):
        self.send(upload(picture()))
        self.delete()
        self.delete()
        self.send(upload(b"no picture"))

        changed = ("character.changed", {"fields": ["avatar"], "via": "api"})
        assert self.events() == [changed, changed]

    def test_it_refuses_what_a_person_s_picture_is_refused_for(self):
        self.send(upload(picture()))
        kept = self.stored()
        larger = picture().ljust(2 * 1024 * 1024 + 1, b"\0")
        for content, status, code in (
            (b"<svg/>", 400, "avatar_unreadable"),
            (picture(kind="GIF"), 400, "avatar_unreadable"),
            (larger, 413, "avatar_too_large"),
            (huge_png(9000, 9000), 413, "avatar_too_large"),
            (b"", 400, "invalid"),
        ):
            with self.subTest(code, content=content[:8]):
                self.assert_refused(self.send(upload(content)), status, code)
        self.assert_refused(self.send(file_url="http://a/Nora.jpg"), 400, "invalid")
        assert self.stored() == kept

    def test_it_takes_files_alone(self):
        for body, kind in ((b"{}", "application/json"), (picture(), "image/png")):
            answer = self.client.generic("PATCH", AVATAR, body, kind, **self.auth)
            self.assert_refused(answer, 415, "unsupported_media_type")

    def test_it_changes_only_the_picture(self):
        self.send(upload(picture()), name="Eve", slug="eve", is_archived="true")

        nora = Character.objects.get()
        assert (nora.pk, nora.name, nora.is_archived) == ("nora", "Nora", False)

    def test_of_nobody_there_is_no_picture(self):
        nobody = AVATAR.replace("nora", "nobody")

        self.assert_refused(self.send(upload(picture()), nobody), 404, "not_found")
        self.assert_refused(self.delete(nobody), 404, "not_found")
        assert self.stored() == []

    def test_it_is_not_for_others(self):
        self.auth = auth(charlie())
        for answer in (self.send(upload(picture())), self.delete()):
            self.assert_refused(answer, 403, "permission_denied")
        assert self.stored() == []

    def test_it_says_that_the_storage_is_away(self):
        (self.uploads / "characters").write_text("in the way")

        with self.assertLogs("tertulia.app", "ERROR"):
            answer = self.send(upload(picture()))

        self.assert_refused(answer, 503, "storage_unavailable")
        assert not Character.objects.get().avatar
        assert self.events() == []

    @override_settings(ADMIN_SECRET=SECRET)
    def test_it_limits_how_often_by_whichever_proof(self):
        for proof in (self.auth, {"HTTP_X_ADMIN_KEY": SECRET}):
            self.auth = proof
            with in_one_window():
                answers = [self.send(upload(b"x")).status_code for _ in range(31)]
            assert answers == [400] * 30 + [429]
