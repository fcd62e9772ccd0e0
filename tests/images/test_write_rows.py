"""Rows written as they are made: the same file as from the whole, and no file where something goes wrong."""

import numpy as np
import pytest
from PIL import Image
from support.image_helpers import SRGB, encoded, noise

from fastsr.errors import EngineError, ImageError
from fastsr.images import Frame, Rows, read, takes_rows, write, write_rows


def rows_in(pixels, heights):
    def bands():
        top = 0
        while top < len(pixels):
            for height in heights:
                yield pixels[top : top + height]
                top += height

    return Rows(pixels.shape, pixels.dtype, (band for band in bands() if len(band)))


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_file_is_that_of_the_whole(dtype, channels, suffix, compress, tmp_path):
    source = Image.fromarray(noise(20, 30, 3))
    exif = Image.Exif()
    exif[0x8769] = {0xA002: 30, 0xA003: 20}
    image = read(encoded(source, "PNG", icc_profile=SRGB, exif=exif, dpi=(300, 300)))
    pixels = noise(203, 1501, channels, dtype=dtype)
    assert takes_rows(image, pixels.dtype, tmp_path / f"a{suffix}")
    write(image, [Frame(pixels)], tmp_path / f"whole{suffix}", compress=compress)
    for heights in ([1], [7, 190], [203], [50]):
        write_rows(image, rows_in(pixels, heights), tmp_path / f"rows{suffix}", compress=compress)
        assert (tmp_path / f"rows{suffix}").read_bytes() == (tmp_path / f"whole{suffix}").read_bytes()
    again = read(tmp_path / f"rows{suffix}")
    np.testing.assert_array_equal(again.frames[0].color, pixels)


def test_floats_become_16_bits_in_png(tmp_path):
    pixels = np.linspace(0, 1, 60, dtype=np.float32).reshape(4, 5, 3)
    image = read(pixels)
    write(image, [Frame(pixels)], tmp_path / "whole.png")
    write_rows(image, rows_in(pixels, [3]), tmp_path / "rows.png")
    assert (tmp_path / "rows.png").read_bytes() == (tmp_path / "whole.png").read_bytes()
    assert not takes_rows(image, pixels.dtype, tmp_path / "a.tif")


def test_other_formats_and_several_frames_are_written_whole(tmp_path):
    image = read(noise(4, 4, 3))
    assert not any(takes_rows(image, np.dtype(np.uint8), tmp_path / f"a.{kind}") for kind in ("jpg", "webp", "bmp"))
    first = Image.fromarray(noise(4, 4, 3))
    pages = read(encoded(first, "TIFF", save_all=True, append_images=[Image.fromarray(noise(4, 4, 3))]))
    assert not takes_rows(pages, np.dtype(np.uint8), tmp_path / "a.tif")


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize(
    "error", [EngineError("full"), MemoryError(), KeyboardInterrupt(), RuntimeError("odd"), OSError(28, "full")]
)
def test_no_file_is_left_where_the_rows_end_early(error, suffix, tmp_path):
    target = tmp_path / f"a{suffix}"
    target.write_bytes(b"old")

    def bands():
        yield noise(600, 1000, 3)
        raise error

    expected = ImageError if isinstance(error, (MemoryError, OSError)) else type(error)
    with pytest.raises(expected):
        write_rows(read(noise(2, 2, 3)), Rows((1200, 1000, 3), np.dtype(np.uint8), bands()), target)
    assert target.read_bytes() == b"old"
    assert [*tmp_path.iterdir()] == [target]
