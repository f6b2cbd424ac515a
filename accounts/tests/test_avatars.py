"""Files of avatars: one for a row, whatever goes wrong or happens at once."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import BytesIO
from threading import Event
from unittest.mock import patch

import pytest
from django.core.files.storage import default_storage
from django.db import connection, transaction
from django.http import Http404
from django.test import TestCase, TransactionTestCase

from accounts.crowding import Bound
from accounts.errors import AvatarUnreadable, StorageUnavailable
from accounts.media import avatars, pictures
from accounts.models import Profile, User
from accounts.tests.factories import alice, auth, bob
from accounts.tests.races import at_once
from accounts.tests.uploads import GREEN, OwnUploads, picture, upload


def stored_name() -> str:
    return Profile.objects.get(user__email="alice@example.com").avatar.name


class AvatarTests(OwnUploads, TestCase):
    def setUp(self):
        super().setUp()
        self.profile = alice().profile

    def put(self, content: bytes | None = None) -> None:
        with self.captureOnCommitCallbacks(execute=True):
            avatars.put(self.profile, BytesIO(content or picture()))

    def test_it_stores_under_a_name_nobody_can_guess(self):
        self.put()
        first = stored_name()
        self.put()

        assert first != stored_name()
        self.assertRegex(first, r"^avatars/[0-9a-f]{32}\.webp$")
        assert self.profile.avatar.name == stored_name()

    def test_it_removes_the_old_file(self):
        self.put()
        self.put(picture(GREEN))

        assert self.stored() == [stored_name()]

    def test_it_leaves_other_people_s_files(self):
        avatars.put(bob().profile, BytesIO(picture()))
        self.put()
        self.put()

        assert len(self.stored()) == 2

    def test_it_removes_the_avatar(self):
        self.put()
        with self.captureOnCommitCallbacks(execute=True):
            avatars.remove(self.profile)
            avatars.remove(self.profile)

        assert stored_name() == ""
        assert not self.profile.avatar
        assert self.stored() == []

    def test_it_keeps_the_old_one_when_the_new_is_no_picture(self):
        self.put()

        with pytest.raises(AvatarUnreadable):
            self.put(b"no picture")

        assert self.stored() == [stored_name()]

    def test_it_keeps_the_old_one_when_nothing_can_be_stored(self):
        self.put()
        kept = stored_name()
        (self.uploads / "avatars").rename(self.uploads / "aside")
        (self.uploads / "avatars").write_text("in the way")

        with pytest.raises(StorageUnavailable):
            self.put()

        assert stored_name() == kept

    def test_it_leaves_no_file_when_the_row_is_gone(self):
        User.objects.all().delete()

        with pytest.raises(Http404):
            self.put()

        assert self.stored() == []

    def test_it_keeps_the_old_file_when_the_transaction_fails(self):
        self.put()
        kept = stored_name()

        with transaction.atomic():
            avatars.remove(self.profile)
            transaction.set_rollback(True)

        assert stored_name() == kept
        assert self.stored() == [kept]

    def test_it_goes_with_the_person(self):
        self.put()
        with self.captureOnCommitCallbacks(execute=True):
            User.objects.all().delete()

        assert self.stored() == []

    def test_it_succeeds_when_the_old_file_cannot_be_removed(self):
        self.put()
        old = self.uploads / stored_name()
        old.unlink()
        old.mkdir()
        (old / "in the way").write_text("")

        with self.assertLogs("tertulia.app", "WARNING"):
            self.put()

        assert default_storage.exists(stored_name())


class CrowdTests(OwnUploads, TransactionTestCase):
    def send(self, headers):
        content = _multipart(picture())
        return self.client_class().generic(
            "PATCH", "/api/v1/me/avatar", *content, **headers
        )

    def test_it_answers_that_too_many_pictures_wait(self):
        headers = auth(alice())
        full = Bound(1, seconds=0.1)
        with patch.object(pictures, "_unpacking", full), full.entered():
            refused = self.send(headers)
        again = self.send(headers)

        assert refused.status_code == 503
        assert refused.json()["code"] == "overloaded"
        assert refused["Retry-After"] == str(refused.json()["retry_after"])
        assert again.status_code == 200

    def test_the_page_says_so_too(self):
        alice()
        full = Bound(1, seconds=0.1)
        self.client.force_login(User.objects.get())
        with patch.object(pictures, "_unpacking", full), full.entered():
            refused = self.client.post("/settings/avatar", {"file": upload(picture())})

        assert refused.status_code == 503
        assert refused["Retry-After"] == "5"
        self.assertContains(refused, "Too much is going on here at once", 1, 503)

    def test_one_person_takes_one_place_in_the_queue(self):
        hers, his = auth(alice()), auth(bob())
        is_free, begun = Event(), Event()
        unpacked = pictures._unpacked

        def held(data):
            begun.set()
            is_free.wait(10)
            return unpacked(data)

        def second_and_another():
            begun.wait(10)
            with patch.object(pictures, "_unpacked", unpacked):
                return self.send(hers), self.send(his)

        with (
            patch.object(pictures, "_unpacking", Bound(2, seconds=5)),
            patch.object(avatars, "PATIENCE", 0.2),
            patch.object(pictures, "_unpacked", held),
            ThreadPoolExecutor(2) as threads,
        ):
            slow = threads.submit(_and_close, partial(self.send, hers))
            second, another = threads.submit(_and_close, second_and_another).result(20)
            is_free.set()
            assert slow.result(20).status_code == 200

        assert second.status_code == 429
        assert second.json()["code"] == "rate_limited"
        assert "still being prepared" in second.json()["detail"]
        assert second["Retry-After"]
        assert another.status_code == 200

    def test_who_waits_for_others_or_for_a_picture_holds_no_connection(self):
        held = []
        unpacked = pictures._unpacked

        def look(data):
            held.append(connection.connection)
            return unpacked(data)

        headers = auth(alice())
        with patch.object(pictures, "_unpacked", look):
            assert self.send(headers).status_code == 200

        assert held == [None]


def _and_close(call):
    try:
        return call()
    finally:
        connection.close()


class AvatarRaceTests(OwnUploads, TransactionTestCase):
    def test_it_keeps_one_of_ten_uploads(self):
        headers = auth(alice())

        def send(number):
            content = picture((number * 20, 0, 0))
            client = self.client_class()
            return client.generic(
                "PATCH", "/api/v1/me/avatar", *_multipart(content), **headers
            )

        answers = at_once([partial(send, number) for number in range(10)])

        assert [answer.status_code for answer in answers] == [200] * 10, answers
        assert self.stored() == [stored_name()]

    def test_it_leaves_no_file_when_an_upload_meets_the_end_of_the_account(self):
        for _ in range(5):
            user = alice()
            profile = Profile.objects.get()

            at_once([partial(avatars.put, profile, BytesIO(picture())), user.delete])

            assert not User.objects.exists()
            assert self.stored() == []

    def test_it_ends_with_a_file_or_none_when_an_upload_meets_a_removal(self):
        profile = alice().profile
        for _ in range(5):
            mine = [Profile.objects.get(pk=profile.pk) for _ in range(2)]

            at_once(
                [
                    partial(avatars.put, mine[0], BytesIO(picture())),
                    partial(avatars.remove, mine[1]),
                ]
            )

            assert self.stored() == list(filter(None, [stored_name()]))


def _multipart(content: bytes) -> tuple[bytes, str]:
    from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart

    return encode_multipart(BOUNDARY, {"file": upload(content)}), MULTIPART_CONTENT
