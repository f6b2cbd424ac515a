"""What becomes of an uploaded picture."""

import struct
import subprocess
import sys
import zlib
from io import BytesIO
from tempfile import NamedTemporaryFile

import pytest
from django.conf import settings
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
from config.testing.server import bare_environment

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


def stacked_jpeg(scans: int, side: int = 80) -> bytes:
    """Return a grey progressive JPEG whose coarse scan is refined by empty ones."""

    def segment(marker: int, data: bytes) -> bytes:
        return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data

    def scan(table: int, first: int, last: int, bits: str) -> bytes:
        bits += "1" * (-len(bits) % 8)
        coded = int(bits, 2).to_bytes(len(bits) // 8, "big")
        head = segment(0xDA, bytes([1, 1, table, first, last, 0]))
        return head + coded.replace(b"\xff", b"\xff\0")

    blocks = (side // 8) ** 2
    size = struct.pack(">BHHB", 8, side, side, 1)
    # The one code of either table: no difference, and "as many empty blocks as follow".
    empty = scan(0, 1, 63, "0" + format(0x3FFF, "014b"))
    return (
        b"\xff\xd8"
        + segment(0xDB, b"\0" + b"\1" * 64)
        + segment(0xC2, size + bytes([1, 0x11, 0]))
        + segment(0xC4, bytes([0x00, 1, *[0] * 15, 0]))
        + segment(0xC4, bytes([0x10, 1, *[0] * 15, 0xE0]))
        + scan(0, 0, 0, "0" * blocks)
        + empty * (scans - 1)
        + b"\xff\xd9"
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


@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"progressive": True, "optimize": True}]
)
def test_it_takes_jpegs_as_programs_make_them(options):
    image = Image.effect_noise((900, 600), 60).convert("RGB")
    shrunk = written(image.resize((160, 120)), "JPEG", progressive=True)
    comment = b"\xff\xfe" + struct.pack(">H", len(shrunk) + 2) + shrunk
    content = written(image, "JPEG", **options)

    assert face(content[:2] + comment + content[2:]).size == (512, 512)


def test_it_refuses_a_jpeg_of_very_many_scans_unread(monkeypatch):
    assert face(stacked_jpeg(pictures.MAX_SCANS)).size == (512, 512)
    monkeypatch.setattr(pictures, "_unpacked", None)

    with pytest.raises(AvatarUnreadable, match="more steps"):
        face(stacked_jpeg(pictures.MAX_SCANS + 1))


def test_it_counts_scans_wherever_a_decoder_may_find_them():
    whole = stacked_jpeg(70)
    second = whole.index(b"\xff\xda", whole.index(b"\xff\xda") + 1)
    # What stands between is for the decoder to skip.
    for between in (b"\xff\xff\xff", b"\xff\xd0", b"junk", b"\xff\xfe\x00\x04ab"):
        with pytest.raises(AvatarUnreadable, match="more steps"):
            face(whole[:second] + between + whole[second:])


def test_it_is_exact_where_a_large_picture_is_made_small_in_strips():
    image = Image.new("RGB", (2600, 2300), RED)
    image.paste(GREEN, (150, 0, 1300, 1150))
    image.paste(BLUE, (1300, 1150, 2450, 2300))

    made = face(written(image))

    for place, colour in (
        ((4, 4), GREEN),
        ((250, 250), GREEN),
        ((262, 250), RED),
        ((250, 262), RED),
        ((262, 262), BLUE),
        ((507, 507), BLUE),
    ):
        assert is_like(made.getpixel(place), colour), place


@pytest.mark.parametrize("mode", ["L", "P", "1", "LA", "RGBA", "I;16"])
def test_it_makes_every_mode_small(mode):
    white = 0xFF00 if mode == "I;16" else "white"

    made = face(written(Image.new(mode, (2100, 2100), white)))

    for place in ((0, 0), (256, 256), (511, 511)):
        assert is_like(made.convert("RGB").getpixel(place), (255, 255, 255))


def measured(content: bytes) -> int:
    """Return the bytes of memory that a process of its own took at most for a face."""
    script = (
        "import resource, sys\n"
        "import django\n"
        "django.setup()\n"
        "from io import BytesIO\n"
        "from accounts.media import pictures\n"
        "taken = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "small, large = (open(name, 'rb').read() for name in sys.argv[1:])\n"
        "pictures.face(BytesIO(small))\n"
        "before = taken()\n"
        "pictures.face(BytesIO(large))\n"
        "print((taken() - before) * 1024)\n"
    )
    with NamedTemporaryFile() as small, NamedTemporaryFile() as large:
        small.write(picture())
        small.flush()
        large.write(content)
        large.flush()
        done = subprocess.run(
            [sys.executable, "-c", script, small.name, large.name],
            cwd=settings.BASE_DIR,
            env=bare_environment() | {"DJANGO_SETTINGS_MODULE": "config.settings"},
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.parametrize(
    ("kind", "mode", "megabytes"),
    [
        # The pixels, and a little; libwebp itself has them three times.
        ("JPEG", "RGB", 60),
        ("PNG", "RGB", 150),
        ("PNG", "RGBA", 150),
        ("WEBP", "RGB", 450),
    ],
)
def test_25_megapixels_are_in_memory_once(kind, mode, megabytes):
    assert measured(written(Image.new(mode, (5000, 5000), GREEN), kind)) < (
        megabytes * 1_000_000
    )
