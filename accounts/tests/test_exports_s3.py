"""Exports in a bucket: made, fetched, gone with their time or their person."""

import io
import zipfile
from datetime import timedelta

from asgiref.sync import async_to_sync
from django.utils import timezone

from accounts import chores
from accounts.data import deletion, exports
from accounts.models import Export, User
from accounts.tests.buckets import BUCKET, BucketTestCase, away
from accounts.tests.factories import bob
from accounts.tests.uploads import picture

EXPORT = "/api/v1/me/export"
DOWNLOAD = f"{EXPORT}/download"
PAGE = "/settings/data"


class ExportTests(BucketTestCase):
    def made(self, user: User | None = None) -> Export:
        user = user or self.alice
        exports.start(user)
        exports.run_waiting()
        export = exports.newest(user)
        assert export is not None
        return export

    async def fetched(self):
        headers = {"authorization": self.auth["HTTP_AUTHORIZATION"]}
        answer = await self.async_client.get(DOWNLOAD, headers=headers)
        return answer, b"".join([piece async for piece in answer.streaming_content])

    def state(self):
        return self.client.get(EXPORT, **self.auth).json()

    def outlive(self):
        kept = exports.KEPT_FOR + timedelta(seconds=1)
        Export.objects.update(finished_at=timezone.now() - kept)

    def test_it_is_made_and_kept_from_others(self):
        export = self.made()

        assert export.status == "ready"
        assert self.stored() == [export.file.name]
        acl = self.client_of_s3.get_object_acl(Bucket=BUCKET, Key=export.file.name)
        assert [grant["Grantee"]["Type"] for grant in acl["Grants"]] == [
            "CanonicalUser"
        ]
        assert self.client.get(export.file.url).status_code == 404

    def test_it_is_fetched_through_us(self):
        self.made()

        answer, body = async_to_sync(self.fetched)()

        assert answer.status_code == 200
        assert answer["Content-Type"] == "application/zip"
        assert answer["Content-Length"] == str(len(body))
        assert answer["Content-Disposition"].startswith("attachment;")
        assert "no-store" in answer["Cache-Control"]
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            assert archive.testzip() is None

    def test_it_is_removed_when_its_time_is_over(self):
        self.made()
        self.outlive()

        chores.sweep()

        assert self.stored() == []
        assert not Export.objects.exists()

    def test_it_is_removed_later_while_the_bucket_is_away(self):
        self.made()
        self.outlive()
        with away(), self.assertLogs("tertulia.app", "WARNING"):
            exports.expire()

        assert self.client.get(EXPORT, **self.auth).status_code == 404
        assert Export.objects.exists()
        exports.expire()
        assert self.stored() == []
        assert not Export.objects.exists()

    def test_a_new_one_leaves_no_old_one_behind_that_was_away(self):
        old = self.made()
        with away():
            exports.start(self.alice)
            with self.assertLogs("tertulia.app", "WARNING"):
                exports.expire()

        exports.run_waiting()
        exports.expire()

        new = exports.newest(self.alice)
        assert new.pk != old.pk
        assert self.stored() == [new.file.name]

    def test_it_says_that_the_bucket_is_away_and_nothing_stays_stuck(self):
        other = bob()
        exports.start(self.alice)
        exports.start(other)
        with away(), self.assertLogs("tertulia.app", "ERROR"):
            assert exports.run_waiting() == 2

        state = self.state()
        assert state["status"] == "failed"
        assert state["detail"] == "Your copy could not be made; ask for it again."
        assert exports.newest(other).status == "failed"
        assert self.made().status == "ready"
        assert self.state()["detail"] is None

    def test_what_failed_does_not_count_against_the_three_of_a_day(self):
        with self.assertLogs("tertulia.app", "ERROR"):
            for _ in range(5):
                with away():
                    assert self.made().status == "failed"

        assert self.made().status == "ready"

    def test_it_is_not_fetched_while_the_bucket_is_away_and_can_be_later(self):
        self.made()
        self.client.force_login(self.alice)
        with away(), self.assertLogs("tertulia.app", "ERROR"):
            refused = self.client.get(DOWNLOAD, **self.auth)
            page = self.client.get(f"{PAGE}/download", follow=True)

        assert refused.status_code == 503
        assert refused.json()["code"] == "storage_unavailable"
        self.assertContains(page, "Files cannot be")
        assert async_to_sync(self.fetched)()[0].status_code == 200

    def test_it_does_not_exist_when_the_bucket_lost_it(self):
        export = self.made()
        self.client_of_s3.delete_object(Bucket=BUCKET, Key=export.file.name)

        assert self.client.get(DOWNLOAD, **self.auth).status_code == 404

    def test_a_deleted_account_leaves_nothing_in_the_bucket(self):
        self.alice.profile.avatar.save("a.webp", io.BytesIO(picture(kind="WEBP")))
        self.made()
        assert len(self.stored()) == 2
        User.objects.update(delete_at=timezone.now())

        assert deletion.sweep() == 1

        assert self.stored() == []

    def test_an_account_waits_closed_until_the_bucket_is_back(self):
        self.made()
        User.objects.update(delete_at=timezone.now())
        with away(), self.assertLogs("tertulia.app", "WARNING"):
            assert deletion.sweep() == 0

        assert not User.objects.get().is_active
        assert deletion.sweep() == 1
        assert self.stored() == []
