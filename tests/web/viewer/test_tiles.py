"""Tiles of both sides: exact pixels, no seams, the same place on both sides at every level."""

import io

import numpy as np
import pytest
from PIL import Image, ImageCms
from support.image_helpers import SRGB, noise, smooth

import fastsr
from fastsr.images.decoded_image import Frame, Metadata

pytest.importorskip("starlette", reason='needs: pip install "fastsr[web]"')
from fastsr.web.viewer.pyramid import TILE, pyramid_of, record_frame
from fastsr.web.viewer.tiles import OVERLAP, SIDES, View, view_of


def view(folder, original, result, metadata=None):
    paths = (folder / "original.png", folder / "result.png")
    for pixels, path in zip((original, result), paths, strict=True):
        color, alpha = (pixels, None) if pixels.shape[2] in (1, 3) else (pixels[..., :-1], pixels[..., -1:])
        record_frame(Frame(color, alpha), metadata or Metadata(), path)
    return view_of(*paths)


def decoded(tile):
    pixels = np.asarray(Image.open(io.BytesIO(tile)))
    return pixels.reshape(*pixels.shape[:2], -1)


def level_of(made, side, level, rounding=0):
    """All tiles of a level, put together; what they show of their neighbours is what those show, but for rounding."""
    width, height = made.result.sizes[level]
    whole = None
    for row, top in enumerate(range(0, height, TILE)):
        for column, left in enumerate(range(0, width, TILE)):
            tile = decoded(made.tile(side, level, column, row))
            whole = np.zeros((height, width, tile.shape[2]), np.uint8) if whole is None else whole
            above, before = min(top, OVERLAP), min(left, OVERLAP)
            place = whole[top - above : top + TILE + OVERLAP, left - before : left + TILE + OVERLAP]
            assert place.shape == tile.shape
            for shared in (np.s_[:above], np.s_[above:, :before]):
                assert np.abs(place[shared].astype(int) - tile[shared]).max(initial=0) <= rounding
            place[:] = tile
    return whole


def test_the_result_is_shown_to_the_pixel(tmp_path):
    result = noise(1100, 1300, 3)
    made = view(tmp_path, noise(275, 325, 3), result)
    assert np.array_equal(level_of(made, "result", 0), result)


@pytest.mark.parametrize("factor", [2, 4])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_original_is_what_bicubic_makes_of_it(tmp_path, factor, channels):
    """Over many tiles, so that there is no seam either."""
    original = noise(301, 403, channels)
    expected = fastsr.upscale(original, model="bicubic", scale=factor)
    made = view(tmp_path, original, np.zeros_like(expected))
    assert np.array_equal(level_of(made, "original", 0), expected)


@pytest.mark.parametrize("size", [(1209, 903), (1283, 1051), (300, 250)])
def test_other_factors_differ_by_rounding_alone(tmp_path, size):
    """Pillow takes the place of a part in single precision, which decides between two levels now and then."""
    original = noise(301, 403, 3)
    expected = fastsr.upscale(original, model="bicubic", size=size)
    made = level_of(view(tmp_path, original, np.zeros_like(expected)), "original", 0, rounding=1)
    differing = np.abs(made.astype(int) - expected)
    assert differing.max() <= 1
    assert (differing != 0).mean() < 1e-3


def test_at_its_own_size_the_original_is_shown_as_it_is(tmp_path):
    original = noise(600, 600, 3)
    made = view(tmp_path, original, original.repeat(4, 0).repeat(4, 1))
    assert np.array_equal(level_of(made, "original", 2), original)
    assert np.array_equal(level_of(made, "original", 0), fastsr.upscale(original, model="bicubic", scale=4))


@pytest.mark.parametrize("size", [(2048, 1536), (2301, 1703), (1537, 2047)])
def test_both_sides_show_the_same_place_at_every_level(tmp_path, size):
    """A gradient tells of any shift: a pixel of the result is a tenth of a level, and halving keeps the mean."""
    original = smooth(size[1] // 4, size[0] // 4)
    result = np.asarray(Image.fromarray(original).resize(size, Image.Resampling.BICUBIC))
    made = view(tmp_path, original, result)
    assert made.levels >= 3
    for level in range(made.levels):
        sides = [level_of(made, side, level).astype(int) for side in SIDES]
        assert sides[0].shape == sides[1].shape
        assert np.abs(sides[0] - sides[1]).max() <= 2, level


def test_an_edge_lies_on_the_same_pixel(tmp_path):
    """White beside black, at a corner of tiles of the result: no half pixel to either side."""
    original = np.zeros((512, 512, 3), np.uint8)
    original[:, 128:] = 255
    made = view(tmp_path, original, original.repeat(4, 0).repeat(4, 1))
    for level in (1, 2):
        sides = [level_of(made, side, level)[:, :, 0].astype(float) for side in SIDES]
        edges = [np.argmax(side[0] > 127) for side in sides]
        assert edges[0] == edges[1] == 512 >> level
    # at the largest level bicubic is steepest where the edge is
    steep = np.diff(level_of(made, "original", 0)[0, :, 0].astype(int))
    assert np.argmax(steep) == 511


def test_transparency_is_kept(tmp_path):
    original = noise(200, 300, 4)
    made = view(tmp_path, original, original.repeat(2, 0).repeat(2, 1))
    expected = Image.fromarray(original).resize((600, 400), Image.Resampling.BICUBIC)
    assert np.array_equal(level_of(made, "original", 0), np.asarray(expected))
    assert level_of(made, "result", 0).shape == (400, 600, 4)


def test_tiles_say_what_their_colours_are(tmp_path):
    """As the files they are of, so that browsers show both alike."""
    tile = view(tmp_path, noise(8, 8, 3), noise(16, 16, 3), Metadata(icc=SRGB, exif=b"Exif\0\0II*\0")).tile(
        "result", 0, 0, 0
    )
    image = Image.open(io.BytesIO(tile))
    assert image.info["icc_profile"] == SRGB
    assert "exif" not in image.info
    assert ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))


def test_a_profile_of_half_a_megabyte_is_not_in_every_tile(tmp_path):
    tile = view(tmp_path, noise(8, 8, 3), noise(16, 16, 3), Metadata(icc=SRGB.ljust(1 << 19, b"\0"))).tile(
        "result", 0, 0, 0
    )
    assert len(tile) < 10_000


@pytest.mark.parametrize(
    "tile", [(-1, 0, 0), (2, 0, 0), (0, -1, 0), (0, 0, -1), (0, 2, 0), (0, 0, 3), (1, 1, 0), (0, 10**9, 0)]
)
@pytest.mark.parametrize("side", SIDES)
def test_there_are_no_other_tiles(tmp_path, side, tile):
    made = view(tmp_path, noise(300, 200, 3), noise(1200, 800, 3))
    assert made.levels == 3 or tile[0] != 2
    if tile[0] == 2:
        tile = (made.levels, 0, 0)
    with pytest.raises(IndexError):
        made.tile(side, *tile)


def test_a_result_may_be_smaller_than_its_original(tmp_path):
    """Some ask for fewer pixels than they had."""
    original = smooth(1500, 1200)
    result = np.asarray(Image.fromarray(original).resize((900, 1125), Image.Resampling.BICUBIC))
    made = view(tmp_path, original, result)
    for level in range(made.levels):
        sides = [level_of(made, side, level).astype(int) for side in SIDES]
        assert np.abs(sides[0] - sides[1]).max() <= 2


def test_a_view_of_files_that_are_gone(tmp_path):
    made = view(tmp_path, noise(8, 8, 3), noise(16, 16, 3))
    pyramid_of(tmp_path / "result.png").path.unlink()
    assert isinstance(made, View)
    with pytest.raises(FileNotFoundError):
        made.tile("result", 0, 0, 0)
