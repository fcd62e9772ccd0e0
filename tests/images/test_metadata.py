"""Orientation, EXIF, profiles and text."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, PngImagePlugin, TiffImagePlugin
from support.image_helpers import SRGB, encoded, enlarge, noise, restored, rewritten, sample_exif, smooth, twice

from fastsr.images import read, write


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP", "memory"])
def test_orientation_is_applied_once(orientation, format, tmp_path):
    array = smooth(6, 8)
    turned = [
        array, array[:, ::-1], array[::-1, ::-1], array[::-1],
        array.swapaxes(0, 1), array.swapaxes(0, 1)[:, ::-1],
        array[::-1, ::-1].swapaxes(0, 1), array.swapaxes(0, 1)[::-1],
    ][orientation - 1]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "Maker"
    image = Image.fromarray(array)
    if format == "memory":
        image.info["exif"] = exif.tobytes()
    else:
        image = encoded(image, format, exif=exif, **({"lossless": True} if format == "WEBP" else {}))
    decoded = read(image)
    np.testing.assert_array_equal(decoded.frames[0].color, turned)
    result = decoded.restore(enlarge(decoded.frames))
    assert result.getexif().get(0x0112, 1) == 1
    assert result.getexif()[0x010F] == "Maker"
    write(decoded, decoded.frames, tmp_path / "out.png")
    again = read(tmp_path / "out.png")
    np.testing.assert_array_equal(again.frames[0].color, turned)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".avif"])
@pytest.mark.parametrize("source", ["PNG", "JPEG", "TIFF"])
def test_metadata_is_kept(source, suffix, tmp_path):
    options = {"exif": sample_exif().tobytes(), "icc_profile": SRGB, "dpi": (300, 200)}
    file = encoded(Image.fromarray(smooth(6, 8)), source, **options)
    result = rewritten(file, tmp_path / f"out{suffix}")
    assert result.info["icc_profile"] == SRGB
    exif = result.getexif()
    assert exif[0x010F] == "Maker"
    assert exif.get_ifd(0x8769)[0x9003] == "2020:01:02 03:04:05"
    assert exif.get_ifd(0x8769)[0xA002] == 16, "the width that EXIF names is the new one"
    assert exif.get_ifd(0x8825)[1] == "N"
    if suffix in (".png", ".jpg", ".tif"):
        assert [round(float(value)) for value in result.info["dpi"]] == [300, 200]
    np.testing.assert_allclose(np.asarray(result.convert("RGB"), int), twice(smooth(6, 8)), atol=40)


def test_restored_info():
    text = PngImagePlugin.PngInfo()
    text.add_text("Title", "a name")
    text.add_itxt("Motto", "größer", "de", "Motto")
    text.add_itxt("XML:com.adobe.xmp", "<x:xmpmeta/>")
    file = encoded(Image.fromarray(smooth(6, 8)), "PNG", pnginfo=text, icc_profile=SRGB, dpi=(300, 300))
    info = restored(file).info
    assert info["Title"] == "a name"
    assert info["Motto"] == "größer"
    assert info["xmp"] == b"<x:xmpmeta/>"
    assert info["icc_profile"] == SRGB
    assert round(info["dpi"][0]) == 300
    file = encoded(Image.fromarray(smooth(6, 8)), "JPEG", comment=b"hello", exif=sample_exif())
    assert restored(file).info["comment"] == b"hello"


def test_text_xmp_and_comment_are_written(tmp_path):
    text = PngImagePlugin.PngInfo()
    text.add_text("Title", "a name")
    text.add_itxt("Motto", "größer", "de", "Motto")
    text.add_itxt("XML:com.adobe.xmp", "<x:xmpmeta/>")
    image = Image.open(encoded(Image.fromarray(smooth(6, 8)), "PNG", pnginfo=text))
    result = rewritten(image, tmp_path / "out.png")
    assert result.text["Title"] == "a name"
    assert result.text["Motto"] == "größer"
    assert result.text["Motto"].lang == "de"
    for suffix in (".png", ".jpg", ".webp", ".tif", ".avif"):
        assert rewritten(image, tmp_path / f"out{suffix}").info["xmp"] == b"<x:xmpmeta/>", suffix
    jpeg = Image.open(encoded(Image.fromarray(smooth(6, 8)), "JPEG", comment=b"hello"))
    assert rewritten(jpeg, tmp_path / "out.jpg").info["comment"] == b"hello"
    assert rewritten(jpeg, tmp_path / "out.gif").info["comment"] == b"hello"
    assert rewritten(jpeg, tmp_path / "out.png").text["Comment"] == "hello"


def test_broken_exif_does_not_stop_reading(tmp_path):
    image = Image.fromarray(smooth(6, 8))
    image.info["exif"] = b"Exif\0\0garbage!!"
    np.testing.assert_array_equal(np.asarray(restored(image)), twice(smooth(6, 8)))


def test_profile_of_another_color_space_is_dropped(tmp_path):
    gray = bytearray(SRGB)
    gray[16:20] = b"GRAY"
    image = Image.fromarray(noise(6, 8))
    image.info["icc_profile"] = bytes(gray)
    assert rewritten(image, tmp_path / "out.png").info["icc_profile"] == bytes(gray)
    assert rewritten(image, tmp_path / "out.jpg").info["icc_profile"] == bytes(gray)
    assert "icc_profile" not in rewritten(image, tmp_path / "out.webp").info


def test_metadata_too_long_for_jpeg_is_left_out(tmp_path):
    image = Image.fromarray(smooth(6, 8))
    image.info["xmp"] = b"x" * 70_000
    assert "xmp" not in rewritten(image, tmp_path / "out.jpg").info
    assert len(rewritten(image, tmp_path / "out.png").info["xmp"]) == 70_000


def test_tiff_tags_of_the_source_do_not_leak(tmp_path):
    """A TIFF's own storage tags must not reach the EXIF of the result."""
    file = encoded(Image.fromarray(smooth(6, 8)), "TIFF", exif=sample_exif().tobytes())
    exif = rewritten(file, tmp_path / "a.jpg").getexif()
    assert not {256, 257, 259, 273, 279} & set(exif)
    assert isinstance(Image.open(tmp_path / "a.jpg"), Image.Image)
    file.seek(0)
    assert isinstance(rewritten(file, tmp_path / "a.tif"), TiffImagePlugin.TiffImageFile)
