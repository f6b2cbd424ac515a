"""Pictures to upload, and a directory of its own for what a test stores."""

import tempfile
from io import BytesIO
from pathlib import Path
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import override_settings
from PIL import Image

RED, GREEN, BLUE = (200, 30, 30), (30, 200, 30), (30, 30, 200)


def written(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def picture(colour: tuple[int, ...] = RED, size=(60, 40), kind="PNG") -> bytes:
    return written(Image.new("RGB", size, colour), kind)


def upload(content: bytes, name="me.png", declared="image/png") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content, declared)


def opened(content: bytes) -> Image.Image:
    image = Image.open(BytesIO(content))
    image.load()
    return image


def is_like(pixel: Any, colour: tuple[int, ...]) -> bool:
    """Whether two colours are the same but for what compression does."""
    return all(abs(a - b) <= 24 for a, b in zip(pixel[:3], colour, strict=True))


class OwnUploads:
    """Gives each test an empty directory of uploads: `self.uploads`."""

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.uploads = Path(directory.name)
        settings = override_settings(MEDIA_ROOT=directory.name)
        settings.enable()
        self.addCleanup(settings.disable)
        super().setUp()

    def stored(self) -> list[str]:
        paths = self.uploads.rglob("*")
        return sorted(
            str(path.relative_to(self.uploads)) for path in paths if path.is_file()
        )
