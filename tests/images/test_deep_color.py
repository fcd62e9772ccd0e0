"""16-bit colour in full."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin
from support.image_helpers import (
    SRGB,
    encoded,
    enlarge,
    image_of_mode,
    noise,
    restored,
    rewritten,
    sample_exif,
    smooth,
    twice,
)
from support.image_samples import png_bytes, png_chunks, png_samples, tiff_bytes

from fastsr.images import read, write


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_deep_png_is_exact(channels, tmp_path):
    samples = noise(7, 9, channels, dtype=np.uint16)
    (tmp_path / "in.png").write_bytes(png_bytes(samples))
    for source in (tmp_path / "in.png", io.BytesIO(png_bytes(samples))):
        decoded = read(source)
        frame = decoded.frames[0]
        planes = [frame.color] if frame.alpha is None else [frame.color, frame.alpha]
        np.testing.assert_array_equal(np.concatenate(planes, axis=2), samples)
        assert frame.color.dtype == np.uint16
    write(decoded, enlarge(decoded.frames), tmp_path / "out.png")
    data = (tmp_path / "out.png").read_bytes()
    np.testing.assert_array_equal(png_samples(data), twice(samples))
    again = read(tmp_path / "out.png").frames[0]
    np.testing.assert_array_equal(again.color, twice(frame.color))
    assert Image.open(tmp_path / "out.png").size == (18, 14)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_png_of_8_bits_is_exact(channels, tmp_path):
    samples = smooth(90, 70)[..., [0, 1, 2, 0]][..., :channels]
    decoded = read(io.BytesIO(png_bytes(samples)))
    write(decoded, decoded.frames, tmp_path / "out.png")
    np.testing.assert_array_equal(png_samples((tmp_path / "out.png").read_bytes()), samples)
    assert (tmp_path / "out.png").stat().st_size < samples.size


def test_deep_png_keeps_metadata_and_orientation(tmp_path):
    exif = sample_exif()
    exif[0x0112] = 6
    decoded = read(noise(6, 8, 3, dtype=np.uint16))
    source = read(encoded(Image.fromarray(smooth(6, 8)), "PNG", exif=exif, icc_profile=SRGB, dpi=(300, 300)))
    write(source, decoded.frames, tmp_path / "deep.png")
    data = (tmp_path / "deep.png").read_bytes()
    assert {b"iCCP", b"eXIf", b"pHYs"} <= {name for name, _ in png_chunks(data)}
    info = restored(tmp_path / "deep.png").info
    assert info["icc_profile"] == SRGB
    turned = png_bytes(noise(6, 8, 3, dtype=np.uint16))
    at = turned.index(b"IDAT") - 4
    chunk = exif.tobytes()[6:]
    body = struct.pack(">I", len(chunk)) + b"eXIf" + chunk + struct.pack(">I", zlib.crc32(b"eXIf" + chunk))
    frame = read(io.BytesIO(turned[:at] + body + turned[at:])).frames[0]
    np.testing.assert_array_equal(frame.color, png_samples(turned).swapaxes(0, 1)[:, ::-1])


def test_deep_color_key(tmp_path):
    samples = np.array([[[1, 2, 3], [0x0101, 2, 3]]], np.uint16)
    frame = read(io.BytesIO(png_bytes(samples, transparency=b"\0\1\0\2\0\3"))).frames[0]
    assert frame.alpha is not None
    assert frame.alpha.ravel().tolist() == [0, 65535]
    gray = np.array([[[500], [501]]], np.uint16)
    decoded = read(io.BytesIO(png_bytes(gray, transparency=b"\1\xf4")))
    assert decoded.frames[0].alpha is not None
    assert decoded.frames[0].alpha.ravel().tolist() == [0, 65535]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("compression", [1, 5, 8])
@pytest.mark.parametrize(("channels", "extra"), [(3, None), (4, 2), (4, 0)])
def test_deep_tiff_is_exact(order, compression, channels, extra, tmp_path):
    samples = noise(7, 9, channels, dtype=np.uint16)
    path = tmp_path / "in.tif"
    path.write_bytes(tiff_bytes(samples, order=order, compression=compression, extra=extra))
    for source in (path, io.BytesIO(path.read_bytes())):
        frame = read(source).frames[0]
        np.testing.assert_array_equal(frame.color, samples[..., :3])
        assert (frame.alpha is None) == (channels == 3 or extra == 0)
        if frame.alpha is not None:
            np.testing.assert_array_equal(frame.alpha, samples[..., 3:])
    decoded = read(path)
    write(decoded, enlarge(decoded.frames), tmp_path / "out.tif")
    again = read(tmp_path / "out.tif").frames[0]
    np.testing.assert_array_equal(again.color, twice(frame.color))
    assert Image.open(tmp_path / "out.tif").tag_v2[258] == (16,) * (3 + (frame.alpha is not None))
    write(decoded, decoded.frames, tmp_path / "out.png")
    np.testing.assert_array_equal(png_samples((tmp_path / "out.png").read_bytes())[..., :3], samples[..., :3])


def test_deep_tiff_of_many_strips(tmp_path):
    samples = noise(300, 200, 3, dtype=np.uint16)
    decoded = read(samples)
    write(decoded, decoded.frames, tmp_path / "deep.tif")
    opened = Image.open(tmp_path / "deep.tif")
    assert len(opened.tag_v2[273]) > 1, "several strips"
    np.testing.assert_array_equal(read(tmp_path / "deep.tif").frames[0].color, samples)


@pytest.mark.parametrize("compression", [1, 8])
def test_separate_planes_are_read_in_8_bits(compression):
    samples = noise(7, 9, 3, dtype=np.uint16)
    planes = [samples[..., channel].astype("<u2").tobytes() for channel in range(3)]
    strips = [zlib.compress(plane) if compression == 8 else plane for plane in planes]
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in {256: 9, 257: 7, 258: (16,) * 3, 259: compression, 262: 2, 277: 3, 278: 7, 284: 2}.items():
        tags[tag] = value
    sizes = [len(strip) for strip in strips]
    tags.tagtype[273] = tags.tagtype[279] = 4
    tags[273], tags[279] = (0, sizes[0], sizes[0] + sizes[1]), tuple(sizes)
    file = io.BytesIO()
    tags.save(file)
    file.write(b"".join(strips))
    file.seek(0)
    np.testing.assert_array_equal(read(file).frames[0].color, samples >> 8)


def test_premultiplied_deep_tiff():
    samples = np.array([[[1001, 30000, 0, 30000], [5, 5, 5, 0]]], np.uint16)
    frame = read(io.BytesIO(tiff_bytes(samples, order="<", extra=1))).frames[0]
    assert frame.color[0, 0].tolist() == [round(1001 * 65535 / 30000), 65535, 0]
    assert frame.alpha is not None
    assert frame.alpha.ravel().tolist() == [30000, 0]


def test_deep_tiff_keeps_metadata(tmp_path):
    file = encoded(Image.fromarray(smooth(6, 8)), "JPEG", exif=sample_exif(), icc_profile=SRGB, dpi=(300, 300))
    write(read(file), read(noise(6, 8, 3, dtype=np.uint16)).frames, tmp_path / "deep.tif")
    image = Image.open(tmp_path / "deep.tif")
    assert image.info["icc_profile"] == SRGB
    assert image.info["dpi"] == (300, 300)
    assert image.tag_v2[274] == 1
    assert image.getexif()[0x010F] == "Maker"


def test_deep_image_comes_back_in_8_bits_from_restore():
    samples = noise(4, 5, 3, dtype=np.uint16)
    result = restored(io.BytesIO(png_bytes(samples)))
    assert result.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(result), twice(np.rint(samples / 257).astype(np.uint8)))


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_deep_gray_stays_deep(format, tmp_path):
    image = image_of_mode("I;16")
    result = rewritten(encoded(image, format), tmp_path / f"out.{format.lower()}")
    assert result.mode == "I;16"
    np.testing.assert_array_equal(np.asarray(result), twice(np.asarray(image)))


def test_deep_to_shallow_rounds_to_the_nearest(tmp_path):
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    decoded = read(values)
    write(decoded, decoded.frames, tmp_path / "out.bmp")
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out.bmp")), np.rint(values / 257).astype(np.uint8))


def test_floats_are_written_rounded(tmp_path):
    values = np.linspace(0, 1, 1000, dtype=np.float32).reshape(20, 50)
    decoded = read(values)
    write(decoded, decoded.frames, tmp_path / "out.png")
    expected = np.floor(values.astype(np.float64) * 65535 + 0.5).astype(np.uint16)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out.png")), expected)
    with pytest.warns(RuntimeWarning, match=r"out\.bmp: BMP holds 8 bits a sample, which its floats are rounded to"):
        write(decoded, decoded.frames, tmp_path / "out.bmp")
    expected = np.floor(values.astype(np.float64) * 255 + 0.5).astype(np.uint8)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out.bmp")), expected)


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_floats_of_gray_stay_floats_in_tiff(compression, tmp_path):
    values = np.linspace(0, 1, 1000, dtype=np.float32).reshape(20, 50)
    file = encoded(Image.fromarray(values), "TIFF", compression=compression)
    result = rewritten(file, tmp_path / "out.tif")
    assert result.mode == "F"
    np.testing.assert_array_equal(np.asarray(result), twice(values))


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_floats_of_colour_and_alpha_become_16_bits(channels, tmp_path):
    decoded = (
        read(np.linspace(0, 1, 600, dtype=np.float32).reshape(10, 20, 3)[..., [0, 1, 2, 0]][..., :channels])
        if (channels != 2)
        else read(Image.fromarray(noise(10, 20, 2)))
    )
    for suffix in ("tif", "png"):
        write(decoded, decoded.frames, tmp_path / f"out.{suffix}")
        frame = read(tmp_path / f"out.{suffix}").frames[0]
        assert frame.color.dtype == (np.uint8 if channels == 2 else np.uint16)
