"""What results say of how they were made, and that nothing else in the place is lost."""

import numpy as np
import pytest
from PIL import Image, PngImagePlugin
from support.image_helpers import encoded, noise, sample_exif

from fastsr.images import read, write
from fastsr.images.provenance import mark_of, marked

TEXT = '{"model": "a \\"b\\" & <c>", "n": "\\u00fc"}'
XMP = (
    b'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
    b'xmlns:dc="http://purl.org/dc/elements/1.1/" dc:rights="ours"/></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
)


def written(image, name, folder, text=TEXT):
    kind = {"jpg": "JPEG", "webp": "WebP", "tif": "TIFF"}.get(name, name.upper())
    path = folder / f"a.{name}"
    write(marked(image, text, kind), image.frames, path)
    return path


@pytest.mark.parametrize("name", ["png", "jpg", "webp", "tif", "avif"])
@pytest.mark.parametrize("xmp", [None, XMP])
def test_it_comes_back_and_nothing_is_lost(name, xmp, tmp_path):
    beside = {"exif": sample_exif().tobytes(), **({"xmp": xmp} if xmp else {})}
    given = read(encoded(Image.fromarray(noise(40, 60, 3)), "WEBP", lossless=True, **beside))
    path = written(given, name, tmp_path)
    assert mark_of(path) == TEXT
    with Image.open(path) as made:
        assert made.getexif()[271] == sample_exif()[271]
        if xmp:
            assert b'dc:rights="ours"' in bytes(made.info["xmp"])
    again = read(path)
    assert mark_of(written(again, name, tmp_path, "second")) == "second"
    assert path.read_bytes().count(b"urn:fastsr:result#") == (name != "png")


def test_a_result_in_another_format_says_it_once(tmp_path):
    first = written(read(noise(9, 9, 3)), "jpg", tmp_path)
    made = written(read(first), "png", tmp_path, "second")
    assert mark_of(made) == "second"
    assert b"urn:fastsr" not in made.read_bytes()


@pytest.mark.parametrize("xmp", [b"no packet at all", b"<rdf:RDF/>", XMP.replace(b"ours", b"o" * 65200)])
def test_xmp_that_cannot_take_it_stays_as_it_is(xmp, tmp_path):
    given = read(encoded(Image.fromarray(noise(9, 9, 3)), "WEBP", xmp=xmp))
    path = written(given, "jpg", tmp_path)
    assert mark_of(path) is None
    with Image.open(path) as made:
        assert made.info["xmp"] == xmp


def test_other_formats_are_left_alone():
    given = read(noise(9, 9, 3))
    assert all(marked(given, TEXT, kind) is given for kind in ("BMP", "GIF", "TGA", "PPM", "JPEG2000", "ICO"))


@pytest.mark.parametrize("name", ["png", "jpg", "webp", "tif", "avif"])
def test_damage_says_nothing(name, tmp_path):
    data = written(read(noise(9, 9, 3)), name, tmp_path).read_bytes()
    draw, path = np.random.default_rng(0), tmp_path / "b"
    for _ in range(200):
        changed = bytearray(data[: int(draw.integers(len(data)))])
        for _ in range(3):
            if changed:
                changed[int(draw.integers(len(changed)))] = int(draw.integers(256))
        path.write_bytes(changed)
        assert mark_of(path) is None or isinstance(mark_of(path), str)
    assert mark_of(tmp_path / "none") is None
    assert mark_of(tmp_path) is None


def test_texts_of_other_names_stay(tmp_path):
    texts = PngImagePlugin.PngInfo()
    for key in ("Title", "Software", "fastsr"):
        texts.add_text(key, f"my {key}")
    file = encoded(Image.fromarray(noise(9, 9, 3)), "PNG", pnginfo=texts)
    for text in ("first", "second"):
        path = written(read(file), "png", tmp_path, text)
        file = path
        with Image.open(path) as made:
            assert made.text == {**{key: f"my {key}" for key in ("Title", "Software", "fastsr")}, "fastsr:made": text}
