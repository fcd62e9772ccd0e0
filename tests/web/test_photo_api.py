"""Photos through the API, as programs call it: the same bytes as from Python, and clear errors."""

import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.small_models import SAMPLE

import fastsr


def call(client, path, **options):
    from gradio_client import handle_file

    return client.predict(handle_file(str(path)), **options, api_name="/upscale")


@pytest.fixture
def photo(tmp_path):
    with Image.open(SAMPLE) as image:
        image.convert("RGB").resize((60, 40)).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


@pytest.mark.parametrize(
    ("options", "same"),
    [
        ({}, {}),
        ({"size": "2x"}, {"scale": 2}),
        ({"size": "90x90", "model": "fast-x2"}, {"size": (90, 60), "model": "fast-x2"}),
        ({"model": "photo-x4", "blend": 0.5}, {"model": "photo-x4", "blend": 0.5}),
        ({"model": "bicubic", "size": "3x"}, {"model": "bicubic", "scale": 3}),
    ],
    ids=str,
)
def test_a_result_equals_that_of_the_library(client, photo, options, same):
    with Image.open(call(client, photo, **options)) as made:
        assert (np.asarray(made) == np.asarray(fastsr.upscale(photo, **same))).all()


def test_a_result_is_called_after_the_photo_and_its_size(client, photo):
    assert call(client, photo, size="2x", format="webp").endswith("photo-x2.webp")


@pytest.mark.parametrize(("format", "kind"), [("jpg", "JPEG"), ("webp", "WEBP"), ("tif", "TIFF"), ("png", "PNG")])
def test_formats(client, photo, format, kind):
    with Image.open(call(client, photo, model="bicubic", format=format, quality=50)) as made:
        assert (made.format, made.size) == (kind, (240, 160))


def test_quality_matters(client, photo):
    sizes = [Path(call(client, photo, format="jpg", quality=q)).stat().st_size for q in (20, 95)]
    assert sizes[0] < sizes[1] / 2


def bomb(width, height):
    """A PNG of a few bytes that says it has so many pixels."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"Dear diary, this is no photo.", "^photo.png: not an image"),
        (b"", "^photo.png: .*empty"),
        (bomb(60000, 60000), "^photo.png: is larger than the 2 megapixels that this server takes"),
        (bomb(1500, 1400), "^photo.png: is larger than the 2 megapixels that this server takes"),
        (bomb(50, 50), "^photo.png: .*(damaged|cut short)"),
    ],
    ids=["text", "empty", "bomb", "large", "cut"],
)
def test_wrong_files_are_told_by_name(client, tmp_path, content, message):
    (tmp_path / "photo.png").write_bytes(content)
    with pytest.raises(Exception, match=message) as told:
        call(client, tmp_path / "photo.png")
    assert "/" not in str(told.value).replace("and/or", "")  # no path of the server's


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "fast-x5"}, "unknown model 'fast-x5'; there are: automatic, "),
        ({"model": "/etc/passwd"}, "unknown model"),
        ({"size": "huge"}, "size 'huge'; write a factor such as 2x"),
        ({"size": "0x"}, "write a factor"),
        ({"size": "30x"}, "-"),
        ({"size": "9000x9000"}, "would have 54 megapixels; this server makes up to 32"),
        ({"format": "exe"}, "unknown format 'exe'"),
        ({"quality": 400}, "quality 400"),
        ({"blend": 2.0}, "blend 2.0"),
        ({"model": "srgan-x4", "realism": -1.0}, "realism -1.0"),
    ],
    ids=str,
)
def test_wrong_wishes(client, photo, options, message):
    if options == {"size": "30x"}:  # 1800 x 1200: within the bound
        with Image.open(call(client, photo, **options)) as made:
            assert made.size == (1800, 1200)
        return
    with pytest.raises(Exception, match=message):
        call(client, photo, **options)


def test_several_at_once(client, photo):
    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(lambda n: call(client, photo, size=f"{n}x"), [1.5, 2, 2.5, 3, 3.5, 4]))
    assert [Image.open(path).size[0] for path in made] == [90, 120, 150, 180, 210, 240]


def test_models_are_listed_with_a_line_on_each(client):
    lines = client.predict(api_name="/models")
    assert set(fastsr.models()) < set(lines)
    assert all(10 < len(line) < 90 and "\n" not in line for line in lines.values())
