"""Avatars that no row names are removed, and no others."""

import os
import time
from datetime import timedelta
from io import BytesIO
from unittest.mock import patch

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.test import TestCase

from accounts import chores
from accounts.media import avatars, orphans
from accounts.tests.buckets import BucketTestCase
from accounts.tests.factories import alice
from accounts.tests.uploads import OwnUploads, picture

DAY = 24 * 3600


class Anew:
    """Lets each sweep look from the beginning, at once."""

    def setUp(self):
        for kept in (orphans._reached, orphans._looked_at):
            self.enterContext(patch.dict(kept, clear=True))
        self.enterContext(patch.object(orphans, "PAUSE", 0))
        super().setUp()


class OrphanTests(Anew, OwnUploads, TestCase):
    def store(self, name: str, age: float) -> str:
        default_storage.save(name, ContentFile(b"x"))
        then = time.time() - age
        os.utime(self.uploads / name, (then, then))
        return name

    def test_it_removes_what_no_row_names_after_a_day(self):
        profile = alice().profile
        with self.captureOnCommitCallbacks(execute=True):
            avatars.put(profile, BytesIO(picture()))
        then = time.time() - 2 * DAY
        os.utime(self.uploads / profile.avatar.name, (then, then))
        self.store("avatars/old.webp", 1.1 * DAY)
        self.store("characters/old.webp", 1.1 * DAY)
        young = self.store("avatars/young.webp", 0.9 * DAY)
        other = self.store("exports/old.zip", 9 * DAY)

        chores.sweep()

        assert self.stored() == sorted([profile.avatar.name, young, other])

    def test_it_looks_through_everything_a_part_at_a_time(self):
        for number in range(5):
            self.store(f"avatars/{number}.webp", 2 * DAY)
        left = []
        with patch.object(orphans, "AT_ONCE", 2):
            for _ in range(3):
                orphans.sweep()
                left.append(len(self.stored()))
            self.store("avatars/0.webp", 2 * DAY)
            orphans.sweep()

        assert left == [3, 1, 0]
        assert self.stored() == []

    def test_it_looks_now_and_then(self):
        orphans.sweep()
        self.store("avatars/old.webp", 2 * DAY)
        with patch.object(orphans, "PAUSE", 600):
            orphans.sweep()

        assert self.stored() == ["avatars/old.webp"]


class OrphanInBucketTests(Anew, BucketTestCase):
    def test_it_removes_them_from_a_bucket_too(self):
        profile = self.alice.profile
        avatars.put(profile, BytesIO(picture()))
        for number in range(3):
            default_storage.save(f"avatars/{number}.webp", ContentFile(b"x"))
        orphans.sweep()
        assert len(self.stored()) == 4

        with (
            patch.object(orphans, "AGE", timedelta(days=-1)),
            patch.object(orphans, "AT_ONCE", 2),
        ):
            for _ in range(3):
                orphans.sweep()

        assert self.stored() == [profile.avatar.name]
