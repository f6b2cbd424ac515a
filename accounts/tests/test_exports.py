"""Exports: asked for, made by one process, fetched by one person, gone in a week."""

import io
import json
import subprocess
import sys
import zipfile
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from unittest import mock

from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage
from django.test import TestCase, TransactionTestCase, override_settings
from django.utils import timezone

from accounts.data import archives, exports
from accounts.models import AuditEvent, Export
from accounts.tests.cases import JsonTestCase
from accounts.tests.factories import alice, auth, charlie
from accounts.tests.races import at_once

EXPORT = "/api/v1/me/export"
DOWNLOAD = f"{EXPORT}/download"
PAGE = "/settings/data"
DEAD = "somewhere-else:1:00000000"
SOMEWHERE = "somewhere-else:2:00000000"


class SlowStorage(FileSystemStorage):
    """Lets so much time pass before each read that others take the export over."""

    saves = 0

    def _save(self, name, content):
        self.saves += 1
        if self.saves > 2:
            raise OSError("It is begun again and again.")
        content.chunks = lambda: self.slow(content.read)
        return super()._save(name, content)

    def slow(self, read):
        while True:
            long_ago = timezone.now() - exports.STALE_AFTER * 2
            Export.objects.update(heartbeat_at=long_ago)
            part = read(64)
            exports.recover()
            if not part:
                return
            yield part


class Robbed(SlowStorage):
    """Gives the export to others after the first read."""

    def slow(self, read):
        yield read(64)
        Export.objects.update(worker=DEAD)
        yield read(64)


@contextmanager
def kept_by(storage):
    kind = {"BACKEND": f"{__name__}.{storage.__name__}"}
    with (
        override_settings(STORAGES=settings.STORAGES | {"default": kind}),
        # On another host: whether its process lives, the heartbeat alone can tell.
        mock.patch.object(exports, "this_worker", return_value=SOMEWHERE),
    ):
        yield


def made(user) -> Export:
    """Return a finished export of `user`."""
    exports.start(user)
    exports.run_waiting()
    return exports.newest(user)


class ApiTests(JsonTestCase):
    def setUp(self):
        self.alice = alice()
        self.auth = auth(self.alice)

    def state(self):
        return self.client.get(EXPORT, **self.auth)

    def test_there_is_none_before_it_is_asked_for(self):
        self.assert_refused(self.state(), 404, "not_found")
        self.assert_refused(self.client.get(DOWNLOAD, **self.auth), 404, "not_found")

    def test_it_tells_how_far_it_is(self):
        asked = self.post(EXPORT, **self.auth)

        self.assertEqual(asked.status_code, 202)
        self.assertEqual(asked.json(), self.state().json())
        self.assertEqual(asked.json()["status"], "waiting")
        self.assertIsNone(asked.json()["download_url"])
        self.assert_refused(self.client.get(DOWNLOAD, **self.auth), 404, "not_found")

        exports.run_waiting()

        ready = self.state().json()
        self.assertEqual((ready["status"], ready["progress"]), ("ready", 100))
        self.assertEqual(ready["download_url"], DOWNLOAD)
        self.assertTrue(ready["finished_at"])

    def test_the_one_under_way_is_the_one_asked_for(self):
        first = self.post(EXPORT, **self.auth).json()["id"]

        for _ in range(5):
            self.assertEqual(self.post(EXPORT, **self.auth).json()["id"], first)

    def test_it_is_made_three_times_a_day(self):
        for _ in range(3):
            self.assertEqual(self.post(EXPORT, **self.auth).status_code, 202)
            exports.run_waiting()

        refused = self.post(EXPORT, **self.auth)

        self.assert_refused(refused, 429, "rate_limited")
        self.assertEqual(self.state().json()["status"], "ready")

    def test_charlie_sees_nothing_of_it(self):
        made(self.alice)
        charlies = auth(charlie())

        for path in (EXPORT, DOWNLOAD):
            answer = self.client.get(path, **charlies)
            self.assert_refused(answer, 404, "not_found")


class DownloadTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.alice = alice()
        cls.auth = {"authorization": auth(cls.alice)["HTTP_AUTHORIZATION"]}

    async def read(self, answer) -> bytes:
        return b"".join([piece async for piece in answer.streaming_content])

    async def test_it_is_a_zip_nobody_else_keeps(self):
        export = await sync_to_async(made)(self.alice)

        answer = await self.async_client.get(DOWNLOAD, headers=self.auth)

        body = await self.read(answer)
        self.assertEqual(answer["Content-Type"], "application/zip")
        self.assertEqual(answer["Content-Length"], str(len(body)))
        self.assertEqual(answer["X-Content-Type-Options"], "nosniff")
        self.assertIn("no-store", answer["Cache-Control"])
        self.assertRegex(
            answer["Content-Disposition"], r'^attachment; filename="\S+zip"'
        )
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            self.assertIsNone(archive.testzip())
            account = json.loads(archive.read("account.json"))
        self.assertEqual(account["email"], "alice@example.com")
        fetched = AuditEvent.objects.filter(action="account.export_fetched")
        self.assertEqual((await fetched.aget()).object_id, str(export.pk))

    async def test_the_page_fetches_it_with_the_session(self):
        await sync_to_async(made)(self.alice)
        await self.async_client.aforce_login(self.alice)

        answer = await self.async_client.get(f"{PAGE}/download")

        self.assertTrue((await self.read(answer)).startswith(b"PK"))


class PageTests(TestCase):
    def setUp(self):
        self.alice = alice()
        self.client.force_login(self.alice)

    def page(self):
        return self.client.get(PAGE)

    def test_it_leads_from_the_wish_to_the_file(self):
        self.assertContains(self.page(), "Make a copy")

        self.client.post(f"{PAGE}/export")
        waiting = self.page()
        self.assertContains(waiting, "about to be made")
        # With JavaScript it asks for itself, without it the page comes again.
        self.assertContains(waiting, 'hx-trigger="every 2s"')
        self.assertContains(waiting, 'http-equiv="refresh"')

        exports.run_waiting()
        ready = self.page()
        self.assertContains(ready, f'href="{PAGE}/download"')
        self.assertNotContains(ready, "hx-trigger")
        self.assertNotContains(ready, 'http-equiv="refresh"')

    def test_it_says_how_far_it_is_and_when_it_failed(self):
        Export.objects.create(user=self.alice, status="running", progress=42)
        self.assertContains(self.page(), 'value="42"')

        Export.objects.update(status="failed", finished_at=timezone.now())
        self.assertContains(self.page(), "could not be made")
        self.assertContains(self.page(), "Start again")

    def test_it_says_when_to_come_back(self):
        for _ in range(4):
            response = self.client.post(f"{PAGE}/export", follow=True)
            exports.run_waiting()

        self.assertContains(response, "Too many requests")


class MakingTests(TestCase):
    def setUp(self):
        self.alice = alice()

    def archive(self) -> zipfile.ZipFile:
        with made(self.alice).file.open("rb") as file:
            return zipfile.ZipFile(io.BytesIO(file.read()))

    def test_it_explains_every_file(self):
        readme = self.archive().read("README.txt").decode()

        for name in archives._holdings:
            self.assertIn(name, readme)

    def test_it_holds_the_picture(self):
        self.alice.profile.avatar.save("me.webp", ContentFile(b"a face"))

        self.assertEqual(self.archive().read("avatar.webp"), b"a face")

    def test_it_goes_without_a_picture_that_was_lost(self):
        self.alice.profile.avatar.save("me.webp", ContentFile(b"a face"))
        Path(self.alice.profile.avatar.path).unlink()

        self.assertEqual(self.archive().read("avatar.webp"), b"")

    def test_it_replaces_the_old_one(self):
        with self.captureOnCommitCallbacks(execute=True):
            old = made(self.alice)
            new = made(self.alice)
            exports.expire()

        self.assertEqual(list(Export.objects.all()), [new])
        self.assertFalse(Path(old.file.path).exists())
        self.assertTrue(Path(new.file.path).exists())

    def test_it_is_deleted_after_a_week(self):
        export = made(self.alice)
        Export.objects.update(finished_at=timezone.now() - timedelta(days=7))

        self.assertIsNone(exports.ready(self.alice))
        with self.captureOnCommitCallbacks(execute=True):
            exports.expire()

        self.assertFalse(Export.objects.exists())
        self.assertFalse(Path(export.file.path).exists())

    def test_a_broken_one_says_so_and_can_be_begun_again(self):
        full = mock.patch.object(archives, "write", side_effect=OSError("disk full"))
        with full, self.assertLogs("tertulia.app", "ERROR"):
            self.assertEqual(made(self.alice).status, "failed")

        self.assertEqual(made(self.alice).status, "ready")

    def test_any_reader_of_zip_files_finds_it_whole(self):
        path = made(self.alice).file.path

        done = subprocess.run(
            [sys.executable, "-m", "zipfile", "-t", path],
            capture_output=True,
            text=True,
        )

        self.assertEqual((done.returncode, done.stdout), (0, "Done testing\n"))

    def test_a_slow_storage_is_no_process_that_is_gone(self):
        with kept_by(SlowStorage), mock.patch.object(exports, "HEARTBEAT_SECONDS", 0):
            self.assertEqual(made(self.alice).status, "ready")

    def test_what_was_half_stored_is_removed_when_it_is_not_ours_any_more(self):
        with kept_by(Robbed), mock.patch.object(exports, "HEARTBEAT_SECONDS", 0):
            made(self.alice)

        export = exports.newest(self.alice)
        self.assertEqual((export.status, export.worker), ("running", DEAD))
        self.assertFalse(Path(export.file.path).exists())

    def test_one_whose_time_is_over_is_not_shown_before_it_is_removed(self):
        made(self.alice)
        Export.objects.update(finished_at=timezone.now() - exports.KEPT_FOR)

        self.assertIsNone(exports.newest(self.alice))

    def test_an_account_that_goes_meanwhile_leaves_no_file(self):
        export = exports.start(self.alice)
        write = archives.write

        def and_the_account_goes(user, file, on_progress):
            write(user, file, on_progress)
            Export.objects.filter(pk=export.pk).delete()

        stored = Path(settings.MEDIA_ROOT) / "exports"
        before = set(stored.glob("*"))
        with mock.patch.object(archives, "write", and_the_account_goes):
            exports.run_waiting()

        self.assertEqual(set(stored.glob("*")), before)

    def test_one_whose_process_is_gone_is_made_by_another(self):
        export = exports.start(self.alice)
        taken = exports._claim()
        Export.objects.filter(pk=export.pk).update(
            worker=DEAD, heartbeat_at=timezone.now() - exports.STALE_AFTER * 2
        )

        with self.assertLogs("tertulia.app", "WARNING"):
            exports.recover()
        self.assertEqual(exports.run_waiting(), 1)

        export.refresh_from_db()
        self.assertEqual(export.status, "ready")
        # Who was thought dead and is not, finds that it is not theirs any more.
        with self.assertRaises(exports._Lost):
            exports._note(taken, progress=50)

    def test_one_that_ended_process_after_process_is_given_up(self):
        Export.objects.create(
            user=self.alice,
            status="running",
            worker=DEAD,
            file="exports/x.zip",
            heartbeat_at=timezone.now() - exports.STALE_AFTER * 2,
            created_at=timezone.now() - exports.GIVEN_UP_AFTER * 2,
        )

        with self.assertLogs("tertulia.app", "WARNING"):
            exports.recover()

        self.assertEqual(exports.newest(self.alice).status, "failed")

    def test_one_that_is_being_made_is_left_alone(self):
        exports.start(self.alice)
        exports._claim()

        exports.recover()

        self.assertEqual(exports.newest(self.alice).status, "running")


class ArchiveTests(TestCase):
    def test_rows_come_in_order_and_each_once_also_at_the_same_time(self):
        now = timezone.now()
        user = alice()
        AuditEvent.objects.bulk_create(
            AuditEvent(action=f"e{number}", at=now, actor=user) for number in range(250)
        )

        found = list(archives.in_order(AuditEvent.objects.all(), "at"))

        self.assertEqual(len({row.pk for row in found}), 250)
        self.assertEqual([row.pk for row in found], sorted(row.pk for row in found))

    def test_half_a_character_is_still_json(self):
        (part,) = archives.record("x.json", {"name": "\ud83d!"}).parts

        self.assertEqual(json.loads(part), {"name": "\ud83d!"})

    def test_nothing_is_an_empty_list(self):
        self.assertEqual(b"".join(archives.listing("x.json", []).parts), b"[]\n")


class RaceTests(TransactionTestCase):
    def test_many_processes_make_it_once(self):
        user = alice()
        exports.start(user)

        results = at_once([exports.run_waiting] * 4)

        self.assertEqual([r for r in results if isinstance(r, Exception)], [])
        self.assertEqual(sum(results), 1)

    def test_asked_for_many_times_at_once_it_is_one(self):
        user = alice()

        results = at_once([lambda: exports.start(user).pk] * 4)

        self.assertEqual(set(results), set(Export.objects.values_list("pk", flat=True)))
        self.assertEqual(Export.objects.count(), 1)
