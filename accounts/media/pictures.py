"""Turns an uploaded picture into the one form in which faces are kept.

Whatever comes in, out comes a square WebP without metadata. It knows no user, no file
and no storage.
"""

import math
import re
from io import BytesIO
from typing import IO, Any

from django.utils.translation import gettext_lazy as _
from PIL import Image, ImageCms, ImageOps

from accounts.crowding import Bound
from accounts.errors import AvatarTooLarge, AvatarUnreadable

FORMATS = ["JPEG", "PNG", "WEBP"]
MAX_BYTES = 2 * 1024 * 1024
MAX_PIXELS = 25_000_000
#: Width and height of what is kept, in pixels.
SIDE = 512

#: Encoders build a JPEG up in about ten scans, and a thumbnail in it has its own. Each
#: costs a walk over the whole picture, however few bytes it takes.
MAX_SCANS = 64
#: The head of a scan (T.81, B.2.3). Pixels never contain it, and what else does counts,
#: too: no decoder can find a scan that was not counted.
SCAN = re.compile(rb"\xff\xda\x00[\x06-\x0e][\x00-\x04]", re.DOTALL)

TOO_MANY_PIXELS = _("A picture can have 25 megapixels; choose a smaller one.")
TOO_MANY_SCANS = _(
    "This JPEG is built up in more steps than any camera makes; save it anew in "
    "another program, or choose another."
)

# 25 megapixels are 100 MB and more when they are unpacked, however small the file.
_unpacking = Bound(1, seconds=10)
#: So many rows of what is kept are made of the unpacked picture at a time.
_ROWS = 64


def face(file: IO[bytes]) -> bytes:
    """Return the middle of a JPEG, PNG or WebP as a square WebP.

    The content decides what it is, never its name. Raises AvatarTooLarge for more than
    2 MB or 25 megapixels, before anything is unpacked, AvatarUnreadable, and Overloaded
    when too many others wait.
    """
    data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise AvatarTooLarge
    if len(SCAN.findall(data)) > MAX_SCANS:
        raise AvatarUnreadable(TOO_MANY_SCANS)
    with _unpacking.entered():
        return _unpacked(data)


def _unpacked(data: bytes) -> bytes:
    try:
        with Image.open(BytesIO(data), formats=FORMATS) as image:
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
    # What turns it upright stands behind the pixels in some files.
    image.load()
    upright = ImageOps.exif_transpose(_middle(image))
    square = ImageOps.fit(upright, (SIDE, SIDE), Image.Resampling.LANCZOS)
    return _in_srgb(square, profile)


def _middle(image: Image.Image) -> Image.Image:
    """Return the middle square, no larger than it has to be to look right when scaled.

    Made in strips: every copy of the whole would take as much memory once more.
    """
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    factor = max(1, side // (2 * SIDE))
    whole = None
    for row in range(0, side, _ROWS * factor):
        end = min(row + _ROWS * factor, side)
        strip = _plain(image.crop((left, top + row, left + side, top + end)))
        strip = strip.reduce(factor)
        if whole is None:
            whole = Image.new(strip.mode, (strip.width, math.ceil(side / factor)))
            whole.info = strip.info
        whole.paste(strip, (0, row // factor))
    assert whole is not None
    return whole


def _plain(image: Image.Image) -> Image.Image:
    """Return what can be scaled: no palette, and eight bits of each colour."""
    if image.mode.startswith("I"):
        # Sixteen bits, of which the upper eight can be seen.
        image = image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    if image.mode in ("CMYK", "LAB"):
        return image
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


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
