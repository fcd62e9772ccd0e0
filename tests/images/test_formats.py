"""Formats: told by content, read and written; those that need a package; damage in each of them."""

from __future__ import annotations

import contextlib
import io
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.image_helpers import encoded, noise, smooth

from fastsr import images
from fastsr.errors import ImageError
from fastsr.images import detection, formats, jpeg_xl, read, write
from fastsr.images.probing import size_of

DAMAGED = Path(__file__).parents[1] / "fuzz" / "corpus" / "images"
IMAGE = Image.fromarray(smooth(12, 16))

SAMPLES = {
    "PNG": encoded(IMAGE, "PNG").getvalue(),
    "JPEG": encoded(IMAGE, "JPEG").getvalue(),
    "WebP": encoded(IMAGE, "WEBP").getvalue(),
    "TIFF": encoded(IMAGE, "TIFF").getvalue(),
    "AVIF": encoded(IMAGE, "AVIF", speed=10).getvalue(),
    "BMP": encoded(IMAGE, "BMP").getvalue(),
    "GIF": encoded(IMAGE, "GIF").getvalue(),
    "JPEG2000": encoded(IMAGE, "JPEG2000").getvalue(),
    "J2K": encoded(IMAGE, "JPEG2000", no_jp2=True).getvalue(),
    "PPM": encoded(IMAGE, "PPM").getvalue(),
    "PBM": b"P4\n9 2\n" + bytes(4),
    "PFM": b"Pf\n3 2\n-1.0\n" + np.linspace(0, 1, 6, dtype="<f4").tobytes(),
    "TGA": encoded(IMAGE, "TGA").getvalue(),
    "ICO": encoded(IMAGE, "ICO", sizes=[(16, 12)]).getvalue(),
    "DDS": encoded(IMAGE, "DDS").getvalue(),
}


def sample(name):
    """The bytes of a small image in a format; skips where its package is not installed."""
    if name in SAMPLES:
        return SAMPLES[name]
    module = pytest.importorskip(formats.by_name(name).module)
    if name == "HEIC":
        module.register_heif_opener()
        return encoded(IMAGE, "HEIF").getvalue()
    return encoded(IMAGE, "JXL", lossless=True).getvalue()


NAMES = [known.name for known in formats.FORMATS]


@pytest.mark.parametrize("name", NAMES)
def test_every_format_is_read_whatever_the_file_is_called(name, tmp_path):
    data = sample(name)
    assert detection.format_of(data[: detection.HEAD_BYTES], "", data[-detection.TAIL_BYTES :]).name == name
    path = tmp_path / "image.txt"
    path.write_bytes(data)
    image = read(path)
    with Image.open(io.BytesIO(data)) as opened:
        assert image.size == opened.size
        if name not in ("PBM", "PFM"):
            np.testing.assert_array_equal(image.frames[0].color, np.asarray(opened.convert("RGB")))


@pytest.mark.parametrize("name", NAMES)
def test_the_size_is_known_without_decoding(name, tmp_path):
    path = tmp_path / "image"
    path.write_bytes(sample(name))
    assert size_of(path) == read(path).size


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", [1, 6, 8])
def test_the_size_is_that_of_the_upright_image(format, orientation, tmp_path):
    exif = Image.Exif()
    exif[274] = orientation
    path = tmp_path / "image"
    IMAGE.save(path, format, exif=exif.tobytes())
    assert size_of(path) == read(path).size == ((16, 12) if orientation == 1 else (12, 16))


@pytest.mark.parametrize("path", sorted(DAMAGED.iterdir()), ids=lambda path: path.name)
def test_the_size_of_damaged_files_raises_nothing_else(path):
    with contextlib.suppress(ImageError):
        assert min(size_of(path)) > 0


def test_broken_exif_turns_no_image(tmp_path):
    path = tmp_path / "a.jpg"
    IMAGE.save(path, exif=b"Exif\0\0broken")
    assert size_of(path) == read(path).size == (16, 12)


def test_no_more_than_the_limit_is_opened(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    IMAGE.save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(ImageError, match="16 x 12 pixels are over the limit"):
        size_of(path)
    assert size_of(path, allow_huge=True) == (16, 12)
    with pytest.raises(ImageError, match="no such file; check the path"):
        size_of(tmp_path / "none")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("length", [1, 3, 9, 17, 25])
@pytest.mark.filterwarnings("ignore")
def test_cut_files_are_told(name, length, tmp_path):
    data, path = sample(name), tmp_path / f"a{formats.by_name(name).suffixes[0]}"
    path.write_bytes(data[: min(length, len(data) - 1)])
    with pytest.raises(ImageError, match=r"^.*/a\.\w+: (not an image|damaged or cut short)"):
        read(path)


@pytest.mark.parametrize("name", [known.name for known in formats.FORMATS if known.written])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_every_written_format_is_read_again(name, channels, tmp_path):
    given = read(smooth(12, 16)[..., :1] if channels == 1 else noise(12, 16, channels))
    for suffix in formats.by_name(name).suffixes:
        path = tmp_path / f"a{suffix}"
        if suffix == ".pgm" and channels != 1:
            with pytest.raises(ImageError, match=r"a\.pgm: PGM holds gray, not colour; write \.ppm"):
                write(given, given.frames, path)
            continue
        write(given, given.frames, path)
        assert images.output_format(path) == name
        made = read(path)
        assert made.size == (16, 12)
        data = path.read_bytes()
        assert detection.format_of(data[:64], path.name).name == name
        if name in ("PNG", "TIFF", "JPEG2000", "TGA", "ICO"):
            np.testing.assert_array_equal(made.frames[0].color, given.frames[0].color)
            assert (made.frames[0].alpha is None) == (channels != 4)
        elif name in ("PPM", "BMP") and channels != 4:
            np.testing.assert_array_equal(made.frames[0].color, given.frames[0].color)


@pytest.mark.parametrize("name", [known.name for known in formats.FORMATS if not known.written])
def test_what_can_only_be_read_is_told(name, tmp_path):
    path = tmp_path / f"a{formats.by_name(name).suffixes[0]}"
    given = read(noise(4, 4, 3))
    with pytest.raises(ImageError, match=f"{name} can only be read; use one of .png"):
        write(given, given.frames, path)
    with pytest.raises(ImageError, match="unknown format"):
        write(given, given.frames, path, format=name)
    assert not path.exists()


# ---------------------------------------------------------------- PPM


@pytest.mark.parametrize("channels", [1, 3])
def test_ppm_keeps_16_bits(channels, tmp_path):
    given = read(noise(5, 7, channels, dtype=np.uint16))
    write(given, given.frames, tmp_path / "a.pnm")
    np.testing.assert_array_equal(read(tmp_path / "a.pnm").frames[0].color, given.frames[0].color)


def test_ppm_of_any_greatest_value():
    values = np.array([[[0, 511, 1023], [1, 2, 4000]]], ">u2")
    color = read(io.BytesIO(b"P6 2 1 1023\n" + values.tobytes())).frames[0].color
    expected = np.floor(np.minimum(values, 1023) * (65535 / 1023) + 0.5)
    np.testing.assert_array_equal(color, expected)
    with pytest.raises(ImageError, match="damaged or cut short"):
        read(io.BytesIO(b"P6 2 1 1023\n" + values.tobytes()[:-1]))


def test_ppm_lays_transparency_on_white(tmp_path):
    color = np.full((2, 2, 4), 20000, np.uint16)
    color[0, :, 3], color[1, :, 3] = 0, 65535
    given = read(color)
    write(given, given.frames, tmp_path / "a.ppm")
    made = read(tmp_path / "a.ppm").frames[0].color
    assert (made[0] == 65535).all()
    assert (made[1] == 20000).all()


# ---------------------------------------------------------------- what is none of them


@pytest.mark.parametrize(
    ("head", "name", "kind"),
    [
        (b"8BPS\0\1", "a.psd", "PSD"),
        (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg">', "a", "SVG"),
        (b"<?xml", "a.svg", "SVG"),
        (b"v/1\x01\2\0\0\0", "a.exr", "EXR"),
        (b"%PDF-1.7", "a.pdf", "PDF"),
        (b"II*\0\x10\0\0\0CR", "a.CR2", "camera raw"),
        (b"BM and other makes of cars, by year of their making ", "a.txt", None),
        (b"P3 is a matter of taste", "notes", None),
        (b"this is text", "a.tga", None),
        (b"\0\0\1\0\0\0" + bytes(30), "a", None),
        (b"", "a.png", None),
    ],
)
def test_other_kinds(head, name, kind):
    assert detection.other_kind(head, name) == kind
    if kind != "camera raw":
        assert detection.format_of(head, name) is None


def test_another_kind_of_picture_is_named(tmp_path):
    (tmp_path / "a.png").write_bytes(b"8BPS" + bytes(40))
    with pytest.raises(ImageError, match=r"a\.png: is PSD, which is not read; export it as PNG"):
        read(tmp_path / "a.png")


@pytest.mark.parametrize(("brands", "name"), [(b"mif1avif", "AVIF"), (b"mif1heic", "HEIC"), (b"mif1miaf", "HEIC")])
def test_brands_tell_avif_from_heic(brands, name):
    head = (20).to_bytes(4, "big") + b"ftyp" + brands[:4] + bytes(4) + brands[4:]
    assert detection.format_of(head).name == name
    assert detection.format_of(head.replace(b"mif1", b"isom")) is None  # a video


# ---------------------------------------------------------------- packages


@pytest.mark.parametrize(
    ("name", "package", "head"),
    [
        ("HEIC", "pillow-heif", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"),
        ("JPEG XL", "pillow-jxl-plugin", b"\xff\x0a\x7f\0"),
    ],
)
def test_a_missing_package_is_named(name, package, head, monkeypatch):
    known = formats.by_name(name)
    monkeypatch.setitem(sys.modules, known.module, None)
    with pytest.raises(ImageError, match=rf'image: {name} needs {package}; pip install "fastsr\[{known.extra}\]"'):
        read(io.BytesIO(head + bytes(40)))


# ---------------------------------------------------------------- memory and time


def test_a_dds_without_its_pixels_is_refused_at_once():
    data = bytearray(SAMPLES["DDS"])
    data[12:20] = (9000).to_bytes(4, "little") * 2
    with pytest.raises(ImageError, match="fewer pixels than it says"):
        read(io.BytesIO(data))


@pytest.mark.parametrize(
    ("fields", "size"),
    [
        ([(1, 1), (7, 5), (1, 3)], (64, 64)),  # eighths of the height less one, and as wide
        ([(0, 1), (0, 2), (39, 9), (0, 3), (0, 2), (63, 9)], (64, 40)),
        ([(0, 1), (3, 2), ((1 << 30) - 1, 30), (7, 3)], (1 << 31, 1 << 30)),
    ],
)
def test_the_size_of_a_jpeg_xl_is_known_before_it_is_decoded(fields, size):
    number = at = 0
    for value, bits in fields:
        number |= value << at
        at += bits
    data = b"\xff\x0a" + number.to_bytes(12, "little")
    assert jpeg_xl.size_of(data) == size
    boxed = b"\0\0\0\x0cJXL \r\n\x87\n" + (8 + len(data)).to_bytes(4, "big") + b"jxlc" + data
    assert jpeg_xl.size_of(boxed) == size


def test_a_huge_jpeg_xl_is_refused_before_it_is_decoded(monkeypatch):
    pytest.importorskip("pillow_jxl")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(ImageError, match="16 x 12 pixels are over the limit"):
        read(io.BytesIO(sample("JPEG XL")))
    assert read(io.BytesIO(sample("JPEG XL")), allow_huge=True).size == (16, 12)
