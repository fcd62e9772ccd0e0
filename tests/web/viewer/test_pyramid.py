"""Pyramids: levels against plain means, the same for any cut into bands, there whole or not at all."""

import numpy as np
import pytest
from PIL import Image
from support.image_helpers import noise

from fastsr import images
from fastsr.errors import ImageError
from fastsr.images.decoded_image import Frame, Metadata, Rows

pytest.importorskip("starlette", reason='needs: pip install "fastsr[web]"')
from fastsr.web.viewer import pyramid
from fastsr.web.viewer.pyramid import TILE, level_sizes, pyramid_of, pyramid_path, record_frame, recorded


def rows_of(pixels, height):
    return Rows(pixels.shape, pixels.dtype, (pixels[top : top + height] for top in range(0, len(pixels), height)))


def whole(made, level):
    width, height = made.sizes[level]
    return made.window(level, 0, 0, width, height)


def halved(pixels):
    """The reference: means of the pixels of each 2 x 2 that are there, half rounded up."""
    height, width, channels = pixels.shape
    padded = np.full((height + height % 2, width + width % 2, channels), np.nan)
    padded[:height, :width] = pixels
    blocks = padded.reshape(padded.shape[0] // 2, 2, padded.shape[1] // 2, 2, channels)
    return np.floor(np.nanmean(blocks, axis=(1, 3)) + 0.5).astype(np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(1, 1), (TILE, TILE), (TILE + 1, 5), (3, 2 * TILE + 1), (1201, 1033)])
def test_levels_are_means_of_the_ones_before(tmp_path, size, channels):
    pixels = noise(size[1], size[0], channels)
    for _ in recorded(rows_of(pixels, 7), Metadata(), tmp_path / "a.png").bands:
        pass
    made = pyramid_of(tmp_path / "a.png")
    assert (made.size, made.channels) == (size, channels)
    assert np.array_equal(whole(made, 0), pixels)
    for level in range(1, len(made.sizes)):
        assert np.array_equal(whole(made, level), halved(whole(made, level - 1))), level
    assert max(made.sizes[-1]) <= TILE


@pytest.mark.parametrize("height", [1, 2, 64, 5000])
def test_bands_of_any_height_make_the_same_file(tmp_path, height):
    pixels = noise(1037, 700, 3)
    record_frame(Frame(pixels), Metadata(), tmp_path / "whole.png")
    given = [band.copy() for band in recorded(rows_of(pixels, height), Metadata(), tmp_path / "bands.png").bands]
    assert np.array_equal(np.concatenate(given), pixels), "rows pass as they are"
    files = [pyramid_path(tmp_path / name).read_bytes() for name in ("whole.png", "bands.png")]
    assert files[0] == files[1]


def test_colours_count_as_much_as_they_are_opaque(tmp_path):
    """What is hidden below full transparency does not shine through when halved."""
    color = np.zeros((2 * TILE, 2 * TILE, 3), np.uint8)
    color[:, ::2] = (255, 0, 0)
    color[:, 1::2] = (0, 255, 0)
    alpha = np.zeros((2 * TILE, 2 * TILE, 1), np.uint8)
    alpha[:, ::2] = 255
    record_frame(Frame(color, alpha), Metadata(), tmp_path / "a.png")
    made = whole(pyramid_of(tmp_path / "a.png"), 1)
    assert made[0, 0].tolist() == [255, 0, 0, 128]


@pytest.mark.parametrize("depth", [np.uint16, np.float32])
def test_deeper_samples_are_kept_in_8_bits(tmp_path, depth):
    shallow = noise(20, 30, 3)
    deep = shallow.astype(np.uint16) * 257 if depth is np.uint16 else shallow.astype(np.float32) / 255
    given = next(recorded(rows_of(deep, 100), Metadata(), tmp_path / "a.png").bands)
    assert given.dtype == depth
    record_frame(Frame(deep), Metadata(), tmp_path / "b.png")
    assert np.array_equal(whole(pyramid_of(tmp_path / "b.png"), 0), shallow)


def test_a_file_alone_will_do(tmp_path):
    """As after a restart, or for an upload: the pyramid is made of the file, upright as `read` makes it."""
    pixels = noise(30, 40, 3)
    exif = Image.Exif()
    exif[274] = 6  # to be turned by a quarter
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(whole(pyramid_of(tmp_path / "a.png"), 0), np.rot90(pixels, 3))


def test_it_is_made_once(tmp_path, monkeypatch):
    Image.fromarray(noise(30, 40, 3)).save(tmp_path / "a.png")
    pyramid_of(tmp_path / "a.png")
    monkeypatch.setattr(pyramid.images, "read", None)
    assert pyramid_of(tmp_path / "a.png").size == (40, 30)


def test_cmyk_is_seen_as_rgb(tmp_path):
    Image.fromarray(noise(16, 16, 4), "CMYK").save(tmp_path / "a.tif")
    made = pyramid_of(tmp_path / "a.tif")
    assert made.channels == 3
    assert np.array_equal(whole(made, 0), np.asarray(Image.open(tmp_path / "a.tif").convert("RGB")))


def test_nothing_is_left_of_a_run_that_was_broken_off(tmp_path):
    bands = recorded(rows_of(noise(100, 100, 3), 10), Metadata(), tmp_path / "a.png").bands
    next(bands)
    assert len(list(tmp_path.iterdir())) == 1
    bands.close()
    assert list(tmp_path.iterdir()) == []


def test_results_are_recorded_as_they_are_written(tmp_path):
    decoded = images.read(noise(700, 600, 3))
    rows = rows_of(decoded.frames[0].color, 33)
    images.write_rows(decoded, recorded(rows, decoded.metadata[0], tmp_path / "a.png"), tmp_path / "a.png")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a.png")), whole(pyramid_of(tmp_path / "a.png"), 0))


def test_it_says_what_it_cannot_read_or_write(tmp_path):
    with pytest.raises(ImageError, match=r"gone\.png: no such file"):
        pyramid_of(tmp_path / "gone.png")
    with pytest.raises(ImageError, match="does not exist"):
        record_frame(Frame(noise(4, 4, 3)), Metadata(), tmp_path / "missing" / "a.png")


def test_sizes_halve_upwards():
    assert level_sizes(16000, 12000) == (
        (16000, 12000),
        (8000, 6000),
        (4000, 3000),
        (2000, 1500),
        (1000, 750),
        (500, 375),
    )
    assert level_sizes(1025, 3) == ((1025, 3), (513, 2), (257, 1))
