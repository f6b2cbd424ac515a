"""Turns an uploaded picture into the one form in which faces are kept.

Whatever comes in, out comes a square WebP without metadata. It knows no user, no file
and no storage.
"""

import threading
from io import BytesIO
from typing import IO, Any

from django.utils.translation import gettext_lazy as _
from PIL import Image, ImageCms, ImageOps

from accounts.errors import AvatarTooLarge, AvatarUnreadable

FORMATS = ["JPEG", "PNG", "WEBP"]
MAX_BYTES = 2 * 1024 * 1024
MAX_PIXELS = 25_000_000
#: Width and height of what is kept, in pixels.
SIDE = 512

TOO_MANY_PIXELS = _("A picture can have 25 megapixels; choose a smaller one.")

# 25 megapixels are 100 MB and more when they are unpacked, however small the file.
_one_at_a_time = threading.Lock()


def face(file: IO[bytes]) -> bytes:
    """Return the middle of a JPEG, PNG or WebP as a square WebP.

    The content decides what it is, never its name. Raises AvatarTooLarge for more than
    2 MB or 25 megapixels, before anything is unpacked, and AvatarUnreadable.
    """
    data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise AvatarTooLarge
    try:
        with _one_at_a_time, Image.open(BytesIO(data), formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise AvatarTooLarge(TOO_MANY_PIXELS)
            return _webp(_square(image))
    except AvatarTooLarge:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise AvatarTooLarge(TOO_MANY_PIXELS) from None
    except Exception as error:
        # Decoders raise anything from SyntaxError to struct.error on broken files.
        raise AvatarUnreadable from error


def _square(image: Any) -> Image.Image:
    profile = image.info.get("icc_profile")
    # JPEG decoders can leave out detail; the others ignore this.
    image.draft(None, (2 * SIDE, 2 * SIDE))
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I"):
        # Sixteen bits, of which the upper eight can be seen.
        upright = upright.convert("I").point(lambda value: value * (1 / 256))
        upright = upright.convert("L")
    transparent = upright.has_transparency_data
    if upright.mode not in ("CMYK", "LAB"):
        upright = upright.convert("RGBA" if transparent else "RGB")
    square = ImageOps.fit(upright, (SIDE, SIDE), Image.Resampling.LANCZOS)
    return _in_srgb(square, profile)


def _in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    mode = image.mode if image.mode in ("RGB", "RGBA") else "RGB"
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(BytesIO(profile))
            srgb = ImageCms.createProfile("sRGB")
            converted = ImageCms.profileToProfile(image, source, srgb, outputMode=mode)
        except (ImageCms.PyCMSError, OSError, ValueError):
            # A broken profile, or one for other colours: the picture matters more.
            return image.convert(mode)
        assert converted is not None
        return converted
    return image.convert(mode)


def _webp(image: Image.Image) -> bytes:
    # Pasted, pixels come without what the file said about itself.
    clean = Image.new(image.mode, image.size)
    clean.paste(image)
    written = BytesIO()
    clean.save(written, "WEBP", quality=85)
    return written.getvalue()
