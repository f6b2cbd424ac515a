"""What becomes of an uploaded picture."""

import struct
import zlib
from io import BytesIO

import pytest
from PIL import ExifTags, Image, ImageCms, PngImagePlugin

from accounts.errors import AvatarTooLarge, AvatarUnreadable
from accounts.media import pictures
from accounts.tests.uploads import (
    BLUE,
    GREEN,
    RED,
    is_like,
    opened,
    picture,
    written,
)

# None of this asks a database: one of the two runs is enough.
pytestmark = pytest.mark.sqlite


def face(content: bytes) -> Image.Image:
    return opened(pictures.face(BytesIO(content)))


def halves(left=RED, right=BLUE, mode="RGB", size=(400, 200)) -> Image.Image:
    image = Image.new("RGB", size, left)
    image.paste(right, (size[0] // 2, 0, *size))
    return image.convert(mode)


def huge_png(width: int, height: int) -> bytes:
    """Return a PNG that only says how large it is."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_it_makes_a_square_webp(kind):
    made = face(picture(GREEN, (300, 90), kind))

    assert (made.format, made.size, made.mode) == ("WEBP", (512, 512), "RGB")
    assert is_like(made.getpixel((256, 256)), GREEN)


def test_it_keeps_the_middle():
    image = Image.new("RGB", (900, 300), RED)
    image.paste(GREEN, (300, 0, 600, 300))

    made = face(written(image))

    for place in ((10, 10), (500, 10), (256, 500)):
        assert is_like(made.getpixel(place), GREEN)


@pytest.mark.parametrize("mode", ["L", "P", "1", "LA", "RGBA", "CMYK", "I;16"])
def test_it_reads_every_mode(mode):
    white = 0xFF00 if mode == "I;16" else "white"
    image = Image.new(mode, (40, 40), white if mode != "CMYK" else 0)

    made = face(written(image, "JPEG" if mode == "CMYK" else "PNG"))

    assert is_like(made.convert("RGB").getpixel((256, 256)), (255, 255, 255))


def test_it_scales_sixteen_bits():
    made = face(written(Image.new("I;16", (40, 40), 0x8000)))

    assert is_like(made.getpixel((256, 256)), (128, 128, 128))


def test_it_keeps_what_is_transparent():
    image = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    palette = image.convert("P")
    palette.info["transparency"] = 0

    assert face(written(image)).getpixel((5, 5))[3] == 0
    assert face(written(palette)).getpixel((5, 5))[3] == 0


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_it_turns_the_picture_upright(kind):
    exif = Image.Exif()
    # Held so that the top of the scene is on the right.
    exif[ExifTags.Base.Orientation] = 6

    made = face(written(halves(), kind, exif=exif))

    assert is_like(made.getpixel((256, 50)), RED)
    assert is_like(made.getpixel((256, 460)), BLUE)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_it_keeps_no_metadata(kind):
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "a secret camera"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[2] = (40.0, 25.0, 0.0)
    options = {"exif": exif, "xmp": b"<x:xmpmeta>a secret place</x:xmpmeta>"}
    options["icc_profile"] = ImageCms.ImageCmsProfile(
        ImageCms.createProfile("sRGB")
    ).tobytes()
    if kind == "PNG":
        text = PngImagePlugin.PngInfo()
        text.add_text("Comment", "a secret word")
        text.add_itxt("XML:com.adobe.xmp", "a secret place")
        options = options | {"pnginfo": text}

    content = pictures.face(BytesIO(written(halves(), kind, **options)))

    assert b"secret" not in content
    for chunk in (b"EXIF", b"XMP ", b"ICCP"):
        assert chunk not in content
    assert not opened(content).getexif()


def test_it_leaves_out_a_profile_that_does_not_fit():
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    image = halves()

    assert is_like(face(written(image, icc_profile=lab)).getpixel((50, 50)), RED)
    assert is_like(face(written(image, icc_profile=b"x")).getpixel((50, 50)), RED)


def test_it_takes_the_first_of_moving_pictures():
    frames = [Image.new("RGB", (40, 40), colour) for colour in (GREEN, RED, BLUE)]
    for kind in ("PNG", "WEBP"):
        made = face(written(frames[0], kind, save_all=True, append_images=frames[1:]))

        assert getattr(made, "n_frames", 1) == 1
        assert is_like(made.getpixel((256, 256)), GREEN)


def test_it_enlarges_a_single_point():
    assert face(picture(BLUE, (1, 1))).size == (512, 512)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a picture",
        b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>",
        b"<!doctype html><script>alert(1)</script>",
        picture(kind="GIF"),
        picture(kind="BMP"),
        picture(kind="TIFF"),
        picture(kind="JPEG")[:200],
        picture(size=(300, 300))[:-60],
        written(Image.effect_noise((200, 200), 90), "WEBP")[:-900],
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff\xe0",
        huge_png(100, 100),
    ],
)
def test_it_refuses_what_is_no_whole_picture(content):
    with pytest.raises(AvatarUnreadable):
        face(content)


def test_it_survives_bytes_changed_anywhere():
    for kind in ("JPEG", "PNG", "WEBP"):
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = 3
        whole = written(halves(size=(60, 30)), kind, exif=exif)
        for place in range(0, len(whole), max(1, len(whole) // 150)):
            broken = bytearray(whole)
            broken[place] ^= 0xFF
            try:
                made = face(bytes(broken))
            except (AvatarUnreadable, AvatarTooLarge):
                continue
            assert made.size == (512, 512)


def test_it_refuses_more_than_two_megabytes():
    at_the_limit = picture().ljust(pictures.MAX_BYTES, b"\0")
    assert face(at_the_limit).size == (512, 512)

    with pytest.raises(AvatarTooLarge, match="2 MB"):
        face(at_the_limit + b"\0")


@pytest.mark.parametrize(
    "size", [(5001, 5000), (10_000, 10_000), (30_000, 30_000), (2**31 - 1, 2**31 - 1)]
)
def test_it_refuses_more_than_25_megapixels_unread(size):
    with pytest.raises(AvatarTooLarge, match="25 megapixels"):
        face(huge_png(*size))


def test_it_takes_25_megapixels():
    assert face(picture(GREEN, (5000, 5000))).size == (512, 512)
